"""Decisions about callbacks: their targets, when a work item owes one, and its delivery."""
