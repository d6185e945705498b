"""Measures what the pool costs, in counts of DynamoDB units and requests: never in seconds."""
