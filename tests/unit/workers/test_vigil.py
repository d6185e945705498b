"""The company of an attempt ends its process once, and not after the attempt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from tests.kit.records import NOW, an_assignment
from tests.kit.world import World
from workpool_aws import process
from workpool_aws.api.vigil import Vigil
from workpool_aws.model.ids import EpochMs

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Body = Callable[[Callable[[int], bool]], None]


class Kept:
    """A process that runs nothing beside by itself, and notes how it is ended."""

    def __init__(self) -> None:
        self.beyond: dict[str, Body] = {}
        self.notes: list[str] = []

    def beside(self, name: str, body: Body) -> Kept:
        self.beyond[name.removeprefix("workpool-")] = body
        return self

    def stop(self) -> None:
        self.notes.append("stop")

    def interrupted_after(
        self, _delay_ms: int, _error: Callable[[], BaseException]
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def end(self) -> None:
        self.notes.append("end")

    def await_end(self) -> None:
        self.notes.append("await")


@pytest.mark.parametrize(
    ("ends", "notes"),
    [
        ([], ["stop"] * 3),
        (["timeout"], ["end", *["stop"] * 3, "await"]),
        (["lease"], ["end", *["stop"] * 3, "await"]),
        (["timeout", "lease", "timeout"], ["end", *["stop"] * 3, "await"]),
    ],
)
def test_process_is_ended_once_and_awaited(ends: list[str], notes: list[str]) -> None:
    world, kept = World(), Kept()
    token = process.current.set(kept)
    try:
        vigil = Vigil(
            world.ports,
            an_assignment(timeout_ms=1_000, heartbeat_ms=60_000),
            None,
            EpochMs(NOW),
            EpochMs(NOW + 600_000),
        )
        with vigil.kept():
            world.clock.at += 600_000
            for each in ends:
                kept.beyond[each](lambda _ms: False)
    finally:
        process.current.reset(token)

    assert {*kept.beyond} == {"heartbeat", "lease", "timeout"}
    assert kept.notes == notes
    kept.beyond["timeout"](lambda _ms: False)  # after the attempt
    assert kept.notes == notes
