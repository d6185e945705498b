"""The command line: one module a command, `main` in front of them."""
