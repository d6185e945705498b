"""Words of commands, one value at a time: signs of life, the course of an attempt, a new start."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.kit.records import a_work, an_id
from workpool_aws.cli import dev
from workpool_aws.cli.doctor import _seen_fields
from workpool_aws.cli.work_texts import work_fields
from workpool_aws.core.views.details import StoredPayload, WorkDetails, details_of
from workpool_aws.core.views.last_seen import LastSeen, PoolLastSeen

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 s ago, 2026-05-04 12:00:05Z"),
        (0.4, "0 s ago, "),
        (119, "119 s ago, 2026-05-04 11:58:01Z"),
        (120, "2 min ago, "),
        (7_199, "119 min ago, "),
        (7_200, "2 h ago, "),
        (172_799, "47 h ago, "),
        (172_800, "2 d ago, 2026-05-02 12:00:00Z"),
    ],
)
def test_sign_of_life_is_shown_in_largest_unit_that_it_has_two_of(
    seconds: float, shown: str
) -> None:
    at = NOW - timedelta(seconds=seconds)
    pool = PoolLastSeen(name="email", loop="idle", loop_at=at, report_at=None)

    found = dict(_seen_fields(LastSeen(watchdog_at=at, pools=(pool,)), NOW))

    assert found["watchdog"].startswith(f"last seen {shown}")
    assert found["loop of email"].startswith(f"idle, last seen {shown}")
    assert found["reports in email"] == "last one not known"


def fields_of(work: WorkDetails) -> dict[str, str]:
    return dict(work_fields(work))


def test_course_of_attempt_is_shown_where_there_is_one() -> None:
    plain = details_of(a_work(), {})
    assert {"progress", "heartbeat", "key held by", "timeout", "stands for"}.isdisjoint(
        fields_of(plain)
    )

    running = replace(plain.status, progress=0.404, note="page\n3", heartbeat_at=NOW)
    found = fields_of(
        replace(
            plain,
            status=running,
            unique_key="k",
            key_holder=None,
            timeout=timedelta(milliseconds=1500),
        )
    )
    assert (found["progress"], found["heartbeat"]) == ("40% page 3", "2026-05-04 12:00:00Z")
    assert (found["key held by"], found["timeout"]) == ("-", "1.5 s")
    quiet = fields_of(replace(plain, status=replace(running, note=None), key_holder=an_id()))
    assert (quiet["progress"], "key held by" in quiet) == ("40%", False)


def payload(
    size: int | None, *, chunks: int = 0, json: str | None = None, missing: bool = False
) -> StoredPayload:
    return StoredPayload(size_bytes=size, chunks=chunks, json=json, missing=missing)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (None, "-"),
        (payload(7, missing=True), "gone or damaged"),
        (payload(7, json='{"a":1}'), '{"a":1}'),
        (payload(1), "1 byte (--result shows it)"),
        (payload(2), "2 bytes (--result shows it)"),
        (payload(None, chunks=2), "2 chunks of at most 350 KB (--result shows it)"),
    ],
)
def test_payload_is_shown_if_it_was_read(stored: StoredPayload | None, shown: str) -> None:
    plain = details_of(a_work(), {})
    found = fields_of(replace(plain, args=stored or plain.args, result=stored))

    assert found["result"] == shown
    if stored is not None:
        hint = "--args shows them; they may be secret"
        assert found["arguments"] == shown.replace("--result shows it", hint)


@pytest.mark.parametrize("before", [[], ["--again"]])
def test_command_begins_again_once_file_has_changed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: list[str],
) -> None:
    file = tmp_path / "jobs.py"
    file.write_text("")
    looks: list[float] = []
    began: list[tuple[str, list[str]]] = []

    class Event:
        def wait(self, seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 2:
                os.utime(file, (1, 1))

    monkeypatch.setattr("workpool_aws.cli.dev.threading.Event", Event)

    def execv(path: str, args: list[str]) -> None:
        began.append((path, args))
        raise SystemExit  # as it never returns

    monkeypatch.setattr("workpool_aws.cli.dev.os.execv", execv)
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-m", "workpool_aws", "dev", *before])

    with pytest.raises(SystemExit):
        dev.restart_on_change([str(file)])

    again = [sys.executable, "-m", "workpool_aws", "dev", "--again"]
    assert (began, looks) == ([(sys.executable, again)], [0.5, 0.5])
    assert "a file has changed" in capsys.readouterr().err
