"""Decides why a work item does not run, or has not finished, by the rules of the loop itself."""
