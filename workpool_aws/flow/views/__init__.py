"""Drivers for reads: status, lists and statistics."""
