"""Drivers of schedules: changes by people and programs, and the occurrences of a pass."""
