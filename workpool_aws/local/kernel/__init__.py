"""Simulated processes and clocks."""
