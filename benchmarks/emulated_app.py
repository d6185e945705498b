"""Code of the functions that `benchmarks.sqs` deploys: a job of 100 ms, for a pool and for a queue.

Each run appends a line to the file that `BENCH_NOTES` names, so both are measured by one clock.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workpool_aws import Workpool
from workpool_aws.handlers.completion import handler as completion
from workpool_aws.handlers.main_loop import handler as loop

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["completion", "for_pool", "for_queue", "loop"]

pool = Workpool(os.environ["WORKPOOL_TABLE"], "bench")


@pool.action(retry=True)
def for_pool(n: int, load: str, sent_at: float) -> None:
    """Run one job of the pool."""
    _run({"n": n, "load": load, "sent_at": sent_at})


def for_queue(event: Mapping[str, Any], _context: object) -> None:
    """Run the jobs of a batch, which has one."""
    for record in event["Records"]:
        _run(json.loads(record["body"]))


def _run(job: Mapping[str, object]) -> None:
    began_at = time.time()
    time.sleep(float(os.environ["BENCH_TAKES_S"]))
    line = json.dumps({**job, "began_at": began_at, "ended_at": time.time()})
    with Path(os.environ["BENCH_NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(f"{line}\n")
    print(job["load"])  # the emulator waits 50 ms longer for a function that prints nothing
