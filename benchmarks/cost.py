"""Prints write and read units an action, on the oracle: `python -m benchmarks.cost [--json]`.

The oracle meters as AWS bills (workpool_aws/adapters/items/capacity.py), time is virtual, every
service call takes 5 ms, workers take 0.2 to 1 s, a stored work item is about 500 bytes. The same
seed gives the same figures.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from benchmarks.crowd import CROWDS, Crowd, cost_beside
from benchmarks.ledger import FULL_LEDGERS, FullLedger
from benchmarks.once import MUTATION_MAX, ROWS, Cost, cost_of, cost_of_mutation
from benchmarks.recurring import RECURRING
from benchmarks.scale import FLAT_WITHIN, SCALES, cost_at
from workpool_aws import OnCompleteEvent, RetryPolicy, Workpool
from workpool_aws.adapters.items.capacity import Units
from workpool_aws.local import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ARGS = {"to": "somebody@example.com", "template": "welcome"}
KB = 1024
BUSY_WORKS = 1_000
BUSY_PARALLELISM = 50
FAIL_EVERY = 6


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load and the most it may cost; `None` means no bound."""

    name: str
    run: Callable[[int], Figures]
    write_units_max: float | None = None
    read_units_max: float | None = None
    unit: str = "an action"


@dataclass(frozen=True, slots=True)
class Figures:
    """Units an action, in all and by kind of request."""

    write_units: float
    read_units: float
    requests: float
    attempts: float
    by_label: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Load:
    """The work items of a scenario: `works` at once, or one at a time `gap` apart."""

    works: int
    parallelism: int
    retry: RetryPolicy | None
    gap: timedelta | None = None
    fail_every: int | None = None
    batch: bool = False
    group: int | None = None
    """Members of each group; `None` means no groups."""
    on_complete: Literal["decorated", "plain"] | None = None
    note_bytes: int = 120
    """Of the arguments, which are about 60 bytes more."""
    result_bytes: int = 20
    takes_s: tuple[float, float] = (0.2, 1.0)
    """Between these is the time of an attempt."""
    quick_start: bool = False


def measure(load: Load, seed: int) -> Figures:
    """Run the load on a fresh cloud, and count."""
    pool_of = Workpool("benchmark")
    attempts = 0

    @pool_of.action
    def work(to: str, template: str, note: str) -> dict[str, str]:
        nonlocal attempts
        attempts += 1
        if load.fail_every is not None and attempts % load.fail_every == 0:
            raise ConnectionError(f"{template} for {to}: the server said no")
        return {
            "sent": to,
            "note": (note * -(-load.result_bytes // len(note)))[: load.result_bytes],
        }

    @pool_of.on_complete
    def ended(event: OnCompleteEvent) -> None:
        del event

    def note(event: Mapping[str, object], _context: object) -> None:
        del event

    with LocalCloud(engine="memory", seed=seed, call_latency=timedelta(milliseconds=5)) as cloud:
        fn = cloud.function(work, takes=_durations(load, seed))
        pool = cloud.workpool(
            "benchmark", max_parallelism=load.parallelism, quick_start=load.quick_start
        )
        told = (
            None
            if load.on_complete is None
            else cloud.function(ended if load.on_complete == "decorated" else note)
        )
        _enqueue(pool, fn, load, cloud, told)
        cloud.run_until_idle()
        spent = cloud.capacity
    by_label = {
        label: (units.write_units / load.works, units.read_units / load.works)
        for label, units in sorted(spent.by_label.items())
    }
    return Figures(
        spent.write_units / load.works,
        spent.read_units / load.works,
        spent.requests / load.works,
        attempts / load.works,
        by_label,
    )


def measure_idle(works: int, seed: int) -> Figures:
    """Return the cost of an hour in which the watchdog looks at a pool that ran work items before.

    They took as long as those of a busy pool, so that its last seconds have as many of them. The hour
    contains an audit.
    """
    pool_of = Workpool("benchmark")

    @pool_of.action
    def work(note: str) -> str:
        return note[:20]

    with LocalCloud(engine="memory", seed=seed, call_latency=timedelta(milliseconds=5)) as cloud:
        pool = cloud.workpool("benchmark", max_parallelism=BUSY_PARALLELISM)
        fn = cloud.function(work, takes=_durations(BUSY, seed))
        pool.enqueue_action_batch(None, fn, [{"note": "x" * 300}] * works, retry=RETRY)
        cloud.run_until_idle()
        before = cloud.capacity
        for _ in range(60):
            # The virtual clock leaves out ticks that would find nothing. These are measured here.
            cloud.invoke(cloud.watchdog_arn, {"workpool_watchdog": {"table": cloud.table}})
            cloud.advance(timedelta(minutes=1))
        after = cloud.capacity
    by_label = {
        label: (units.write_units - was.write_units, units.read_units - was.read_units)
        for label, units in sorted(after.by_label.items())
        if units != (was := before.by_label.get(label, Units()))
    }
    read, requests = after.read_units - before.read_units, after.requests - before.requests
    return Figures(after.write_units - before.write_units, read, requests, 0, by_label)


def _durations(load: Load, seed: int) -> Callable[[object], timedelta]:
    """Return the time that each attempt of a load takes."""
    chance = random.Random(seed)  # noqa: S311 - durations of a benchmark
    return lambda _event: timedelta(seconds=chance.uniform(*load.takes_s))


def _enqueue(pool: Workpool, fn: str, load: Load, cloud: LocalCloud, told: str | None) -> None:
    args = {**ARGS, "note": "x" * load.note_bytes}
    if load.group is not None:
        for _ in range(load.works // load.group):
            pool.enqueue_group(
                None, fn, [args] * load.group, retry=load.retry or False, on_complete=told
            )
        return
    if load.batch:
        pool.enqueue_action_batch(
            None, fn, [args] * load.works, retry=load.retry or False, on_complete=told
        )
        return
    for _ in range(load.works):
        pool.enqueue_action(None, fn, args, retry=load.retry or False, on_complete=told)
        if load.gap is not None:
            cloud.advance(load.gap)


RETRY = RetryPolicy()
BUSY = Load(BUSY_WORKS, BUSY_PARALLELISM, RETRY)
RUNS = Load(BUSY_WORKS, 20, RETRY, batch=True, takes_s=(0.09, 0.11))
SCENARIOS = (
    Scenario("busy, retriable", lambda seed: measure(BUSY, seed), 4.2, 2),
    Scenario(
        "busy, retriable, one batch",
        lambda seed: measure(Load(BUSY_WORKS, BUSY_PARALLELISM, RETRY, batch=True), seed),
        4.2,
        1,
    ),
    Scenario(
        "busy, claimed",
        lambda seed: measure(Load(BUSY_WORKS, BUSY_PARALLELISM, None), seed),
        4.2,
        2,
    ),
    Scenario("busy, runs of short work items", lambda seed: measure(RUNS, seed), 3.3, 1.5),
    Scenario(
        "busy, every 6th attempt fails",
        lambda seed: measure(
            Load(BUSY_WORKS, BUSY_PARALLELISM, RETRY, fail_every=FAIL_EVERY), seed
        ),
    ),
    Scenario("busy, parallelism 5", lambda seed: measure(Load(300, 5, RETRY), seed)),
    Scenario(
        "busy, callback, undecorated",
        lambda seed: measure(replace(BUSY, on_complete="plain"), seed),
        5.5,
        3.5,
    ),
    Scenario(
        "busy, callback, decorated",
        lambda seed: measure(replace(BUSY, on_complete="decorated"), seed),
        7,
        5,
    ),
    Scenario(
        "busy, one group of 1,000",
        lambda seed: measure(
            Load(BUSY_WORKS, BUSY_PARALLELISM, RETRY, group=BUSY_WORKS, on_complete="decorated"),
            seed,
        ),
        4.5,
        3.5,
    ),
    Scenario(
        "busy, groups of 10",
        lambda seed: measure(
            Load(BUSY_WORKS, BUSY_PARALLELISM, RETRY, group=10, on_complete="decorated"), seed
        ),
        6,
        4.5,
    ),
    Scenario(
        "isolated, retriable",
        lambda seed: measure(Load(20, 10, RETRY, gap=timedelta(seconds=200)), seed),
        9.2,
        29,
    ),
    Scenario(
        "isolated, claimed",
        lambda seed: measure(Load(20, 10, None, gap=timedelta(seconds=200)), seed),
        9.2,
        29,
    ),
    Scenario(
        "isolated, quick start",
        lambda seed: measure(
            Load(20, 10, RETRY, gap=timedelta(seconds=200), quick_start=True), seed
        ),
        11.2,
        29,
    ),
    Scenario("idle, after one work", lambda seed: measure_idle(1, seed), 0, 440, "an hour"),
    Scenario(
        "idle, after 1,000 works", lambda seed: measure_idle(1_000, seed), 0, 3_000, "an hour"
    ),
    Scenario(
        "idle, after 10,000 works", lambda seed: measure_idle(10_000, seed), 0, 3_000, "an hour"
    ),
    Scenario(
        "busy, arguments of 2 KB",
        lambda seed: measure(Load(100, 50, RETRY, note_bytes=2 * KB - 60), seed),
    ),
    Scenario(
        "busy, arguments of 100 KB",
        lambda seed: measure(Load(100, 50, RETRY, note_bytes=100 * KB), seed),
    ),
    Scenario(
        "busy, arguments of 900 KB",
        lambda seed: measure(Load(20, 10, RETRY, note_bytes=900 * KB - 80), seed),
    ),
    Scenario(
        "busy, results of 2 KB",
        lambda seed: measure(Load(100, 50, RETRY, result_bytes=2 * KB), seed),
    ),
    Scenario(
        "busy, results of 100 KB",
        lambda seed: measure(Load(100, 50, RETRY, result_bytes=100 * KB), seed),
    ),
    Scenario(
        "busy, results of 900 KB",
        lambda seed: measure(Load(20, 10, RETRY, result_bytes=900 * KB - 80), seed),
    ),
)


def main(arguments: list[str] | None = None) -> int:
    """Measure every scenario. The exit code is 1 if one costs more than its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="leave out long backlogs and histories"
    )
    parser.add_argument("--detail", action="store_true", help="also by kind of request")
    options = parser.parse_args(arguments)
    over = 0
    for scenario in SCENARIOS:
        figures = scenario.run(options.seed)
        too_much = _over(figures.write_units, scenario.write_units_max) or _over(
            figures.read_units, scenario.read_units_max
        )
        over += too_much
        print(
            json.dumps({"scenario": scenario.name, "ok": not too_much, **asdict(figures)})
            if options.json
            else _line(scenario, figures)
        )
        if options.detail and not options.json:
            _print_labels(figures.by_label)
    over += sum(
        not _crowd(crowd, options.seed, as_json=options.json, detail=options.detail)
        for crowd in CROWDS
    )
    for row in ROWS:
        bound = (row.write_units_max, row.read_units_max)
        over += not _once(row.name, cost_of(row, options.seed), bound, as_json=options.json)
    for each in RECURRING:
        bound = (each.write_units_max, each.read_units_max)
        over += not _once(each.name, each.measure(options.seed), bound, as_json=options.json)
    mutation = cost_of_mutation(options.seed)
    over += not _once("busy, mutation of 2 rows", mutation, MUTATION_MAX, as_json=options.json)
    if not options.quick:
        over += sum(not _ledger(each, options.seed, as_json=options.json) for each in FULL_LEDGERS)
    uneven = 0 if options.quick else _scale(options.seed, as_json=options.json)
    return 1 if over or uneven else 0


def _ledger(load: FullLedger, seed: int, *, as_json: bool) -> bool:
    cost = load.measure(seed)
    ok = not _over(cost.write_units, load.write_units_max)
    if as_json:
        print(json.dumps({"scenario": load.name, "ok": ok, **asdict(cost)}))
        return ok
    print(
        f"{load.name:<46} {cost.write_units:5.2f} W  (at most {load.write_units_max}; in one item "
        f"{cost.in_one_item:.2f})  {cost.pages} pages  {cost.page_bytes:.0f} bytes of them an action",
        flush=True,
    )
    return ok


def _once(name: str, cost: Cost, most: tuple[float, float], *, as_json: bool) -> bool:
    """Print the units of one act on the pool's table. True if they are within its bounds."""
    ok = not (_over(cost.write_units, most[0]) or _over(cost.read_units, most[1]))
    print(
        json.dumps({"scenario": name, "ok": ok, **asdict(cost)})
        if as_json
        else f"{name:<42}{cost.write_units:7.2f} write {cost.read_units:7.2f} read units of the pool's table "
        f"(at most {most[0]} and {most[1]})"
    )
    return ok


def _crowd(crowd: Crowd, seed: int, *, as_json: bool, detail: bool) -> bool:
    """Measure one load beside long work items. True if it is within its bounds."""
    cost = cost_beside(crowd, seed)
    ok = not (
        _over(cost.write_units, crowd.write_units_max)
        or _over(cost.read_units, crowd.read_units_max)
    )
    if as_json:
        print(json.dumps({"scenario": crowd.name, "ok": ok, **asdict(cost)}))
        return ok
    bounds = (
        ""
        if crowd.write_units_max is None
        else f"(at most {crowd.write_units_max} and {crowd.read_units_max})"
    )
    print(
        f"{crowd.name:<42}{cost.write_units:7.2f} write {cost.read_units:7.2f} read units an action {cost.per_second:6.1f} a second"
        f" start lag {cost.lag_p50_ms:5.0f} ms, at most {cost.lag_max_ms:5.0f} {bounds}"
    )
    if detail:
        _print_labels(cost.by_label)
    return ok


def _print_labels(by_label: Mapping[str, tuple[float, float]]) -> None:
    for label, (write, read) in by_label.items():
        print(f"    {label:<22}{write:8.3f} write {read:8.3f} read")


def _scale(seed: int, *, as_json: bool) -> int:
    """Measure an attempt beside more and more work items.

    Returns the number of scales whose cost differs from that of the first.
    """
    costs = [(scale, cost_at(scale, seed)) for scale in SCALES]
    first = costs[0][1]
    for scale, cost in costs:
        if as_json:
            print(
                json.dumps(
                    {"scenario": str(scale), "ok": cost.is_flat_beside(first), **asdict(cost)}
                )
            )
        else:
            bound = f"(price within {FLAT_WITHIN:.0%} of the first)"
            print(
                f"{scale!s:<34}{cost.write_units:7.3f} write {cost.read_units:7.3f} read units an attempt, without its enqueue {bound}"
            )
    return sum(not cost.is_flat_beside(first) for _, cost in costs)


def _over(units: float, bound: float | None) -> bool:
    return bound is not None and units > bound


def _line(scenario: Scenario, figures: Figures) -> str:
    bounds = (
        f"(at most {scenario.write_units_max} and {scenario.read_units_max})"
        if scenario.write_units_max is not None
        else ""
    )
    return (
        f"{scenario.name:<32}{figures.write_units:7.2f} write {figures.read_units:7.2f} read units {scenario.unit}"
        f" {figures.requests:7.2f} requests {figures.attempts:6.2f} attempts {bounds}"
    )


if __name__ == "__main__":
    sys.exit(main())
