"""Drivers of callbacks."""
