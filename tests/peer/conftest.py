"""Clouds for the peer's cases: a calm one, stormy ones, and one on an engine that is not our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Fault, Faults

STORMS = [f"storm-{seed}" for seed in range(4)]
TROUBLE = {
    Fault.ANSWER_LOST: 0.15,
    Fault.THROTTLED: 0.1,
    Fault.EVENT_TWICE: 0.3,
    Fault.RECORD_TWICE: 0.3,
    Fault.LOOP_LOST: 0.2,
    Fault.WAKE_LATE: 0.5,
    Fault.WAKE_TWICE: 0.3,
}
"""Faults that change no outcome: no process dies, and no worker's event is lost."""

OpenCloud = Callable[..., LocalCloud]


@pytest.fixture
def open_cloud(request: pytest.FixtureRequest) -> Iterator[OpenCloud]:
    """Opens a cloud of the kind that the test's parameter names.

    `rates`: faults beside those of a storm, in a calm too.
    """
    with ExitStack() as clouds:

        def opened(rates: dict[Fault, float] | None = None, budget: int = 0) -> LocalCloud:
            kind: str = request.param
            if kind == "moto":
                return clouds.enter_context(LocalCloud(clock="virtual", engine="moto"))
            stormy = kind.startswith("storm")
            faults = Faults(
                rates={**(TROUBLE if stormy else {}), **(rates or {})},
                budget=budget + 8 * stormy,
                jitter_ms=150 * stormy,
            )
            seed = int(kind.partition("-")[2] or 0)
            latency = timedelta(milliseconds=5)
            return clouds.enter_context(
                LocalCloud(
                    engine="memory",
                    seed=seed,
                    call_latency=latency,
                    scheduler="aws" if stormy else "exact",
                    faults=faults,
                )
            )

        yield opened


@pytest.fixture
def cloud(open_cloud: OpenCloud) -> LocalCloud:
    return open_cloud()


@pytest.fixture
def is_calm(request: pytest.FixtureRequest) -> bool:
    """True if timing may be judged. In a storm, messages are late and lost."""
    return "storm" not in request.node.name
