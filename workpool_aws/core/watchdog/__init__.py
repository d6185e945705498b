"""Decisions of the watchdog."""
