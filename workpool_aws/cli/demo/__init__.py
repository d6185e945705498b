"""The command `workpool demo`."""
