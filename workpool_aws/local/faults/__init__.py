"""Faults of a simulated cloud."""
