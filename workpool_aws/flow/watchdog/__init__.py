"""Drivers of the watchdog."""
