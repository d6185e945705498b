"""A Lambda without pools: functions, queue and schedules on the virtual kernel."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.rates import Rates
from workpool_aws.local.kernel.chance import SeededChooser
from workpool_aws.local.kernel.virtual import START, VirtualKernel
from workpool_aws.local.services.functions import Function, Handler
from workpool_aws.local.services.invocations import Invocation
from workpool_aws.local.services.platform import Platform
from workpool_aws.model.ids import EpochMs
from workpool_aws.ports import Ports


def no_ports(table: str) -> Ports:
    raise AssertionError(f"nothing here has a table, least of all {table!r}")


@dataclass(slots=True)
class Bench:
    """A platform with a listener that collects destination records."""

    platform: Platform
    kernel: VirtualKernel
    records: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def deploy(self, handler: Handler, **config: Any) -> str:
        """A function whose outcomes all lead to the listener; its ARN."""
        self._listen()
        listener = "arn:aws:lambda:us-east-1:123456789012:function:listener"
        leads = {
            "on_success": listener,
            "on_failure": listener,
            "name": getattr(handler, "__name__", "handler"),
            **config,
        }
        return self.platform.functions.add(Function(handler=handler, **leads)).arn

    def send(self, target: str, event: Mapping[str, object] | None = None) -> None:
        self.platform.send(target, json.dumps(dict(event or {})))

    def run(self, within: timedelta = timedelta(hours=24)) -> int:
        """Run everything; how many milliseconds it took."""
        before = self.kernel.now()
        self.kernel.run(EpochMs(before + within // timedelta(milliseconds=1)))
        return self.kernel.now() - before

    def invocations(self, name: str) -> list[Invocation]:
        return self.platform.log.of(name)

    def _listen(self) -> None:
        if self.platform.functions.resolve("listener") is None:
            self.platform.functions.add(Function(name="listener", handler=self._collect))

    def _collect(self, event: dict[str, Any], _: object) -> None:
        self.records.append((self.kernel.now() - START, event))


@pytest.fixture
def make_bench() -> Iterator[Callable[..., Bench]]:
    kernels: list[VirtualKernel] = []

    def make(*, seed: int = 0, **rates: float) -> Bench:
        chooser = SeededChooser(seed)
        kernel = VirtualKernel(chooser=chooser)
        kernels.append(kernel)
        return Bench(Platform(kernel, chooser, seed, Rates(**rates), "exact", no_ports), kernel)

    yield make
    for kernel in kernels:
        kernel.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """One code serves boto3 on every engine: where the engine may matter all the same, a test has both."""
    with LocalCloud(engine=getattr(request, "param", "memory")) as cloud:
        yield cloud
