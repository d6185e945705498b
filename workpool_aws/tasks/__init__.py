"""The crew behind every task pool: threads that run background tasks of one process, in order, within a limit and in time."""
