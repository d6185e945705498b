"""Runs a pool beside an SQS queue with a Lambda event source, on the emulated AWS, in one run: `python -m benchmarks.sqs`.

Each load is run on both, one after the other, with the same limit, the same job of 100 ms and the
same processes. The ratios say more than the times, since both wait for one single-threaded emulator
and for whatever else the machine does. Nothing is asserted about times.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import time
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import boto3

from tests.emulator.server import ACCESS_KEY, REGION, ROOT, SECRET_KEY, MiniStack, running
from workpool_aws import Workpool
from workpool_aws.adapters.dynamodb.table import create_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TABLE: Final = "bench"
ACCOUNT: Final = "000000000000"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/bench"
LIMITS: Final = (4, 20)
PROCESSES: Final = 32
TAKES_S: Final = 0.1
WAIT_S: Final = 180.0
SQS_BATCH: Final = 10


@dataclass(frozen=True, slots=True)
class Load:
    """So many jobs, `gap_s` apart. Without a gap all are sent as one batch.

    `rests`: each is sent to a pool at rest.
    """

    name: str
    jobs: Callable[[int], int]
    gap_s: float = 0.0
    rests: bool = False


WARM_UP: Final = Load("warm-up", lambda limit: 3 * limit)
"""Before each load, since the emulator ends a process that has been idle for 20 s."""
LOADS: Final = (
    Load("burst", lambda limit: 5 * limit + 60),
    Load("trickle", lambda _: 20, gap_s=0.5),
    Load("isolated", lambda _: 9, gap_s=3.0, rests=True),
)


@dataclass(frozen=True, slots=True)
class Ran:
    """The figures of one load, from its notes."""

    per_second: float
    filled: float
    """Time in user code, as a share of the limit times the time from the first start to the last
    end."""
    lag_p50_ms: float
    lag_max_ms: float
    most_at_once: int
    doubles: int


def arn_of(function: str) -> str:
    """Return the ARN of a function of the emulated account."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"


class Emulated:
    """The pool, the queue and their functions in an emulated account."""

    def __init__(self, server: MiniStack) -> None:
        self._server = server
        self._session = boto3.Session(
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=REGION
        )
        self._notes = server.folder / "notes"
        self._notes.touch()
        self._lambda = self._client("lambda")
        self._sqs = self._client("sqs")
        self._queue = self._sqs.create_queue(QueueName="bench")["QueueUrl"]
        create_table(self._client("dynamodb"), TABLE)
        for name in ("loop", "completion", "for_pool", "for_queue"):
            self._deploy(name)
        self._settle("for_pool", retries=0, on_failure=arn_of("completion"))
        self._settle("loop", retries=0)
        self._source: str | None = None
        self.pool = Workpool(TABLE, "bench")
        self._quick = Workpool(TABLE, "bench", quick_start=True)

    def _client(self, service: str) -> Any:  # noqa: ANN401 - one of boto3's
        return self._session.client(service, endpoint_url=self._server.url)

    def _deploy(self, name: str) -> None:
        packed = io.BytesIO()
        libraries = next((ROOT / ".venv" / "lib").glob("python*")) / "site-packages"
        with zipfile.ZipFile(packed, "w") as archive:
            # Where the library lies already, instead of copies of it for each process.
            archive.writestr(
                "app.py",
                f"import sys\nsys.path[:0] = {[str(ROOT), str(libraries)]!r}\n"
                "from benchmarks.emulated_app import *\n",
            )
        self._lambda.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=ROLE,
            Handler=f"app.{name}",
            Code={"ZipFile": packed.getvalue()},
            Timeout=600 if name == "loop" else 30,
            Environment={"Variables": self._variables(name)},
        )

    def _variables(self, name: str) -> dict[str, str]:
        return {
            "WORKPOOL_TABLE": TABLE,
            "WORKPOOL_LOOP_ARN": arn_of("loop"),
            "WORKPOOL_COMPLETION_ARN": arn_of("completion"),
            "BENCH_NOTES": str(self._notes),
            "BENCH_TAKES_S": str(TAKES_S),
            **({"WORKPOOL_DECORATED": "1"} if name == "for_pool" else {}),
            **({"WORKPOOL_LEAN_CALLS": "1"} if name in {"loop", "for_pool"} else {}),
        }

    def _settle(self, name: str, *, retries: int, on_failure: str | None = None) -> None:
        failed = {} if on_failure is None else {"OnFailure": {"Destination": on_failure}}
        self._lambda.put_function_event_invoke_config(
            FunctionName=name,
            MaximumRetryAttempts=retries,
            MaximumEventAgeInSeconds=60,
            DestinationConfig=failed,
        )

    def limit(self, limit: int) -> None:
        """Let both run so many at a time."""
        self.pool.configure(None, max_parallelism=limit)
        if self._source is not None:
            self._lambda.delete_event_source_mapping(UUID=self._source)
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self._queue, AttributeNames=["QueueArn"]
        )["Attributes"]
        self._source = self._lambda.create_event_source_mapping(
            EventSourceArn=attributes["QueueArn"],
            FunctionName="for_queue",
            BatchSize=1,
            ScalingConfig={"MaximumConcurrency": limit},
        )["UUID"]

    def await_rest(self) -> None:
        """Wait until the loop of the pool has ended, and its process is free again."""
        while any(each.loop == "running" for each in self.pool.pools(None)):
            time.sleep(0.2)
        time.sleep(1.0)

    def to_pool(self, jobs: Sequence[dict[str, object]]) -> None:
        """Enqueue jobs in the pool."""
        self.pool.enqueue_action_batch(None, arn_of("for_pool"), jobs)

    def to_quick(self, jobs: Sequence[dict[str, object]]) -> None:
        """Enqueue jobs in the pool, and start them there and then if it rests."""
        self._quick.enqueue_action_batch(None, arn_of("for_pool"), jobs)

    def to_queue(self, jobs: Sequence[dict[str, object]]) -> None:
        """Send jobs to the queue, ten at a time."""
        for first in range(0, len(jobs), SQS_BATCH):
            entries = [
                {"Id": str(job["n"]), "MessageBody": json.dumps(job)}
                for job in jobs[first : first + SQS_BATCH]
            ]
            self._sqs.send_message_batch(QueueUrl=self._queue, Entries=entries)

    def ran(self, load: str) -> list[dict[str, Any]]:
        """Return the notes of one load."""
        lines = self._notes.read_text(encoding="utf-8").splitlines()
        return [note for note in map(json.loads, lines) if note["load"] == load]


def run_load(
    emulated: Emulated, send: Callable[[Sequence[dict[str, object]]], None], load: Load, limit: int
) -> Ran | None:
    """Run a load and return its figures. `None` means that it did not end in time."""
    key, count = f"{load.name} {limit} {send.__name__}", load.jobs(limit)
    groups = [range(count)] if load.gap_s == 0 else [range(n, n + 1) for n in range(count)]
    for group in groups:
        if load.rests:
            emulated.await_rest()
        send([{"n": n, "load": key, "sent_at": time.time()} for n in group])
        time.sleep(load.gap_s)
    until = time.monotonic() + WAIT_S
    while len({note["n"] for note in emulated.ran(key)}) < count:
        if time.monotonic() > until:
            return None
        time.sleep(0.05)
    return _figures(emulated.ran(key), limit)


def run_warm(
    emulated: Emulated, send: Callable[[Sequence[dict[str, object]]], None], load: Load, limit: int
) -> Ran | None:
    """Run a load in processes that have run before, and return its figures as `run_load` does."""
    warm_up = replace(WARM_UP, name=f"warm-up for {load.name}")
    run_load(emulated, send, warm_up, limit)
    return run_load(emulated, send, load, limit)


def _figures(notes: Sequence[dict[str, Any]], limit: int) -> Ran:
    lags = [1000 * (note["began_at"] - note["sent_at"]) for note in notes]
    first, last = min(note["began_at"] for note in notes), max(note["ended_at"] for note in notes)
    spent = sum(note["ended_at"] - note["began_at"] for note in notes)
    return Ran(
        per_second=len(notes) / (last - min(note["sent_at"] for note in notes)),
        filled=spent / (limit * (last - first)),
        lag_p50_ms=statistics.median(lags),
        lag_max_ms=max(lags),
        most_at_once=max(_at_once(notes)),
        doubles=len(notes) - len({note["n"] for note in notes}),
    )


def _at_once(notes: Sequence[dict[str, Any]]) -> Iterator[int]:
    steps = [(note["began_at"], 1) for note in notes] + [(note["ended_at"], -1) for note in notes]
    running_now = 0
    for _, step in sorted(steps):
        running_now += step
        yield running_now


def _line(name: str, ran: Ran | None) -> str:
    if ran is None:
        return f"{name:<24} did not end within {WAIT_S:.0f} s"
    return (
        f"{name:<24}{ran.per_second:7.1f} a second  slots filled {ran.filled:4.0%}  "
        f"lag p50 {ran.lag_p50_ms:6.0f} ms, at most {ran.lag_max_ms:6.0f}  "
        f"at most {ran.most_at_once:3} at once  {ran.doubles} doubles"
    )


def compare(emulated: Emulated, load: Load, limit: int) -> None:
    """Run a load on both, and print the figures of each and their ratios."""
    say = partial(print, flush=True)
    pool = run_warm(emulated, emulated.to_pool, load, limit)
    say(_line(f"{load.name}, limit {limit}: pool", pool))
    if load.rests:
        quick = run_warm(emulated, emulated.to_quick, load, limit)
        say(_line("with quick starts", quick))
    queue = run_warm(emulated, emulated.to_queue, load, limit)
    say(_line(f"{load.name}, limit {limit}: SQS", queue))
    if pool is not None and queue is not None:
        say(
            f"{'':<24}{pool.per_second / queue.per_second:7.2f} of SQS's jobs a second, "
            f"{pool.lag_p50_ms / queue.lag_p50_ms:.1f} times its median lag"
        )


def main(words: Sequence[str] | None = None) -> int:
    """Deploy, run every load at every limit, and remove everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sqs", description=__doc__)
    parser.add_argument("--limit", type=int, action="append", choices=LIMITS)
    asked = parser.parse_args(words)
    print(f"jobs of {1000 * TAKES_S:.0f} ms; load average at the start: {os.getloadavg()[0]:.1f}")
    with running(processes=PROCESSES) as server:
        os.environ |= {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "WORKPOOL_LOOP_ARN": arn_of("loop"),
            "WORKPOOL_COMPLETION_ARN": arn_of("completion"),
            "WORKPOOL_LEAN_CALLS": "1",
        }
        emulated = Emulated(server)
        for limit in asked.limit or LIMITS:
            emulated.limit(limit)
            for load in LOADS:
                compare(emulated, load, limit)
    print(f"load average at the end: {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
