"""Drivers for a pool as a whole: kicks, limits, targets."""
