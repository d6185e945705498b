"""What the example functions run. Deployed only when asked for."""
