"""Public interface: `Workpool`, its options, and the handlers that its decorators make."""
