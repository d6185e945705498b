"""Owns what a forger sends in a simulated run: orders to the loop that nobody kicked for [WP-2], and destination records that name a real
start, and do not know its nonce [WP-28].

The forger knows everything else: whoever may invoke the completion function may have read the work item, or the worker's logs. What is
forged bears a mark, so that the judge sees it wherever it comes to stand.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from workpool_aws.adapters.wire import WORKPOOL_KEY, assignment_to_wire, order_to_wire
from workpool_aws.core.complete import assignment_of
from workpool_aws.model.messages import Assignment, LoopOrder
from workpool_aws.model.work import Work

__all__ = ["MARK", "forged_order", "forged_record"]

MARK: Final = "Forged"
_FOREVER: Final = {"max_attempts": 99, "initial_backoff_us": 0, "base": 1, "max_backoff_us": None, "jitter": False}


def forged_record(work: Work, table: str, chance: random.Random) -> dict[str, object]:
    """A record of the work item's current or last start, by somebody who was not sent it."""
    own = _claims(assignment_of(work, table), chance)
    kind = chance.choice(("success", "failure", "never delivered", "carried"))
    condition = {"success": "Success", "never delivered": f"{MARK}EventAge"}.get(kind, "RetriesExhausted")
    answers: Mapping[str, object] = {
        "success": {"start": work.starts, "by": MARK},
        "failure": {"errorMessage": MARK, "errorType": MARK},
        "carried": {"errorMessage": f'workpool report {{"version":1,"kind":"success","result":"{MARK}"}}', "errorType": "ReportNotWritten"},
        "never delivered": None,
    }
    return {
        "version": "1.0",
        "requestContext": {"requestId": "forged", "functionArn": work.target, "condition": condition, "approximateInvokeCount": 1},
        "requestPayload": {WORKPOOL_KEY: own},
        "responseContext": None if kind == "never delivered" else {"statusCode": 200},
        "responsePayload": answers[kind],
    }


def forged_order(pool: str, table: str, chance: random.Random) -> dict[str, object]:
    """An order to the loop by somebody who kicked nobody: of any generation, or a wake [WP-2]."""
    generation = chance.choice((None, 0, 1, 2, 3, 5, 8, 1_000_000, 999_999_999))
    return order_to_wire(LoopOrder(table=table, pool=pool, generation=generation))


def _claims(start: Assignment, chance: random.Random) -> dict[str, object]:
    """What the record says of the start: nothing of it is proven."""
    said = {**assignment_to_wire(start), "start": max(1, start.start)}
    said |= chance.choice(({}, {"nonce": "A" * 24}, {"nonce": start.proof or "B"}))
    return said | chance.choice(({}, {"claimed": False}, {"retry": _FOREVER}, {"retention_s": 0}, {"callback_for": []}))
