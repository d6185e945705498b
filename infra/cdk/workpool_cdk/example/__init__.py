"""The code of the example functions, which are deployed on request only."""
