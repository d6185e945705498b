"""Owns the demo: which works it enqueues, and how it lets a pool on this machine do them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Literal, Self

from workpool_aws.cli.demo_report import DemoReport, Plan, Progress, Stored, Tally, Usage, report_of
from workpool_aws.cli.demo_worker import fraction_of, open_model
from workpool_aws.client import Workpool
from workpool_aws.errors import StoreUnavailable
from workpool_aws.local import LocalCloud, LocalCloudError
from workpool_aws.model.ids import WorkId
from workpool_aws.model.retry import RetryPolicy

__all__ = ["DELAYS", "RETRY", "DemoOptions", "Item", "Watch", "items_of", "plan_of", "run_demo"]

Watch = Callable[[Progress], None]
"""Called a few times a second, from a thread of its own, and once at the end."""

RETRY: Final = RetryPolicy(max_attempts=5, initial_backoff=timedelta(milliseconds=250))
DELAYS: Final = tuple(timedelta(seconds=seconds) for seconds in (2, 3, 4, 5))
"""What is due later is due so much later, turn by turn."""

_LATER_ONE_IN: Final = 50
_LATER_FROM_ITEMS: Final = 4
_WATCH_EVERY_S: Final = 0.1
_PATIENCE: Final = timedelta(minutes=2)
_PATIENCE_AN_ITEM: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What to run, already checked."""

    items: int | None = None
    """How many models to open; None: one of every service."""
    parallelism: int = 8
    fail_rate: float = 1 / 12
    """The share of attempts that fails by design, 0 to 1."""
    seed: int = 0
    engine: str = "memory"
    """`memory`, `moto`, or the URL of a DynamoDB endpoint."""
    clock: Literal["real", "virtual"] = "real"


@dataclass(frozen=True, slots=True)
class Item:
    """One work to enqueue."""

    service: str
    lap: int
    """0 the first time a service comes, 1 the second."""
    delay: timedelta

    def args(self, options: DemoOptions) -> Mapping[str, object]:
        """The arguments of the worker."""
        return {"service": self.service, "lap": self.lap, "seed": options.seed, "fail_rate": options.fail_rate}


def items_of(options: DemoOptions, services: Sequence[str]) -> list[Item]:
    """The works of a run, the same for the same seed: services in a shuffled order, again and again until there are enough."""
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
    """What a run of these works is about to do."""
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
    """Do the works in a pool of a cloud on this machine; return when nothing is left to do.

    Raises:
        WorkpoolError: the engine cannot be had, or does not answer. Works that do not come to their end are no error: the report says so.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded when the demo runs

    try:
        return _run_in_cloud(options, items, watch)
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable(f"engine {options.engine}: {error}") from error


def _run_in_cloud(options: DemoOptions, items: Sequence[Item], watch: Watch) -> DemoReport:
    with LocalCloud(clock=options.clock, engine=options.engine, seed=options.seed) as cloud:
        arn = cloud.function(open_model, timeout=timedelta(seconds=30))
        pool = cloud.workpool("demo", max_parallelism=options.parallelism)
        begun = cloud.now
        tally = Tally(len(items))
        with _Ticker(lambda: watch(tally.count(cloud.facts, seconds=(cloud.now - begun).total_seconds()))):
            ids = _enqueue(pool, arn, items, options)
            problem = _run_to_rest(cloud, len(items))
        # Before the results are read: the figures are the pool's, not those of this report.
        usage = _usage(cloud, arn, seconds=(cloud.now - begun).total_seconds())
        return report_of(
            _stored(pool, items, ids),
            begun=begun,
            limit=options.parallelism,
            usage=usage,
            engine=options.engine,
            seed=options.seed,
            problem=problem,
        )


def _stored(pool: Workpool, items: Sequence[Item], ids: Sequence[WorkId]) -> list[Stored]:
    """What the pool says about its works: no other word than its own is believed."""
    statuses = pool.status_batch(None, ids)
    return [Stored(item.service, status, pool.result(None, id_)) for item, status, id_ in zip(items, statuses, ids, strict=True)]


def _usage(cloud: LocalCloud, arn: str, *, seconds: float) -> Usage:
    capacity = cloud.capacity
    metered = capacity.requests > 0
    return Usage(
        max_concurrency=cloud.max_concurrency(arn),
        seconds=seconds,
        write_units=capacity.write_units if metered else None,
        read_units=capacity.read_units if metered else None,
    )


def _enqueue(pool: Workpool, arn: str, items: Sequence[Item], options: DemoOptions) -> list[WorkId]:
    """One batch for each due time, the latest first, so that they are stored before time runs; ids in the order of the items."""
    ids: dict[int, WorkId] = {}
    for delay in sorted({item.delay for item in items}, reverse=True):
        places = [place for place, item in enumerate(items) if item.delay == delay]
        batch = [items[place].args(options) for place in places]
        ids.update(zip(places, pool.enqueue_action_batch(None, arn, batch, retry=RETRY, run_after=delay), strict=True))
    return [ids[place] for place in range(len(items))]


def _run_to_rest(cloud: LocalCloud, count: int) -> str | None:
    """Let the pool work; the reason if it came to a halt before its end."""
    try:
        cloud.run_until_idle(timeout=_PATIENCE + _PATIENCE_AN_ITEM * count)
    except LocalCloudError as error:
        return str(error)
    return None


class _Ticker(AbstractContextManager["_Ticker"]):
    """Calls something every now and then beside the main thread, and a last time in it; an error of it is raised at the end."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._over = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="workpool-demo-progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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
        except Exception as error:  # noqa: BLE001 - raised in the main thread
            self._error = error
