"""Frozen records, their names and their values.

Nothing here decides or talks to AWS.
"""
