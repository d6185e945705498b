"""Measures the CPU of the loop's requests: `python -m benchmarks.cpu [--json]`.

It measures ordinary calls of boto3 and lean calls (`workpool_aws/adapters/aws/lean.py`). No request
leaves the process: a handler before the send answers it. So the figures are those of the library,
botocore and JSON, in milliseconds of CPU time of one core of this machine. Each is the least of
several rounds, since other programs can only add to it. `benchmarks.throughput` charges figures that
were measured with this command.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.awsrequest import AWSResponse

from benchmarks.loop_cpu import RequestCpu
from workpool_aws import RetryPolicy, Workpool
from workpool_aws.adapters.aws.lean import LeanDynamoDB, LeanLambda, Transport, transport_of
from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.items.expressions import item_to_wire
from workpool_aws.adapters.items.ledger_packing import pack, unpack
from workpool_aws.adapters.system import SystemClock, SystemEntropy
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import Entry, EntryKey, Notice
from workpool_aws.model.pages import Slots
from workpool_aws.model.record import Record
from workpool_aws.model.refs import Collection, KeyRange, WorkRef
from workpool_aws.model.work import WorkItem
from workpool_aws.model.writes import All, Is, Put, Update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from botocore.client import BaseClient

ROUNDS: Final = 7
CALLS: Final = 150
ROWS: Final = 50
ENTRIES: Final = 500
NOW: Final = EpochMs(1_767_225_600_000)
WORKER: Final = "arn:aws:lambda:us-east-1:123456789012:function:worker"


class _Raw:
    """The body of an answer, as botocore reads it from urllib3."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_options: object) -> Any:  # noqa: ANN401 - urllib3's own interface
        yield self._body


class StubbedAws:
    """Clients whose requests are answered in the process, by the body that was set last."""

    def __init__(self) -> None:
        self._session = session = boto3.Session(
            aws_access_key_id="benchmark", aws_secret_access_key="x", region_name="us-east-1"
        )
        self.dynamodb = session.client("dynamodb")
        self.functions = session.client("lambda")
        self.body = b"{}"
        self.status = 200
        for client in (self.dynamodb, self.functions):
            client.meta.events.register("before-send.*", self._answer)

    def lean_dynamodb(self) -> Any:  # noqa: ANN401 - stands for a client
        """Return lean calls in place of the client."""
        return LeanDynamoDB(self.dynamodb, self._transport(self.dynamodb))

    def lean_functions(self) -> Any:  # noqa: ANN401 - as above
        """Return lean Invokes in place of the client."""
        return LeanLambda(
            self.functions,
            self._transport(self.functions),
            trace=lambda: "Root=1-00000000-000000000000000000000000",
            repeats=False,
        )

    def _transport(self, client: BaseClient) -> Transport:
        transport = transport_of(client, self._session.get_credentials(), SystemClock())
        if transport is None:
            raise RuntimeError("this botocore keeps its connections elsewhere")
        return transport

    def answer(self, body: object) -> None:
        """Answer with this from now on."""
        self.body = json.dumps(body).encode()

    def _answer(self, request: Any, **_event: object) -> AWSResponse:  # noqa: ANN401 - botocore's own
        headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": "1"}
        return AWSResponse(request.url, self.status, headers, _Raw(self.body))


def least_cpu_ms(call: Callable[[], object], calls: int = CALLS) -> float:
    """Return the CPU of one call: the least of the rounds."""
    call()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(calls):
            call()
        rounds.append((time.process_time() - began) / calls * 1_000)
    return min(rounds)


@dataclass(frozen=True, slots=True)
class Samples:
    """Records of a pool at work."""

    work: WorkItem
    notice: Notice


def samples() -> Samples:
    """Return what a pool stored for one work item, just after that ended."""
    pool_of = Workpool("benchmark")

    @pool_of.action
    def work(note: str) -> str:
        return note[:20]

    with LocalCloud(seed=1, call_latency=timedelta(milliseconds=5)) as cloud:
        pool = cloud.workpool("benchmark", max_parallelism=10)
        pool.enqueue_action(None, cloud.function(work), {"note": "x" * 150}, retry=RetryPolicy())
        cloud.advance(timedelta(milliseconds=60))
        store = cloud._engine_open.quiet(cloud.table)  # noqa: SLF001 - unmetered reads
        found: list[Record] = [
            row.record
            for collection in (Collection.WORK, Collection.DONE)
            for row in store.query(KeyRange(collection=collection, pool="benchmark")).rows
            if isinstance(row.record, Record)
        ]
    return Samples(
        next(each for each in found if isinstance(each, WorkItem)),
        next(each for each in found if isinstance(each, Notice)),
    )


def measure(*, lean: bool) -> RequestCpu:
    """Measure every kind of request."""
    aws, taken = StubbedAws(), samples()
    dynamodb = aws.lean_dynamodb() if lean else aws.dynamodb
    functions = aws.lean_functions() if lean else aws.functions
    store = DynamoStore(lambda: dynamodb, "benchmark", clock=SystemClock(), entropy=SystemEntropy())
    works = KeyRange(collection=Collection.WORK, pool="benchmark")
    dones = KeyRange(collection=Collection.DONE, pool="benchmark")
    _rows(aws, [])
    read = least_cpu_ms(lambda: store.query(works))
    _rows(aws, [taken.work] * ROWS)
    work_rows = least_cpu_ms(lambda: store.query(works), CALLS // 10)
    _rows(aws, [taken.notice] * ROWS)
    notice_rows = least_cpu_ms(lambda: store.query(dones), CALLS // 10)
    aws.answer({"Attributes": item_to_wire(encode(taken.work))})
    write = least_cpu_ms(lambda: store.write(_start_like(taken.work)))
    aws.answer({})
    transaction = least_cpu_ms(lambda: store.transact([Put(taken.work), Put(taken.notice)]))
    aws.status = 202
    return RequestCpu(
        read=_rounded(read),
        write=_rounded(write),
        transaction=_rounded(transaction),
        invoke=_rounded(least_cpu_ms(lambda: _invoke(functions))),
        work_row=_rounded((work_rows - read) / ROWS),
        notice_row=_rounded((notice_rows - read) / ROWS),
        ledger_entry=_rounded(_ledger_entry()),
    )


def _rows(aws: StubbedAws, records: Iterable[Record]) -> None:
    items = [item_to_wire(encode(record)) for record in records]
    aws.answer({"Items": items, "Count": len(items), "ScannedCount": len(items)})


def _start_like(work: WorkItem) -> Update:
    """Return a write as large as that of a start."""
    changes = {
        "starts": 1,
        "started_by": "t" * 16,
        "proof": "p" * 32,
        "started_at": NOW,
        "deadline": NOW,
        "claim": None,
        "suspected_type": None,
        "suspected_error": None,
    }
    condition = All((Is("starts", 0), Is("cancel_requested", False)))
    return Update(ref=WorkRef(work.pool, work.id), set=changes, condition=condition)


def _invoke(functions: Any) -> None:  # noqa: ANN401 - a client, or what stands for one
    payload = json.dumps({"note": "x" * 150, "_workpool": {"assignment": "y" * 400}}).encode()
    functions.invoke(FunctionName=WORKER, InvocationType="Event", Payload=payload)


def _ledger_entry() -> float:
    chance = random.Random(1)  # noqa: S311 - ids of a benchmark
    entries = {
        EntryKey(
            WorkId(make_id(EpochMs(NOW + 3 * n), random_bits=chance.getrandbits(74))), 1
        ): Entry(EpochMs(NOW + 3 * n), confirmed=True)
        for n in range(ENTRIES)
    }
    return least_cpu_ms(lambda: unpack(pack(Slots(entries))), CALLS // 10) / ENTRIES


def _rounded(milliseconds: float) -> float:
    return round(milliseconds, 4)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cpu", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args(arguments)
    ordinary, lean = asdict(measure(lean=False)), asdict(measure(lean=True))
    if asked.json:
        print(json.dumps({"ordinary": ordinary, "lean": lean}))
        return 0
    for name in ordinary:
        print(f"{name:<14}{ordinary[name]:8.4f} ms of CPU, {lean[name]:8.4f} by lean calls")
    return 0


if __name__ == "__main__":
    sys.exit(main())
