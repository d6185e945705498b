"""The store in this process's memory: the oracle that the other engines are compared with."""
