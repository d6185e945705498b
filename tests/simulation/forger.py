"""Events and items of a forger in a simulated run.

They are orders to the loop without a kick [WP-2], destination records that name a real start and do
not know its nonce [WP-28], and meaningless items among those of a pool [WP-12].

The forger knows everything else, since a caller that may invoke the completion function may have
read the work item, or the worker's logs. Each forgery bears a mark, by which the judge sees it
wherever it comes to stand.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.adapters.wire.loop import request_to_wire
from workpool_aws.core.report.claim import assignment_of, assignment_to_start
from workpool_aws.model.ids import EpochMs, make_id
from workpool_aws.model.messages import Assignment, LoopRequest
from workpool_aws.model.work import State, WorkItem

__all__ = ["MARK", "forged_event", "forged_item", "forged_order", "forged_record"]

MARK: Final = "Forged"
_LAST_START: Final = 0.5
_FOREVER: Final = {
    "max_attempts": 99,
    "initial_backoff_us": 0,
    "base": 1,
    "max_backoff_us": None,
    "jitter": False,
}


def forged_record(work: WorkItem, table: str, chance: random.Random) -> dict[str, object]:
    """A record of the work item's current, last or next start, by a forger that was not sent it."""
    own = _claims(_next_or_last(work, table, chance), chance)
    kind = chance.choice(("success", "failure", "never delivered", "carried"))
    condition = {"success": "Success", "never delivered": f"{MARK}EventAge"}.get(
        kind, "RetriesExhausted"
    )
    answers: Mapping[str, object] = {
        "success": {"start": work.starts, "by": MARK},
        "failure": {"errorMessage": MARK, "errorType": MARK},
        "carried": {
            "errorMessage": f'workpool report {{"version":1,"kind":"success","result":"{MARK}"}}',
            "errorType": "ReportNotWritten",
        },
        "never delivered": None,
    }
    return {
        "version": "1.0",
        "requestContext": {
            "requestId": "forged",
            "functionArn": work.spec.target,
            "condition": condition,
            "approximateInvokeCount": 1,
        },
        "requestPayload": {WORKPOOL_KEY: own},
        "responseContext": None if kind == "never delivered" else {"statusCode": 200},
        "responsePayload": answers[kind],
    }


def forged_event(work: WorkItem, table: str, number: int, chance: random.Random) -> object:
    """A forged event for a decorated worker, to make the work item's current or next start."""
    start = work.starts + 1 if work.state is State.PENDING else work.starts
    own = assignment_to_start(work, table, max(1, start))
    forged = replace(own, nonce=f"{MARK}{'A' * 12}", permit=_permit(chance))
    return {"number": number, WORKPOOL_KEY: assignment_to_wire(forged)}


def forged_order(pool: str, table: str, chance: random.Random) -> dict[str, object]:
    """An order to the loop without a kick: of any generation, or a wake [WP-2]."""
    generation = chance.choice((None, 0, 1, 2, 3, 5, 8, 1_000_000, 999_999_999))
    return request_to_wire(LoopRequest(table=table, pool=pool, generation=generation))


def forged_item(
    pool: str, now: EpochMs, chance: random.Random
) -> tuple[str, str, dict[str, object]]:
    """A meaningless item in the pool: partition, sort key, attributes [WP-12].

    None takes a slot or names a start. A program that may write the pool's items may do that, since
    there is no boundary within a pool.
    """
    nobody = make_id(now, random_bits=chance.getrandbits(75))
    key = make_id(
        EpochMs(now + chance.choice((-20_000, 0, 300, 90_000))), random_bits=chance.getrandbits(75)
    )
    huge = chance.choice((-1, 10**15, 10**37, True, "1" * 400, [], {MARK: MARK}, MARK))
    work = {"t": "w", "s": "pending", "due": huge, "st": huge}
    rows: tuple[dict[str, object], ...] = ({}, {"t": MARK}, {"t": "w"}, work, {"t": "p", "w": huge})
    place, row = chance.choice(
        (
            *((f"{pool}#work#0", each) for each in (*rows, {"t": "p", "w": nobody})),
            *(
                (f"{pool}#done#0", each)
                for each in (
                    *rows,
                    {"w": nobody, "st": huge, "k": "finished"},
                    {"w": huge, "st": 1, "k": MARK},
                )
            ),
            ("#pools", {"at": huge}),
        )
    )
    return place, f"0-{MARK}" if place == "#pools" else key, row


def _next_or_last(work: WorkItem, table: str, chance: random.Random) -> Assignment:
    if work.starts and chance.random() < _LAST_START:
        return assignment_of(work, table)
    own = assignment_to_start(work, table, work.starts + 1)
    return replace(own, permit=_permit(chance))


def _permit(chance: random.Random) -> str:
    return chance.choice(("A" * 12, MARK, "B"))


def _claims(start: Assignment, chance: random.Random) -> dict[str, object]:
    """The start as the record describes it, without a proof."""
    said = {**assignment_to_wire(start), "start": max(1, start.start)}
    said |= chance.choice(({}, {"nonce": "A" * 24}, {"nonce": start.proof or "B"}))
    return said | chance.choice(
        ({}, {"claimed": False}, {"retry": _FOREVER}, {"retention_s": 0}, {"callback_for": []})
    )
