"""The emulated AWS begins healthy, listens on loopback only, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.emulator import server
from tests.emulator.server import ROOT, SHIM, ServerFailed, running, why_absent

ENDED_WITHIN_S = 20.0


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return (
        not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    )


@pytest.mark.server
def test_server_ends_with_its_block():
    with running() as made:
        port = urlsplit(made.url).port
        assert is_alive(made.pid)

    assert not is_alive(made.pid)
    assert not made.folder.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.server
def test_servers_stand_side_by_side():
    with running() as one, running() as other:
        assert (one.url != other.url, one.folder != other.folder) == (True, True)


@pytest.mark.server
def test_server_ends_when_whoever_started_it_is_killed():
    script = """
        import time
        from tests.emulator.server import running
        with running() as made:
            print(made.pid, made.folder, flush=True)
            time.sleep(600)
    """
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
    ) as parent:
        told, folder = parent.stdout.readline().decode().split()
        parent.send_signal(signal.SIGKILL)

    until = time.monotonic() + ENDED_WITHIN_S
    pid = int(told)
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)

    assert not is_alive(pid)
    assert not Path(folder).exists()


@pytest.mark.server
def test_server_that_cannot_start_tells_its_log(monkeypatch, tmp_path):
    (tmp_path / "__main__.py").write_text(
        "raise SystemExit('the shim was written for another version')", encoding="utf-8"
    )
    monkeypatch.setattr(server, "SHIM", tmp_path)

    with pytest.raises(ServerFailed, match="written for another version"), running():
        pytest.fail("it must not begin")


@pytest.mark.server
def test_shim_refuses_another_version():
    code = f"import runpy; start = runpy.run_path({str(SHIM / '__main__.py')!r})['start']; start.__globals__['VERSION'] = '0.0.0'; start()"

    ended = subprocess.run([server.PYTHON, "-c", code], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "written for MiniStack 0.0.0" in ended.stderr


def test_server_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(server, "PYTHON", ROOT / "build" / "nowhere" / "bin" / "python")

    assert (
        why_absent()
        == "MiniStack is not installed here: `make ministack` puts it into build/nowhere"
    )
