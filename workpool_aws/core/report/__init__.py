"""Decisions about an attempt and its report."""
