"""Drivers of the main loop."""
