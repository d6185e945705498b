"""Runs a MiniStack server: an emulated AWS in a process and a folder of its own, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "build" / "ministack-venv" / "bin" / "python"
"""Made by `make ministack`."""
SHIM = Path(__file__).parent / "shim"
REGION = "us-east-1"
ACCESS_KEY = "test"
SECRET_KEY = "test"

_HEALTHY_WITHIN_S = 180.0
_ENDED_WITHIN_S = 15.0
_PORTS_TRIED = 3
_LOG_LINES = 80


_alive: list[MiniStack] = []


class ServerFailed(Exception):
    """The server did not become healthy. The message ends with its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniStack:
    """A server that answered. It is gone when the `with` block that made it ends."""

    url: str
    pid: int
    folder: Path
    """Its TMPDIR: unpacked code, among other things."""
    log: Path

    def log_tail(self) -> str:
        """The last lines of what it wrote."""
        return _tail(self.log)


def alive() -> tuple[MiniStack, ...]:
    """The servers that this process runs at this moment."""
    return tuple(_alive)


def why_absent() -> str | None:
    """The reason why no server starts here; `None` means that one does."""
    return (
        None
        if PYTHON.exists()
        else f"MiniStack is not installed here: `make ministack` puts it into {PYTHON.parents[1].relative_to(ROOT)}"
    )


@contextmanager
def running(*, authorize: bool = False, processes: int = 8) -> Iterator[MiniStack]:
    """A fresh server.

    `authorize`: requests need permission, as in AWS; `processes`: how many handlers run at a time.

    It ends with the block, with every process it started; and when this process dies in any other
    way, since its standard input ends then.

    Raises:
        ServerFailed: it did not answer within three minutes. Nothing is left running.
    """
    with tempfile.TemporaryDirectory(prefix="ministack-", ignore_cleanup_errors=True) as folder:
        process, port = _started(Path(folder), authorize=authorize, processes=processes)
        server = MiniStack(
            url=f"http://127.0.0.1:{port}",
            pid=process.pid,
            folder=Path(folder),
            log=_log_in(Path(folder)),
        )
        _alive.append(server)
        try:
            yield server
        finally:
            _alive.remove(server)
            _end(process)


def _started(
    folder: Path, *, authorize: bool, processes: int
) -> tuple[subprocess.Popen[bytes], int]:
    # Between the search for a free port and the server's listening another process may take it: the
    # server ends then, and we try another.
    for _ in range(_PORTS_TRIED):
        port = _free_port()
        process = _launched(folder, port, authorize=authorize, processes=processes)
        try:
            if _is_healthy(process, port):
                return process, port
        except BaseException:
            _end(process)
            raise
        _end(process)
    raise ServerFailed(f"MiniStack did not become healthy; its log ends:\n{_tail(_log_in(folder))}")


def _launched(
    folder: Path, port: int, *, authorize: bool, processes: int
) -> subprocess.Popen[bytes]:
    # Handlers inherit what the server has, so it is given no more than this.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "TMPDIR": str(folder),
        "HOME": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LAMBDA_WARM_TTL_SECONDS": "20",
        "LOG_LEVEL": "INFO",
        "AUTH": "true" if authorize else "false",
        "EMULATOR_PROCESSES": str(processes),
        "PYTHONUNBUFFERED": "1",
    }
    with _log_in(folder).open("ab") as log:
        return subprocess.Popen(
            [str(PYTHON), str(SHIM)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_healthy(process: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + _HEALTHY_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            if connection.getresponse().status == 200:
                return process.poll() is None
        except (OSError, HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
    # Handlers of its own that did not notice are in the session that began with it.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _log_in(folder: Path) -> Path:
    return folder / "ministack.log"


def _tail(log: Path) -> str:
    return (
        "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:])
        if log.exists()
        else "(nothing)"
    )
