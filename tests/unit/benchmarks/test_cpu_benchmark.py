"""The CPU benchmark: requests that never leave the process."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from benchmarks import cpu

if TYPE_CHECKING:
    import pytest


def test_every_request_is_answered_in_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "ROUNDS", 1)
    monkeypatch.setattr(cpu, "CALLS", 10)
    assert all(milliseconds > 0 for milliseconds in asdict(cpu.measure()).values())
