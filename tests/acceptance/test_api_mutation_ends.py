"""Mutations and callbacks with effect whose transaction is refused, never settled, or not followed up [WP-15]."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import (
    NotKicked,
    OnCompleteEvent,
    StoreUnavailable,
    Transaction,
    TransactionCanceled,
    TransactionConflict,
    UsageError,
    WorkpoolError,
)
from workpool_aws.api.anchored import AnchoredTransaction
from workpool_aws.core import limits
from workpool_aws.flow.report.complete import MutationEnd
from workpool_aws.local import LocalCloud


class Commits:
    """Refuses every commit, with the time that Lambda has left after each."""

    def __init__(self, error: WorkpoolError, left_ms: tuple[int, ...] = ()) -> None:
        self.error = error
        self.left_ms = left_ms
        self.made = 0
        self.invocations = 0

    def refuse(self) -> None:
        self.made += 1
        raise self.error

    def timer_of(self, _context: object) -> object:
        self.invocations += 1
        return lambda: self.left_ms[self.made - 1]


def refuse(monkeypatch: pytest.MonkeyPatch, commits: Commits, module: str) -> None:
    def commit_with(_tx: AnchoredTransaction, _anchor: object) -> None:
        commits.refuse()

    monkeypatch.setattr(AnchoredTransaction, "commit_with", commit_with)
    if commits.left_ms:
        monkeypatch.setattr(f"workpool_aws.api.{module}.timer_of", commits.timer_of)


def noting(worker: Callable[..., object], answered: list[object]) -> Callable[..., object]:
    """The worker, which notes its answers: one that fails gives none."""

    def handler(event: dict[str, object], context: object) -> object:
        answered.append(worker(event, context))
        return answered[-1]

    return handler


BUSY = TransactionConflict("busy")
ENDS = limits.ANCHORED_END_MS


@pytest.mark.parametrize(
    ("error", "error_type", "commits"),
    [
        (TransactionCanceled((), stale=False), "TransactionCanceled", 1),
        (TransactionCanceled((), stale=True), "conflict", 3),
        (BUSY, "conflict", 3),
        (StoreUnavailable("nothing was applied"), "StoreUnavailable", 1),
        (
            StoreUnavailable("it may be applied", maybe_applied=True),
            "StoreUnavailable",
            limits.TRANSACTION_UNANSWERED_MAX,
        ),
        (UsageError("transaction", 1, "another one"), "NonRetryableError", 1),
    ],
    ids=["canceled", "stale", "busy", "unavailable", "in doubt", "misused"],
)
def test_mutation_fails_by_what_its_transaction_met(
    monkeypatch: pytest.MonkeyPatch, error: WorkpoolError, error_type: str, commits: int
) -> None:
    refused = Commits(error, (ENDS + 1, ENDS + 1, *[ENDS] * limits.TRANSACTION_UNANSWERED_MAX))
    refuse(monkeypatch, refused, "mutation")
    answered: list[object] = []
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.mutation
        def change(tx: Transaction) -> None:
            del tx

        arn = cloud.function(noting(change, answered))
        work_id = pool.enqueue_mutation(None, arn, {}, retry=False)
        cloud.run_until_idle()
        found = pool.result(None, work_id)

    assert (found.error_type, refused.made) == (error_type, commits)
    assert len(answered) == 1, "the worker reports it, and does not fail"


def test_callback_runs_again_while_there_is_time_to_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Commits(BUSY, (ENDS + 1, ENDS, ENDS + 1, ENDS + 1))
    refuse(monkeypatch, refused, "on_complete")
    ran: list[int] = []
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.on_complete
        def done(event: OnCompleteEvent, tx: Transaction) -> None:
            del event, tx
            ran.append(refused.made)
            if refused.made == 2:
                monkeypatch.undo()

        cloud.function(done)
        echo = cloud.function(lambda event, _: event, name="echo")
        work_id = pool.enqueue_action(None, echo, {}, on_complete=done)
        cloud.run_until_idle()
        found = pool.status(None, work_id)

    assert ran[:3] == [0, 1, 2]
    assert (found.callback, refused.made, refused.invocations) == ("delivered", 2, 2)


@pytest.mark.parametrize(
    ("step", "lost", "reason", "next_at_once"),
    [
        (AnchoredTransaction, NotKicked("no answer"), "enqueue", True),
        (AnchoredTransaction, StoreUnavailable("no answer"), "enqueue", False),
        (MutationEnd, StoreUnavailable("no answer"), "complete", False),
    ],
    ids=["kick of its work items", "sight of its work items", "notice of its end"],
)
def test_mutation_stands_when_a_step_after_its_commit_is_lost(
    monkeypatch: pytest.MonkeyPatch,
    step: type,
    lost: StoreUnavailable,
    reason: str,
    next_at_once: bool,
) -> None:
    """The loss is reported. The slot is free at once if the loop may hear of the end, else after the deadline."""

    def lose(_self: object) -> None:
        monkeypatch.undo()
        raise lost

    with LocalCloud() as cloud:
        pool, ran = cloud.workpool(max_parallelism=1), []

        @pool.mutation
        def change(tx: Transaction) -> None:
            del tx
            ran.append(cloud.now)

        cloud.function(change, timeout=timedelta(seconds=30))
        monkeypatch.setattr(step, "follow_up", lose)
        both = [change.enqueue(None), change.enqueue(None)]
        cloud.run_until_idle()

        assert [pool.status(None, each).outcome for each in both] == ["success"] * 2
        assert (ran[1] - ran[0] < timedelta(seconds=10)) == next_at_once
        assert len(ran) == 2
        failed = [fact for fact in cloud.facts if fact.name == "kick_failed"]
        assert [(fact.reason, fact.pool, fact.error) for fact in failed] == [
            (reason, "default", "no answer")
        ]


def test_mutation_whose_commit_got_no_answer_is_followed_up_if_it_is_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit_with, ran, answered = AnchoredTransaction.commit_with, [], []

    def lose(tx: AnchoredTransaction, anchor: Any) -> None:
        monkeypatch.undo()
        commit_with(tx, anchor)
        raise StoreUnavailable("no answer", maybe_applied=True)

    with LocalCloud() as cloud:
        pool = cloud.workpool(max_parallelism=1)

        @pool.mutation
        def change(tx: Transaction) -> None:
            del tx
            ran.append(cloud.now)

        arn = cloud.function(noting(change, answered), timeout=timedelta(seconds=30))
        monkeypatch.setattr(AnchoredTransaction, "commit_with", lose)
        both = [pool.enqueue_mutation(None, arn, {}) for _ in range(2)]
        cloud.run_until_idle()

        assert [pool.status(None, each).outcome for each in both] == ["success"] * 2
    assert len(ran) == len(answered) == 2, "the first did not run again"
    assert ran[1] - ran[0] < timedelta(seconds=10), "its slot was free at once"
