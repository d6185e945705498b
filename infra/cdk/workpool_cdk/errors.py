"""Owns what goes wrong at synth: a configuration that cannot be deployed as it was meant."""

from __future__ import annotations

__all__ = ["ConfigurationError"]


class ConfigurationError(ValueError):
    """What was asked for contradicts itself, or could not work in the account. Nothing was synthesized."""
