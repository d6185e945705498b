"""Drivers for attempts: claims and reports."""
