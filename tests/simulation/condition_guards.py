"""Mutants that leave out one part of one write's condition.

They cover every condition that a sweep meets, as a test shows.
"""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Mutant

__all__ = ["CONDITION_GUARDS"]

_PARTS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "enqueue": ("WP-4", ("absent",)),
    "redrive": ("WP-6", ("absent",)),
    "mark as redriven": ("WP-6", ("state", "outcome", "redriven_as")),
    "start": ("WP-4", ("state", "starts", "cancel_requested", "rev")),
    "start by worker": ("WP-29", ("state", "starts", "cancel_requested", "permit")),
    "start for worker": ("WP-29", ("state", "starts", "cancel_requested", "permit")),
    "claim": ("WP-5", ("state", "starts", "proof", "claim")),
    "finish": ("WP-28", ("state", "starts", "proof", "claim", "claim or deadline")),
    "recover: finish": ("WP-14", ("state", "starts", "proof", "deadline", "claim")),
    "retry": ("WP-28", ("state", "starts", "proof", "cancel_requested")),
    "recover: retry": (
        "WP-14",
        ("state", "starts", "proof", "deadline", "claim", "cancel_requested"),
    ),
    "put back": ("WP-28", ("state", "starts", "proof", "claim", "cancel_requested")),
    "snooze": (
        "WP-5",
        ("state", "starts", "proof", "claim", "claim or deadline", "cancel_requested"),
    ),
    "end as canceled": (
        "WP-7",
        ("state", "starts", "proof", "cancel_requested", "claim", "claim or deadline"),
    ),
    "recover: end as canceled": (
        "WP-14",
        ("state", "starts", "proof", "deadline", "claim", "cancel_requested"),
    ),
    "suspect": ("WP-14", ("state", "starts", "proof", "claim")),
    "beat": ("WP-14", ("state", "starts", "proof", "claim", "deadline")),
    "progress": ("WP-4", ("state", "starts", "proof")),
    "cancel": ("WP-7", ("state", "epoch")),
    "expire": ("WP-25", ("state",)),
    "request cancel": ("WP-7", ("state", "epoch")),
    "callback sent": ("WP-8", ("callback",)),
    "callback delivered": ("WP-28", ("callback_nonce", "callback")),
    "callback dead": ("WP-8", ("callback",)),
    "callback pending": ("WP-28", ("callback_nonce", "callback")),
    "redeliver the callback": ("WP-8", ("callback",)),
    "move into the epoch": ("WP-3", ("state",)),
    "commit": ("WP-2", ("version", "holder", "generation")),
    "commit as guest": ("WP-2", ("version", "generation")),
    "take hold": ("WP-2", ("generation",)),
    "put Ledger": ("WP-2", ("absent",)),
    "rest": ("WP-20", ("generation", "state")),
    "renew the lease": ("WP-20", ("generation", "state")),
    "take back": ("WP-20", ("generation", "state")),
    "hand over": ("WP-20", ("generation", "state")),
    "kick": ("WP-22", ("state", "generation", "lease_until")),
    "put LoopStatus": ("WP-22", ("absent",)),
    "configure": ("WP-13", ("version",)),
    "put Config": ("WP-13", ("absent",)),
    "fire": ("WP-18", ("next_at", "version", "paused", "waiting")),
    "put ScheduleItem": ("WP-18", ("absent", "version", "next_at", "waiting")),
    "count a dropped occurrence": ("WP-18", ("born",)),
    "put UniqueLock": ("WP-16", ("absent", "work_id")),
    "put RequestMark": ("WP-17", ("absent", "work_id")),
    "let a lock expire": ("WP-16", ("work_id",)),
    "replace": ("WP-16", ("state", "starts", "cancel_requested", "rev")),
    "clear postponed": ("WP-16", ("state", "due_at")),
    "put Deployment": ("WP-13", ("version",)),
    "put GroupItem": ("WP-19", ("absent",)),
    "count ends": ("WP-19", ("version",)),
    "follow": ("WP-19", ("absent",)),
    "put Void": ("WP-19", ("absent",)),
}

_CASE: Final = "tests/simulation/test_conditions.py::test_each_part_of_condition_is_needed"

CONDITION_GUARDS: Final = tuple(
    Mutant(
        name=f"{step}: {part}", rule=rule, drops=(step, part), cases=(f"{_CASE}[{step}: {part}]",)
    )
    for step, (rule, parts) in _PARTS.items()
    for part in parts
)
