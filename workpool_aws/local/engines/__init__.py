"""Engines of the stand-in: where its tables are."""
