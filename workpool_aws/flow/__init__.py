"""Makes it happen: load, decide, commit, act.

One module per step of a work item's life, named as in `core`.
"""
