"""Fields of public records that may be left out: users make such records in their own tests."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta

import pytest

import workpool_aws
from workpool_aws import insights

NONE = dict.fromkeys
RUNNING = {
    **NONE(["callback", "last_error", "progress", "note", "heartbeat_at"]),
    "attempts": (),
}
DEFAULTS: dict[str, dict[str, object]] = {
    "Group": {
        **NONE(["total", "enqueued", "succeeded", "failed", "canceled"], 0),
        **NONE(["target", "job", "created_at", "finished_at", "follow_up", "callback"]),
    },
    "JobStats": {"minutes": (), "at_least": False},
    "ListedWork": {**RUNNING, **NONE(["job", "dead_at", "stands_for"])},
    "PoolConfig": {"rate_limit": None},
    "RateLimit": {"burst": None},
    "Result": NONE(["return_value", "error", "error_type"]),
    "RetryPolicy": {
        "max_attempts": 5,
        "initial_backoff": timedelta(milliseconds=250),
        "base": 2.0,
        "max_backoff": None,
        "jitter": True,
    },
    "Stats": {
        "minutes": (),
        "next_token_at": None,
        "pending_at_least": False,
        "scheduled_at_least": False,
        "jobs": {},
    },
    "Status": RUNNING,
    "StoredPayload": {"missing": False},
    "Why": NONE(["group", "unique_key", "key_holder"]),
    "WhyReason": {"since": None, "until": None, "blocks": False, "work_ids": ()},
    "Work": {"_store_progress": None},
    "ErrorGroup": {"state": "open", "marked_at": None, "marked_by": None, "since": 0},
    "WorkFilter": {
        **NONE(["state", "fn", "error", "args", "since", "before", "group"]),
        "order": "newest",
        "limit": 50,
    },
}


def records() -> dict[str, type]:
    public = {
        name: getattr(home, name) for home in (workpool_aws, insights) for name in home.__all__
    }
    return {
        name: each for name, each in public.items() if isinstance(each, type) and is_dataclass(each)
    }


def defaults_of(record: type) -> dict[str, object]:
    return {
        each.name: each.default if each.default_factory is MISSING else each.default_factory()
        for each in fields(record)
        if each.default is not MISSING or each.default_factory is not MISSING
    }


def test_every_public_record_with_defaults_is_here() -> None:
    assert {name for name, record in records().items() if defaults_of(record)} == {*DEFAULTS}


@pytest.mark.parametrize("name", DEFAULTS)
def test_field_of_public_record_has_its_default(name: str) -> None:
    assert defaults_of(records()[name]) == DEFAULTS[name]
