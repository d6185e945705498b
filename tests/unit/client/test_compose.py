"""The composition root: whose ports a pool gets, and how long they are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

import pytest

from tests.kit.world import TABLE, World
from workpool_aws import UsageError, compose
from workpool_aws.adapters.aws import clients
from workpool_aws.adapters.telemetry import LoggerTelemetry
from workpool_aws.insights import Insights
from workpool_aws.ports import Ports


@dataclass
class Made:
    """The ports that were made, each with its session."""

    world: World
    sessions: list[tuple[str, object]]

    def make(self, table: str, session: object = None) -> Ports:
        self.sessions.append((table, session))
        return replace(self.world.ports, table=table)


@pytest.fixture
def made(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    found = Made(world, [])
    monkeypatch.setattr(clients, "aws_ports", found.make)
    monkeypatch.setattr(compose, "_cache", {})
    return found


SESSION: Any = object()


def test_process_keeps_ports_of_table(made: Made) -> None:
    first, again, other = (compose.ports_for(table) for table in ("t", "t", "u"))

    assert first is again is not other
    assert made.sessions == [("t", None), ("u", None)]


def test_ports_of_session_are_kept_by_its_owner_alone(made: Made) -> None:
    kept: dict[str, Ports] = {}

    own, again = (compose.ports_for("t", SESSION, kept=kept) for _ in range(2))
    apart, shared = compose.ports_for("t", SESSION), compose.ports_for("t")

    assert own is again is kept["t"]
    assert len({id(each) for each in (own, apart, shared)}) == 3
    assert made.sessions == [("t", SESSION), ("t", SESSION), ("t", None)]


def test_pool_with_session_keeps_its_ports_and_one_without_shares_them(made: Made) -> None:
    mine = compose.Connection(session=SESSION, ports=None, log_level=None)
    ours = [compose.Connection(session=None, ports=None, log_level=None) for _ in range(2)]

    assert mine("t") is mine("t")
    assert ours[0]("t") is ours[1]("t") is not mine("t")
    assert made.sessions == [("t", SESSION), ("t", None)]


def test_insights_with_session_keep_their_ports_and_those_without_share_them(made: Made) -> None:
    mine, other = (Insights("t", session=SESSION) for _ in range(2))
    ours = [Insights("t") for _ in range(2)]
    for each in (mine, mine, other, *ours, *ours):
        each.pool_of("email").config(None)

    assert made.sessions == [("t", SESSION), ("t", SESSION), ("t", None)]


def test_ports_that_are_given_are_for_their_own_table(made: Made, world: World) -> None:
    connect = compose.Connection(session=None, ports=world.ports, log_level=None)
    same_name = "".join(TABLE)

    assert connect(same_name) is world.ports
    assert connect("other").table == "other"
    assert made.sessions == [("other", None)]


def test_level_is_for_ports_that_log(world: World) -> None:
    telemetry = LoggerTelemetry(logging.WARNING)
    logging_ports = replace(world.ports, telemetry=telemetry)

    def level_of(log_level: int | None, ports: Ports) -> object:
        return compose.Connection(session=None, ports=ports, log_level=log_level)(TABLE).telemetry

    louder = level_of(logging.DEBUG, logging_ports)

    assert isinstance(louder, LoggerTelemetry)
    assert (louder._level, telemetry._level) == (logging.DEBUG, logging.WARNING)
    assert level_of(None, logging_ports) is telemetry
    assert level_of(logging.DEBUG, world.ports) is world.ports.telemetry


def test_other_threads_are_refused_while_cloud_stands_in(made: Made) -> None:
    def refusals() -> list[str]:
        found: list[str] = []

        def ask() -> None:
            try:
                compose.ports_for("t")
            except UsageError as error:
                found.append(str(error))

        thread = Thread(target=ask, name="a stranger")
        thread.start()
        thread.join()
        return found

    before = compose.stands_in()
    with compose.keep_from_aws("one of the outer cloud"):
        with compose.keep_from_aws("one of the inner cloud"):
            within = refusals(), compose.stands_in()
        outside = refusals()

    assert within == (["thread must be one of the inner cloud; got 'a stranger'"], True)
    assert outside == ["thread must be one of the outer cloud; got 'a stranger'"]
    assert (before, compose.stands_in(), refusals()) == (False, False, [])


def test_cloud_gives_its_own_ports_and_needs_no_session(made: Made, world: World) -> None:
    with compose.use_ports(lambda table: replace(world.ports, table=f"local-{table}")):
        found = compose.ports_for("t", SESSION), compose.session_for(profile="none", region=None)
    after = compose.ports_for("t")

    assert (found[0].table, found[1], after.table) == ("local-t", None, "t")


def test_session_has_region_and_profile_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(clients, "session_of", lambda **options: asked.append(options) or SESSION)

    assert compose.session_for(profile="p", region="eu-west-1") is SESSION
    assert asked == [{"profile": "p", "region": "eu-west-1"}]
