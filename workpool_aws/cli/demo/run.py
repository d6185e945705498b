"""The command `workpool demo`, which lets a pool on this machine run work items."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, Self, TextIO

from botocore.exceptions import BotoCoreError, ClientError

from workpool_aws import RetryPolicy, StoreUnavailable, WorkId, Workpool
from workpool_aws.cli.codes import FAILED
from workpool_aws.cli.demo.plain import PlainView
from workpool_aws.cli.demo.report import (
    DemoReport,
    DemoTally,
    Plan,
    Progress,
    Stored,
    Usage,
    report_of,
)
from workpool_aws.cli.demo.worker import fraction_of, open_model, service_names
from workpool_aws.local import LocalCloud, LocalCloudError

if TYPE_CHECKING:
    import argparse
    from types import TracebackType

    from workpool_aws.cli.demo.text import View

__all__ = [
    "DELAYS",
    "RETRY",
    "DemoOptions",
    "Item",
    "Watch",
    "items_of",
    "plan_of",
    "run",
    "run_demo",
    "view_for",
]

Watch = Callable[[Progress], None]
"""Called a few times a second, from a thread of its own, and once at the end."""

RETRY: Final = RetryPolicy(max_attempts=5, initial_backoff=timedelta(milliseconds=250))
DELAYS: Final = tuple(timedelta(seconds=seconds) for seconds in (2, 3, 4, 5))
"""The delays of the work items that are due later, turn by turn."""

_LATER_ONE_IN: Final = 50
_LATER_FROM_ITEMS: Final = 4
_WATCH_EVERY_S: Final = 0.1
_PATIENCE: Final = timedelta(minutes=2)
_PATIENCE_AN_ITEM: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The checked options of a run."""

    items: int | None = None
    """The number of models to open. `None` means one of every service."""
    parallelism: int = 8
    fail_rate: float = 1 / 12
    """The share of attempts that fails by design, 0 to 1."""
    seed: int = 0
    engine: str = "memory"
    """`memory`, `moto`, or the URL of a DynamoDB endpoint."""
    clock: Literal["real", "virtual"] = "real"


@dataclass(frozen=True, slots=True)
class Item:
    """One work item to enqueue."""

    service: str
    lap: int
    """0 the first time a service comes, 1 the second."""
    delay: timedelta

    def args(self, options: DemoOptions) -> Mapping[str, object]:
        """Return the arguments of the worker."""
        return {
            "service": self.service,
            "lap": self.lap,
            "seed": options.seed,
            "fail_rate": options.fail_rate,
        }


def run(options: argparse.Namespace) -> int:
    """`workpool demo`."""
    wanted = DemoOptions(**{each.name: getattr(options, each.name) for each in fields(DemoOptions)})
    items = items_of(wanted, service_names())
    with view_for(sys.stderr if options.json else sys.stdout) as view:
        view.begin(plan_of(wanted, items))
        report = run_demo(wanted, items, view.show)
        view.end(report)
    if options.json:
        print(json.dumps(report.to_json()), flush=True)
    return 0 if report.ok else FAILED


def view_for(stream: TextIO) -> View:
    """Return a live display, on a capable terminal with rich installed; else plain lines."""
    if not stream.isatty():
        return PlainView(stream)
    try:
        from workpool_aws.cli.demo.rich import RichView, can_show
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        print(
            "workpool demo: without rich there is no live display "
            "(pip install 'workpool-aws[cli]')",
            file=sys.stderr,
        )
        return PlainView(stream)
    return RichView(stream) if can_show(stream) else PlainView(stream)


def items_of(options: DemoOptions, services: Sequence[str]) -> list[Item]:
    """Return the work items of a run: the services in the order of the seed, repeated as needed."""
    shuffled = sorted(services, key=lambda service: fraction_of("order", options.seed, service))
    count = len(shuffled) if options.items is None else options.items
    later = count // _LATER_ONE_IN or int(count >= _LATER_FROM_ITEMS)
    return [
        Item(
            shuffled[place % len(shuffled)],
            place // len(shuffled),
            DELAYS[place % len(DELAYS)] if place < later else timedelta(0),
        )
        for place in range(count)
    ]


def plan_of(options: DemoOptions, items: Sequence[Item]) -> Plan:
    """Return the plan of a run of these work items."""
    return Plan(
        items=len(items),
        later=sum(1 for item in items if item.delay),
        limit=options.parallelism,
        fail_rate=options.fail_rate,
        engine=options.engine,
        clock=options.clock,
        seed=options.seed,
    )


def run_demo(options: DemoOptions, items: Sequence[Item], watch: Watch) -> DemoReport:
    """Run the work items in a pool of a cloud on this machine, until nothing is left to do.

    Work items that do not reach their end are no error; the report counts them.

    Raises:
        WorkpoolError: The engine is not available, or does not answer.
    """
    try:
        return _Run(options, items, watch).in_cloud()
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable(f"engine {options.engine}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of these work items, which `watch` sees."""

    options: DemoOptions
    items: Sequence[Item]
    watch: Watch

    def in_cloud(self) -> DemoReport:
        """Run them until nothing is left to do."""
        options, items = self.options, self.items
        with LocalCloud(clock=options.clock, engine=options.engine, seed=options.seed) as cloud:
            arn = cloud.function(open_model, timeout=timedelta(seconds=30))
            pool = cloud.workpool("demo", max_parallelism=options.parallelism)
            begun = cloud.now
            tally = DemoTally(len(items))
            problem = None
            with _Ticker(
                lambda: self.watch(
                    tally.count(cloud.facts, seconds=(cloud.now - begun).total_seconds())
                )
            ):
                ids = self._enqueue(pool, arn)
                try:
                    cloud.run_until_idle(timeout=_PATIENCE + _PATIENCE_AN_ITEM * len(items))
                except LocalCloudError as error:
                    problem = str(error)
            # Before the results are read, so that the figures are those of the pool alone.
            capacity = cloud.capacity
            metered = capacity.requests > 0
            usage = Usage(
                max_concurrency=cloud.max_concurrency(arn),
                seconds=(cloud.now - begun).total_seconds(),
                write_units=capacity.write_units if metered else None,
                read_units=capacity.read_units if metered else None,
            )
            statuses = pool.status_batch(None, ids)
            stored = [
                Stored(item.service, status, pool.result(None, work_id))
                for item, status, work_id in zip(items, statuses, ids, strict=True)
            ]
            return report_of(
                stored,
                begun=begun,
                limit=options.parallelism,
                usage=usage,
                engine=options.engine,
                seed=options.seed,
                problem=problem,
            )

    def _enqueue(self, pool: Workpool, arn: str) -> list[WorkId]:
        """Enqueue a batch for each due time, the latest first: none is due before it is stored."""
        ids: dict[int, WorkId] = {}
        for delay in sorted({item.delay for item in self.items}, reverse=True):
            places = [place for place, item in enumerate(self.items) if item.delay == delay]
            batch = [self.items[place].args(self.options) for place in places]
            ids.update(
                zip(
                    places,
                    pool.enqueue_action_batch(None, arn, batch, retry=RETRY, run_after=delay),
                    strict=True,
                )
            )
        return [ids[place] for place in range(len(self.items))]


class _Ticker(AbstractContextManager["_Ticker"]):
    """Calls `tick` at intervals in a thread, and a last time in the main thread."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._over = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(
            target=self._run, name="workpool-demo-progress", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if error is not None:
            return
        if self._error is not None:
            raise self._error
        self._tick()

    def _run(self) -> None:
        try:
            while not self._over.wait(_WATCH_EVERY_S):
                self._tick()
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self._error = error
