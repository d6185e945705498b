"""Owns a deployment of the package's functions and of a few jobs onto an emulated AWS, by boto3.

What it makes is what the package needs of an account: one table, the loop, completion and watchdog functions, their async settings and
destinations, a schedule group and the watchdog's schedule.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import boto3

from tests.emulator.server import ACCESS_KEY, REGION, ROOT, SECRET_KEY, MiniStack
from workpool_aws.adapters.dynamodb.table import create_table, enable_ttl

TABLE = "e2e"
GROUP = "e2e-wakes"
ROLE = "arn:aws:iam::000000000000:role/e2e"
BUNDLED = (
    "pydantic",
    "pydantic_core",
    "annotated-types",
    "typing-extensions",
    "typing-inspection",
    "python-ulid",
    "aws-lambda-powertools",
    "jmespath",
)
"""What the package needs besides boto3, which the emulator brings as Lambda does."""
FUNCTIONS = Path(__file__).parent / "functions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A function of the user's."""

    handler: str
    timeout_s: int = 30
    decorated: bool = True


JOBS = {
    "nap": Job(handler="jobs.nap"),
    "fail-first": Job(handler="jobs.fail_first"),
    "hang-once": Job(handler="jobs.hang_once"),
    "vanish": Job(handler="jobs.vanish", timeout_s=10),
    "open-model": Job(handler="workpool_aws.cli.demo_worker.open_model"),
    "plain": Job(handler="jobs.plain", decorated=False),
}
OWN = {
    "loop": ("workpool_aws.handlers.main_loop.handler", 900, 0),
    "completion": ("workpool_aws.handlers.completion.handler", 60, 2),
    "watchdog": ("workpool_aws.handlers.watchdog.handler", 60, 0),
}


def arn_of(function: str) -> str:
    return f"arn:aws:lambda:{REGION}:000000000000:function:{function}"


def environment() -> dict[str, str]:
    """What a deployment tells every function, and whoever enqueues."""
    return {
        "WORKPOOL_LOOP_ARN": arn_of("loop"),
        "WORKPOOL_COMPLETION_ARN": arn_of("completion"),
        "WORKPOOL_SCHEDULE_GROUP": GROUP,
        "WORKPOOL_SCHEDULER_ROLE_ARN": ROLE,
    }


def deploy(server: MiniStack) -> None:
    """Make everything. The table exists when this returns, and functions can be invoked."""
    session = boto3.Session(region_name=REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)
    dynamodb = session.client("dynamodb", endpoint_url=server.url)
    create_table(dynamodb, TABLE)
    enable_ttl(dynamodb, TABLE)
    functions, code = session.client("lambda", endpoint_url=server.url), bundle()
    for name, (handler, timeout_s, retries) in OWN.items():
        _create(functions, name, handler, timeout_s, code)
        functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=retries)
    for name, job in JOBS.items():
        _create(functions, name, job.handler, job.timeout_s, code)
        completion = {"Destination": arn_of("completion")}
        both = {"OnFailure": completion} if job.decorated else {"OnFailure": completion, "OnSuccess": completion}
        functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0, DestinationConfig=both)
    _schedule(session.client("scheduler", endpoint_url=server.url))


def _create(functions: Any, name: str, handler: str, timeout_s: int, code: bytes) -> None:
    functions.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=ROLE,
        Handler=handler,
        Timeout=timeout_s,
        MemorySize=256,
        Code={"ZipFile": code},
        Environment={"Variables": environment()},
    )
    functions.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")


def _schedule(scheduler: Any) -> None:
    scheduler.create_schedule_group(Name=GROUP)
    scheduler.create_schedule(
        Name="watchdog",
        GroupName=GROUP,
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn_of("watchdog"), "RoleArn": ROLE, "Input": f'{{"workpool_watchdog":{{"table":"{TABLE}"}}}}'},
    )


def bundle() -> bytes:
    """The code of every function: the package, what it needs, and the jobs."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, name in _files():
            archive.write(path, name)
    return packed.getvalue()


def _files() -> Iterator[tuple[Path, str]]:
    for root in (ROOT / "workpool_aws", FUNCTIONS):
        start = root.parent if root.name == "workpool_aws" else root
        for path in sorted(root.rglob("*.py")):
            yield path, str(path.relative_to(start))
    for name in BUNDLED:
        for file in distribution(name).files or ():
            if not file.parts[0].startswith("..") and "__pycache__" not in file.parts:
                yield Path(str(file.locate())), str(file)


def processes_of(server: MiniStack, function: str) -> Iterable[int]:
    """The processes that now run a function's code, by their environment."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            session = os.getsid(int(entry.name))
        except (OSError, ProcessLookupError):
            continue
        if session == server.pid and f"AWS_LAMBDA_FUNCTION_NAME={function}".encode() in variables:
            yield int(entry.name)
