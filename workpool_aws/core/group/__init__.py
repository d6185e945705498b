"""Decides about groups: their members, and the callback that follows them."""
