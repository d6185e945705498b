"""Decisions about a pool as a whole: its loop's starts and its limits."""
