"""What exists: frozen records, their names and their values.

Nothing here decides or talks to AWS.
"""
