"""Prints requests and read units of each page of the dashboard: `python -m benchmarks.lists [--json]`.

The same pool is filled with 1,000, 10,000 and 100,000 work items, unmetered: half of them finished,
of which a fixed hundred are dead letters, and half due, under a pause. Each page is then asked for as
the dashboard asks, for its 50 rows. Exits 1 if a page that should be flat costs more in the largest
pool than in the smallest one, beyond a tenth and two units.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workpool_aws.insights import Insights, WorkFilter
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import EpochMs, WorkId, make_ids
from workpool_aws.model.payload import Inline
from workpool_aws.model.spec import Kind, Outcome, Spec
from workpool_aws.model.work import State, WorkItem, dead_key
from workpool_aws.model.writes import Put

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.insights import Costed, ReadCost

__all__ = ["SIZES", "Figures", "is_flat", "measure"]

SIZES: Final = (1_000, 10_000, 100_000)
DEAD: Final = 100
POOL: Final = "orders"


@dataclass(frozen=True, slots=True)
class Figures:
    """Cost of a page in pools of several sizes, and the sizes."""

    page: str
    costs: Mapping[int, ReadCost]
    flat: bool
    """True if it should cost the same whatever the pool holds."""


def is_flat(figures: Figures) -> bool:
    """Returns whether the largest pool costs little more than the smallest one."""
    few, many = figures.costs[min(figures.costs)], figures.costs[max(figures.costs)]
    return many.read_units <= 1.1 * few.read_units + 2 and many.requests <= few.requests + 2


def measure(sizes: tuple[int, ...], seed: int) -> list[Figures]:
    """Returns the figures of every page."""
    by_size = {size: _costs_in(size, seed) for size in sizes}
    return [
        Figures(page, {size: by_size[size][page] for size in sizes}, flat=page not in _COUNTED)
        for page in by_size[sizes[0]]
    ]


_COUNTED: Final = ("pools", "a pool")
"""Pages that count the backlog, to 1,000 due and 1,000 later ones."""


def _costs_in(size: int, seed: int) -> dict[str, ReadCost]:
    with LocalCloud(engine="memory", seed=seed) as cloud:
        _fill(cloud, size, seed)
        insights = Insights(cloud.table)
        newest = insights.works(POOL, WorkFilter(limit=1)).value.rows[0].work.work_id
        pages: dict[str, Callable[[], Costed[object]]] = {
            "pools": insights.pools,
            "a pool": lambda: insights.pool(POOL),
            "work items, newest": lambda: insights.works(POOL, WorkFilter()),
            "work items, oldest": lambda: insights.works(POOL, WorkFilter(order="oldest")),
            "pending": lambda: insights.works(POOL, WorkFilter(state="pending")),
            "running": lambda: insights.works(POOL, WorkFilter(state="running")),
            "finished": lambda: insights.works(POOL, WorkFilter(state="finished", order="oldest")),
            "dead letters": lambda: insights.works(POOL, WorkFilter(state="dead")),
            "members of a group": lambda: insights.works(POOL, WorkFilter(group="album")),
            "a work item": lambda: insights.work(POOL, newest),
            "errors": lambda: insights.errors(POOL),
            "schedules": lambda: insights.schedules(POOL),
            "groups": lambda: insights.groups(POOL),
            "health": insights.doctor,
        }
        return {name: ask().cost for name, ask in pages.items()}


def _charge(_event: object, _context: object) -> None: ...


def _fill(cloud: LocalCloud, size: int, seed: int) -> None:
    """Runs a job, so that the pool is as any other, and stores work items beside its own."""
    pool = cloud.workpool(POOL)
    fn = cloud.function(_charge, name="charge")
    pool.enqueue_action(None, fn, {})
    pool.enqueue_group(None, fn, [{}] * 50, group_id="album")
    pool.schedule(None, "nightly", fn, {}, cron="0 3 * * *")
    cloud.run_until_idle(timeout=timedelta(minutes=1))
    pool.configure(None, paused=True)
    store = cloud._engine_open.quiet(cloud.table)  # noqa: SLF001 - unmetered, for a benchmark alone
    chance = random.Random(seed)  # noqa: S311 - ids of a benchmark
    now = EpochMs(int(cloud.now.timestamp() * 1000))
    for finished in (True, False):
        begun = EpochMs(now - 86_400_000) if finished else now
        ids = make_ids(begun, random_bits=chance.getrandbits(70))
        for place in range(size // 2):
            dead = finished and place < DEAD
            store.write(Put(_work(WorkId(next(ids)), fn, begun, finished=finished, dead=dead)))


def _work(work_id: WorkId, fn: str, at: EpochMs, *, finished: bool, dead: bool) -> WorkItem:
    return WorkItem(
        pool=POOL,
        id=work_id,
        spec=Spec(
            target=fn,
            args=Inline('{"note":"' + "x" * 150 + '"}'),
            kind=Kind.QUERY,
            retry=None,
            claimed=False,
            retention_s=7 * 86_400,
        ),
        state=State.FINISHED if finished else State.PENDING,
        due_at=at,
        enqueued_at=at,
        permit=None if finished else "a-permit-123",
        attempts_made=int(finished),
        started_at=at if finished else None,
        finished_at=at if finished else None,
        outcome=(Outcome.FAILED if dead else Outcome.SUCCESS) if finished else None,
        error_type="ValueError" if dead else None,
        error="amount must be above 0" if dead else None,
        dead=dead_key(at, work_id) if dead else None,
    )


def main(arguments: list[str] | None = None) -> int:
    """Prints the table. Returns 1 if a page that should be flat is not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lists", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = measure(tuple(options.sizes), options.seed)
    if options.json:
        texts = {
            each.page: {size: [cost.requests, cost.read_units] for size, cost in each.costs.items()}
            for each in found
        }
        print(json.dumps(texts))
    else:
        print(f"{'requests / read units, in a pool of':34}", *(f"{n:>14,}" for n in options.sizes))
        for each in found:
            cells = [f"{cost.requests:>5} / {cost.read_units:<6}" for cost in each.costs.values()]
            note = "" if each.flat else "  counted, to a bound"
            print(f"{each.page:34}", *cells, note)
    uneven = [each.page for each in found if each.flat and not is_flat(each)]
    for page in uneven:
        print(f"not flat: {page}", file=sys.stderr)
    return 1 if uneven else 0


if __name__ == "__main__":
    sys.exit(main())
