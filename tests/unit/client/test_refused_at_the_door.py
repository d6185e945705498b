"""Values that a call cannot take are refused before anything is read or written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kit.lambdas import LambdaContext
from tests.kit.world import World
from workpool_aws import UsageError, Workpool
from workpool_aws.adapters.guests.draft import GuestDraft, guest_place, read_places
from workpool_aws.api.work import timer_of
from workpool_aws.core import limits
from workpool_aws.handlers.main_loop import handler
from workpool_aws.model.actions import GuestPlace

MINUTE = timedelta(minutes=1)
Refused = Callable[[Any], object]


def in_transaction(act: Callable[[Any, Any], object]) -> Refused:
    """An act on a pool and an open transaction, which is left without a commit."""

    def run(pool: Any) -> None:
        with pool.transaction(None) as tx:
            act(pool, tx)
            raise AssertionError("it was taken")

    return run


def key_twice(_pool: Any, tx: Any) -> None:
    tx.delete("accounts", {"id": "a"})
    tx.delete("accounts", {"other": "a"})


REFUSED: list[tuple[str, Refused]] = [
    ("receipt must be True or False", lambda pool: pool.transaction(None, receipt=1)),
    ("fn must be a function whose first parameter", lambda pool: pool.run_transaction(7)),
    ("transaction must be a Transaction, or a Prepared", lambda pool: pool.kick(None, 7)),
    ("transaction must be a Transaction, or a Prepared", lambda pool: pool.resolve(None, 7)),
    (
        "transaction must be an applied one; got one that is not applied",
        lambda pool: pool.kick(None, pool.transaction(None)),
    ),
    (
        "transaction must be one that was sent; got one that was not sent",
        lambda pool: pool.resolve(None, pool.transaction(None)),
    ),
    (
        "require_pending must be True or False",
        lambda pool: pool.cancel(None, "x", require_pending=1),
    ),
    (
        "require_pending must be False without a transaction",
        lambda pool: pool.cancel(None, "x", require_pending=True),
    ),
    (
        "condition must be an Attr condition of boto3, or an expression",
        in_transaction(lambda _, tx: tx.check("accounts", {"id": "a"}, None)),
    ),
    ("key must be the key of an item", in_transaction(lambda _, tx: tx.delete("accounts", {}))),
    ("key must be of the attributes id, as in the call before", in_transaction(key_twice)),
    (
        "version must be the name of an attribute",
        in_transaction(lambda _, tx: tx.get("accounts", {"id": "a"}, version="")),
    ),
    ("places must be pairs", in_transaction(lambda _, tx: tx.get_all(7))),
    ("places must be pairs", in_transaction(lambda _, tx: tx.get_all({"accounts": {}}))),
    (
        r"places\[1\] must be a table and a key",
        in_transaction(lambda _, tx: tx.get_all([("accounts", {"id": "a"}), "x"])),
    ),
    (
        "cancel_pending must be True or False",
        lambda pool: pool.unschedule(None, "s", cancel_pending=1),
    ),
    (
        "name must be given once",
        lambda pool: pool.sync_schedules(
            None, [{"name": "s", "fn": "f", "args": {}, "every": MINUTE}] * 2, owner="o"
        ),
    ),
    (
        "unique_key must be one of the options run_after",
        lambda pool: pool.enqueue_group(None, "f", [{}], unique_key="k"),
    ),
    (
        "args must be a list of 1 to",
        lambda pool: pool.enqueue_group(None, "f", []),
    ),
]


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.mark.parametrize(("said", "act"), REFUSED, ids=[said for said, _ in REFUSED])
def test_call_refuses_value_and_stores_nothing(world: World, said: str, act: Refused) -> None:
    pool: Workpool = world.pool()

    with pytest.raises(UsageError, match=f"^{said}"):
        act(pool)

    assert [*world.works(), *world.pointers(), *world.dones()] == []


def test_places_are_pairs_of_any_sequence() -> None:
    assert read_places([["t", 1], ("u", 2)]) == [("t", 1), ("u", 2)]
    assert guest_place("t", {"id": "a"}, own_table="jobs") == GuestPlace(
        table="t", key={"id": {"S": "a"}}
    )
    assert GuestDraft("jobs").guests() == ()


def test_item_of_library_is_none_of_users_and_others_of_its_table_are() -> None:
    with pytest.raises(UsageError, match="key must be that of an item of yours"):
        guest_place("jobs", {"pk": "email#control", "sk": "x"}, own_table="jobs")
    own = {"pk": "mine", "sk": "x"}
    assert guest_place("jobs", own, own_table="jobs").table == "jobs"
    assert guest_place("other", {"pk": "email#control"}, own_table="jobs").table == "other"


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (True, r"context.get_remaining_time_in_millis\(\) must be a number of milliseconds"),
        ("5", r"context.get_remaining_time_in_millis\(\) must be a number of milliseconds"),
        (float("nan"), r"context.get_remaining_time_in_millis\(\) must be a number"),
        (KeyError("no"), "context must be .*got one that raised KeyError"),
    ],
)
def test_context_without_time_is_refused(left: object, said: str) -> None:
    def remaining() -> object:
        if isinstance(left, Exception):
            raise left
        return left

    context = SimpleNamespace(get_remaining_time_in_millis=remaining)
    with pytest.raises(UsageError, match=f"^{said}"):
        timer_of(context)()


def test_time_of_context_is_within_that_of_invocations() -> None:
    def left(value: float) -> int:
        return timer_of(SimpleNamespace(get_remaining_time_in_millis=lambda: value))()

    assert [left(-1), left(0.9), left(5), left(10**12)] == [0, 0, 5, limits.INVOCATION_MS_MAX]
    for value in (None, 7):
        with pytest.raises(UsageError, match="context must be"):
            timer_of(value)


def test_loop_refuses_event_that_names_no_pool() -> None:
    with pytest.raises(UsageError, match=r"^event must be an object with a loop request.*the keys"):
        handler({"b": 1, "a": 2}, LambdaContext())
