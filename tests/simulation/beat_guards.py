"""Mutants of timeouts and heartbeats: no start outlives its lease, and none is lost for long."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Mutant, edit

__all__ = ["BEAT_GUARDS"]

_ACCEPTANCE: Final = "tests/acceptance/test_api_timeouts.py::"


def _named(name: str, rule: str, where: str, old: str, new: str, case: str) -> Mutant:
    return Mutant(
        name=name, rule=rule, edits=(edit(where, old, new),), cases=(f"{_ACCEPTANCE}{case}",)
    )


BEAT_GUARDS: Final = (
    _named(
        "beat: one that is refused ends the process",
        "WP-14",
        "api.vigil:Vigil._beat",
        "not lives",
        "False",
        "test_worker_whose_start_is_over_ends_at_its_next_beat",
    ),
    _named(
        "beat: a lease that is over ends the process",
        "WP-14",
        "api.vigil:Vigil._watch_lease",
        "self.ports.clock.now() >= self._lease_until",
        "False",
        "test_worker_that_is_cut_off_ends_before_its_recovery",
    ),
    _named(
        "beat: no code begins after its lease",
        "WP-14",
        "api.worker:Worker._perform",
        "vigil.lease_is_over",
        "False",
        "test_code_does_not_begin_when_process_stood_still_for_its_lease",
    ),
    _named(
        "beat: the claim has a lease",
        "WP-21",
        "flow.report.claim:take",
        "lease_after(assignment.heartbeat_ms, now, EpochMs(now + max(0, remaining_ms)))",
        "EpochMs(now + max(0, remaining_ms))",
        "test_worker_lost_before_its_first_beat_is_found_soon",
    ),
    _named(
        "beat: the loop looks when the first lease may be over",
        "WP-21",
        "core.loop.start:first_look",
        "min(whole_ms, heartbeat_ms)",
        "whole_ms",
        "test_worker_lost_before_its_first_beat_is_found_soon",
    ),
    _named(
        "timeout: a second later the process ends",
        "WP-1",
        "api.vigil:Vigil._watch_timeout",
        "self._end(timeout_ms)",
        "None",
        "test_function_that_ignores_interruption_ends_second_later",
    ),
    _named(
        "timeout: user code is interrupted",
        "WP-1",
        "api.vigil:Vigil.timed",
        "timeout_ms is None",
        "True",
        "test_attempt_that_takes_too_long_is_interrupted_and_retried",
    ),
)
