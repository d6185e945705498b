"""`workpool dev`: a user's jobs on a LocalCloud, with the dashboard and acts of a workshop."""
