"""Decisions about schedules: when they are due, and what falls due then."""
