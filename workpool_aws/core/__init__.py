"""What may happen: pure decisions.

No clock, no chance, no I/O: everything enters as an argument.
"""
