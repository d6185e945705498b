"""The CPU benchmark: requests that never leave the process."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from benchmarks import cpu

pytestmark = pytest.mark.form


@pytest.mark.parametrize("lean", [False, True])
def test_every_request_is_answered_in_process(
    monkeypatch: pytest.MonkeyPatch, *, lean: bool
) -> None:
    monkeypatch.setattr(cpu, "ROUNDS", 1)
    monkeypatch.setattr(cpu, "CALLS", 10)
    assert all(milliseconds > 0 for milliseconds in asdict(cpu.measure(lean=lean)).values())
