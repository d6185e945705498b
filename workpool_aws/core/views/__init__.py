"""Decisions about reads: status, lists and statistics."""
