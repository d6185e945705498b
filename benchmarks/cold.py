"""Prints what a cold start costs: `python -m benchmarks.cold [--runs 10]`.

Each row is a fresh interpreter. Its figure is the CPU time of the process, less that of an
interpreter which does nothing: the least of several runs, since everything else on the machine only
adds to it. AWS's answers are canned, so that serialization, signing and parsing count and networks
do not. The ratio compares a row with the bare handler above it, which does the same with boto3
alone.

A figure holds for this machine. On Lambda a function has a full core at 1,769 MB, so that at 256 MB
the same code takes about seven times as long after its start, whose own first seconds are boosted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

from workpool_aws.local import LocalCloud

__all__ = ["ROWS", "Row", "answers", "cpu_ms", "on_the_wire"]

ROOT = Path(__file__).parents[1]
REGION = "eu-central-1"
ACCOUNT = "arn:aws:lambda:eu-central-1:111122223333:function"


@dataclass(frozen=True, slots=True)
class Row:
    """A program whose start is measured, and the bare program that it is compared with; `None` means none."""

    name: str
    code: str
    beside: str | None = None


CANNED = """
import json, sys, time
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session
canned = json.load(open(sys.argv[1]))
recorded = {}
time.time = lambda: canned["now"]
time.time_ns = lambda: int(canned["now"] * 1e9)
class Raw:
    def __init__(self, body): self.body = body
    def stream(self, *_, **__): yield self.body
def send(self, request):
    target = request.headers.get("X-Amz-Target", b"lambda.Invoke")
    name = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
    key = json.loads(request.body).get("Key") if name in ("GetItem", "UpdateItem") else None
    stored = canned["items"].get(key["pk"]["S"] + " " + key["sk"]["S"], {}) if key else {}
    bodies = recorded.get(name, [])
    body = bodies.pop(0) if bodies else {"Item": stored, "Attributes": stored}
    status = 202 if name == "Invoke" else 200
    return AWSResponse(request.url, status, {}, Raw(json.dumps(body).encode()))
URLLib3Session.send = send
class Context:
    aws_request_id = "1"
    function_name = "send_email"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:send_email"
    def get_remaining_time_in_millis(self): return 30_000
"""
MAKE_POOL = """
from workpool_aws import Workpool
pool = Workpool("jobs", "email")
"""
ENQUEUE = f"""
pool.enqueue_action(Context(), "{ACCOUNT}:send_email", {{"to": "a@example.com"}})
"""
WORKER = """
@pool.action
def send_email(to: str) -> str:
    return f"sent to {to}"
"""
ATTEMPT = """
recorded = canned["answers"]
send_email(canned["event"], Context())
assert not recorded["UpdateItem"], "the attempt took another way"
"""
ROWS = (
    Row("import boto3", "import boto3"),
    Row("import workpool_aws", "import workpool_aws", "import boto3"),
    Row("make a pool and a worker", MAKE_POOL + WORKER, "import boto3"),
    Row(
        "bare: send a message to SQS",
        CANNED
        + """
import boto3
queue = boto3.client("sqs")
queue.send_message(QueueUrl="https://sqs.eu-central-1.amazonaws.com/1/q", MessageBody="{}")
""",
    ),
    Row("first enqueue", CANNED + MAKE_POOL + ENQUEUE, "bare: send a message to SQS"),
    Row(
        "bare: write a result to DynamoDB",
        CANNED
        + """
import boto3
table = boto3.client("dynamodb")
table.put_item(TableName="results", Item={"pk": {"S": "1"}, "result": {"S": "sent"}})
""",
    ),
    Row(
        "first attempt",
        CANNED + MAKE_POOL + WORKER + ATTEMPT,
        "bare: write a result to DynamoDB",
    ),
)


def answers() -> dict[str, Any]:
    """Run one job on moto: the items of a pool at rest, the answers to its worker, and the worker's event."""
    real = BaseClient._make_api_call  # noqa: SLF001 - where every call of boto3 passes
    found: dict[str, list[dict[str, Any]]] = {}
    table: list[BaseClient] = []
    with LocalCloud(clock="virtual", engine="moto") as cloud:
        pool = cloud.workpool("email")

        @pool.action
        def send_email(to: str) -> str:
            return f"sent to {to}"

        def noted(client: BaseClient, operation: str, request: dict[str, Any]) -> Any:  # noqa: ANN401
            answer = real(client, operation, request)
            if "TableName" in request:
                table.append(client)
            task = cloud._open.kernel.current()  # noqa: SLF001 - the kernel knows on whose behalf
            if task is not None and "send_email" in task.name:
                body = {
                    name: each for name, each in answer.items() if name in ("Attributes", "Item")
                }
                found.setdefault(operation, []).append(body)
            return answer

        function = cloud.function(send_email)
        now = cloud.now.timestamp()
        with patch.object(BaseClient, "_make_api_call", noted):
            pool.enqueue_action(None, function, {"to": "a@example.com"})
            cloud.run_until_idle()
        scanned = real(table[0], "Scan", {"TableName": cloud.table})["Items"]
        (invocation,) = cloud.invocations(function)
    items = {f"{each['pk']['S']} {each['sk']['S']}": each for each in scanned}
    return {"answers": found, "items": items, "event": invocation.event, "now": now}


def on_the_wire(value: bytes) -> str:
    """Return the base64 of a binary attribute, as DynamoDB answers it."""
    return b64encode(value).decode()


def cpu_ms(code: str, answered: Path, runs: int) -> float:
    """Return the least CPU time in milliseconds of fresh interpreters that run the code."""
    environment = {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PYTHONPATH": str(ROOT),
        "WORKPOOL_LOOP_ARN": f"{ACCOUNT}:loop",
        "WORKPOOL_COMPLETION_ARN": f"{ACCOUNT}:completion",
    }
    command = [sys.executable, "-c", code, str(answered)]
    took = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - this interpreter, our own words
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(took) * 1_000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="of each row (default: %(default)s)")
    runs = max(1, parser.parse_args().runs)
    with tempfile.TemporaryDirectory() as folder:
        answered = Path(folder) / "answers.json"
        answered.write_text(json.dumps(answers(), default=on_the_wire), encoding="utf-8")
        nothing = cpu_ms("pass", answered, runs)
        seen: dict[str, float] = {}
        print(f"| {'cold start':34} | CPU in ms | ratio |\n|{'-' * 36}|{'-' * 11}|{'-' * 7}|")
        for row in ROWS:
            seen[row.name] = cpu_ms(row.code, answered, runs) - nothing
            ratio = f"{seen[row.name] / seen[row.beside]:.2f}" if row.beside else ""
            print(f"| {row.name:34} | {seen[row.name]:9.0f} | {ratio:>5} |", flush=True)


if __name__ == "__main__":
    main()
