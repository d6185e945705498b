"""Handlers of the package refuse events that are not theirs, before they read or write anything."""

from __future__ import annotations

from typing import Any, cast

import pytest

from workpool_aws import UsageError
from workpool_aws.handlers import watchdog
from workpool_aws.handlers.own import refuse_other_table, refuse_work_item
from workpool_aws.local import LocalCloud


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"workpool_watchdog": "jobs"},
        {"workpool_watchdog": ["jobs"]},
        {"workpool_watchdog": {}},
        {"workpool_watchdog": {"table": ""}},
        {"workpool_watchdog": {"table": 1}},
        {"workpool_watchdog": {"table": None}},
        {"source": "aws.events", 1: 2},
    ],
    ids=str,
)
def test_watchdog_refuses_event_without_table(event: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        watchdog.handler(event, cast("Any", None))

    keys = sorted(map(str, event))
    assert str(refused.value) == (
        "event must be an object with a table under its key 'workpool_watchdog'; "
        f"got the keys {keys}"
    )


@pytest.mark.parametrize("event", [None, "text", 1, ["workpool_watchdog"]], ids=str)
def test_refuse_work_item_names_type_of_event_that_is_no_object(event: object) -> None:
    with pytest.raises(UsageError) as refused:
        refuse_work_item(cast("Any", event))

    assert refused.value.field == "event"
    assert str(refused.value).startswith("event must be a JSON object; got ")


def test_refuse_work_item_refuses_event_of_work_item() -> None:
    with pytest.raises(UsageError) as refused:
        refuse_work_item({"_workpool": {}})

    assert refused.value.field == "target"
    assert str(refused.value).endswith("; got an event of a work item")


def test_refuse_other_table_names_both_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKPOOL_TABLE", "jobs")

    with pytest.raises(UsageError) as refused:
        refuse_other_table("other")

    assert str(refused.value) == "table must be 'jobs', the table of this function; got 'other'"


@pytest.mark.parametrize("table", ["jobs", "arn:aws:dynamodb:eu-west-1:123456789012:table/jobs"])
def test_refuse_other_table_takes_own_one(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKPOOL_TABLE", "jobs")

    refuse_other_table(table)


def test_refuse_other_table_takes_that_of_a_local_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the variable is the developer's, and describes none of the cloud's functions."""
    monkeypatch.setenv("WORKPOOL_TABLE", "jobs")

    with LocalCloud() as cloud:
        refuse_other_table(cloud.table)


def test_refuse_other_table_takes_any_without_one_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WORKPOOL_TABLE", raising=False)

    refuse_other_table("other")
