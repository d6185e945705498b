"""Decisions about a work item before it runs: enqueue, cancel, redrive."""
