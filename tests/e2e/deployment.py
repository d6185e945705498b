"""A deployment onto an emulated AWS by the real CDK CLI, with its names, roles and processes."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import boto3

from tests.e2e.plan import RELEASE_CONTEXT, STACK
from tests.emulator.server import ACCESS_KEY, REGION, ROOT, SECRET_KEY, MiniStack

ACCOUNT = "000000000000"
INFRA = ROOT / "infra" / "cdk"
CLI = INFRA / "node_modules" / ".bin" / "cdk"
"""Made by `make cdk`, from the lock."""
CDK_PYTHON = ROOT / "build" / "infra-venv" / "bin" / "python"
ASSETS = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"

_DEPLOYED_WITHIN_S = 1_500
"""Two minutes on a quiet machine."""


class CdkFailed(Exception):
    """The CLI ended with an error. The message ends with what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """The outputs of the stack."""

    table: str
    loop: str
    completion: str
    watchdog: str
    queue_url: str
    queue_arn: str
    roles: dict[str, str]

    def environment(self) -> dict[str, str]:
        """The variables that the construct gives a function that may enqueue."""
        return {
            "WORKPOOL_LOOP_ARN": arn_of(self.loop),
            "WORKPOOL_COMPLETION_ARN": arn_of(self.completion),
        }


def arn_of(function: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"


def why_absent() -> str | None:
    """The reason why no deployment works here; `None` means that it does."""
    missing = next((path for path in (CDK_PYTHON, CLI) if not path.exists()), None)
    return (
        None
        if missing is None
        else f"{missing.relative_to(ROOT)} is not there: `make cdk` makes it"
    )


@cache
def assembly() -> Path:
    """The folder of all synthesized apps of this process.

    CDK bundles no code that is there already, and to bundle takes longer than the rest of a deployment.
    """
    folder = tempfile.mkdtemp(prefix="workpool-e2e-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def account(server: MiniStack) -> dict[str, str]:
    """The environment of a program that works in the emulated account."""
    return {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }


def bootstrap(server: MiniStack) -> None:
    """Prepare the account for the CDK, as people do once."""
    _cdk(server, "bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", "")
    # The bucket refuses requests without TLS, which the emulated AWS does not speak.
    session = boto3.Session(
        region_name=REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY
    )
    session.client("s3", endpoint_url=server.url).delete_bucket_policy(Bucket=ASSETS)


def deploy(server: MiniStack, *, release: int = 1) -> Deployed:
    """Deploy, or update to another release. When it returns, functions can be invoked."""
    outputs = server.folder / "outputs.json"
    _cdk(
        server,
        "deploy",
        STACK,
        *_app(release),
        "--require-approval",
        "never",
        "--outputs-file",
        str(outputs),
    )
    said: dict[str, str] = json.loads(outputs.read_text(encoding="utf-8"))[STACK]
    found = {name.removesuffix("Output"): value for name, value in said.items()}
    return Deployed(
        table=found["Table"],
        loop=found["Loop"],
        completion=found["Completion"],
        watchdog=found["Watchdog"],
        queue_url=found["Told"],
        queue_arn=found["ToldArn"],
        roles={name: found[name] for name in ("Enqueuer", "Reader", "Manager")},
    )


def deploy_project(
    server: MiniStack, folder: Path, stack: str, *, context: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Deploy a stack of a project as its reader does, and return its outputs."""
    outputs = server.folder / f"{stack}.json"
    words = ["deploy", stack, "--app", f"{CDK_PYTHON} deploy.py", "-c", "workpool:bundle-for=host"]
    words += [each for pair in (context or {}).items() for each in ("-c", "=".join(pair))]
    folders = ["--output", str(assembly()), "--outputs-file", str(outputs)]
    _cdk(server, *words, *folders, "--require-approval", "never", cwd=folder)
    said: dict[str, dict[str, str]] = json.loads(outputs.read_text(encoding="utf-8"))
    return said[stack]


def destroy(server: MiniStack) -> None:
    """Remove the stack."""
    _cdk(server, "destroy", STACK, *_app(1), "--force")


def _app(release: int) -> list[str]:
    app = f"{CDK_PYTHON} {Path(__file__).with_name('app.py')}"
    return [
        "--app",
        app,
        "--output",
        str(assembly()),
        "-c",
        "workpool:bundle-for=host",
        "-c",
        f"{RELEASE_CONTEXT}={release}",
    ]


def _cdk(server: MiniStack, *words: str, cwd: Path = INFRA) -> None:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(server.folder),
        "TMPDIR": str(server.folder),
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, INFRA))),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        **account(server),
    }
    try:
        done = subprocess.run(
            [str(CLI), *words, "--no-notices", "--ci"],
            cwd=cwd,  # for the settings in its cdk.json
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEPLOYED_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = (
            late.stdout.decode(errors="replace")
            if isinstance(late.stdout, bytes)
            else late.stdout or "nothing"
        )
        raise CdkFailed(
            f"cdk {words[0]} did not end in {_DEPLOYED_WITHIN_S} s; it said:\n{said[-8000:]}"
        ) from late
    if done.returncode != 0:
        raise CdkFailed(f"cdk {words[0]} ended with {done.returncode}:\n{done.stdout[-8000:]}")


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
