"""Drivers for work items: enqueue, cancel, redrive."""
