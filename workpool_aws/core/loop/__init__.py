"""Decisions of the main loop."""
