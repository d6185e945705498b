"""Speaks AWS: the only place that knows boto3, attribute names and the shape of messages."""
