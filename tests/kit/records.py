"""Factories of records. Everything has a default, so that a test names only what it is about.

A test makes a `WorkItem` here and nowhere else: `a_work` makes it, `changed` alters it.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from workpool_aws.core.proof import digest_of
from workpool_aws.core.views.stats import Stats
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import Config
from workpool_aws.model.messages import Assignment
from workpool_aws.model.payload import NO_ARGS, Inline, Part
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import CallbackSpec, Kind, Spec
from workpool_aws.model.work import State, WorkItem

POOL = "email"
NOW = EpochMs(1_767_225_600_000)
NONCE = "nonce-of-the-first-start"
PROOF = digest_of(NONCE)
TARGET = "arn:aws:lambda:us-east-1:123456789012:function:send_email"
DONE = "arn:aws:lambda:us-east-1:123456789012:function:done"

_OF_SPEC = {each.name for each in fields(Spec)} - {"callback"}  # which is the state of one
_OF_CALLBACK = {
    "on_complete": "target",
    "context": "context",
    "callback_outcomes": "outcomes",
    "callback_job": "job",
}


def an_id(at: int = NOW, n: int = 1, *, shard: int = 0) -> WorkId:
    return WorkId(make_id(EpochMs(at), random_bits=n, shard=shard))


def a_work(**changes: Any) -> WorkItem:
    """Return a pending action, due and enqueued now, not retried and so claimed."""
    due_at = changes.get("due_at", NOW)
    assert isinstance(due_at, int)
    work = WorkItem(
        pool="email",
        id=an_id(due_at),
        spec=Spec(
            target=TARGET,
            args=NO_ARGS,
            kind=Kind.ACTION,
            retry=None,
            claimed=True,
            retention_s=86_400,
        ),
        state=State.PENDING,
        due_at=EpochMs(due_at),
        enqueued_at=NOW,
    )
    return changed(work, **changes)


def changed(work: WorkItem, **changes: Any) -> WorkItem:
    """Return the work item with other values in these fields.

    Fields of its spec are named as its own, and so are those of its callback: `on_complete`,
    `context`, `callback_outcomes`, `callback_job`. The text of a payload stands for one that lies in the item.
    """
    for part in Part:
        if isinstance(changes.get(part), str):
            changes[part] = Inline(changes[part])
    wanted = {to: changes.pop(name) for name, to in _OF_CALLBACK.items() if name in changes}
    asked = {name: changes.pop(name) for name in _OF_SPEC & changes.keys()}
    if any(wanted.values()) or work.spec.callback is not None:
        asked["callback"] = _callback(work.spec.callback, **wanted)
    return replace(work, spec=replace(work.spec, **asked), **changes)


def _callback(old: CallbackSpec | None, **changes: Any) -> CallbackSpec | None:
    if "target" in changes and changes["target"] is None:
        return None
    return replace(old or CallbackSpec(target=DONE), **changes)


def a_config(**changes: Any) -> Config:
    """Return the config that a first enqueue stores, with four slots."""
    return Config(
        **{
            "pool": POOL,
            "version": 1,
            "max_parallelism": 4,
            "base_by": "caller",
            "base_at": NOW,
            **changes,
        }
    )


def a_running_work(**changes: Any) -> WorkItem:
    """Return the first start of `a_work`, by the loop "loop-1", with a minute to go."""
    running = {
        "state": State.RUNNING,
        "starts": 1,
        "started_by": "loop-1",
        "started_at": NOW,
        "deadline": EpochMs(NOW + 60_000),
        "proof": PROOF,
    }
    return a_work(**{**running, **changes})


def an_assignment(**changes: Any) -> Assignment:
    """Return the assignment that the worker of `a_running_work` gets."""
    assignment = Assignment(
        table="t",
        pool="email",
        work_id=an_id(),
        start=1,
        attempts_made=0,
        kind=Kind.ACTION,
        retry=None,
        claimed=True,
        retention_s=86_400,
        start_by=EpochMs(NOW + 30_000),
        nonce=NONCE,
        proof=PROOF,
    )
    return replace(assignment, **changes)


def a_policy(**changes: Any) -> RetryPolicy:
    """Return the default policy without jitter."""
    return replace(RetryPolicy(jitter=False), **changes)


NO_STATS = Stats(
    pending=0,
    scheduled=0,
    at_least=False,
    running=0,
    oldest_pending_s=None,
    executions=0,
    error_rate=None,
    permanent_failure_rate=None,
    start_lag_p50_ms=None,
    start_lag_p95_ms=None,
)
"""The statistics of a pool that has done nothing."""
