"""Threads of task pools and of the loop's fan-out."""
