"""Drives groups: stores, counts, follows, cancels."""
