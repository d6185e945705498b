"""Pure decisions.

No clock, no chance, no I/O: everything enters as an argument.
"""
