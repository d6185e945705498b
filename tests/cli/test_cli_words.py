"""Words of commands, one value at a time: signs of life, the course of an attempt, a new start."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.kit.records import a_work, an_id
from workpool_aws.cli import dev
from workpool_aws.cli.codes import DECLINED, FAILED
from workpool_aws.cli.doctor import _seen_fields
from workpool_aws.cli.main import _guarded, main
from workpool_aws.cli.work_texts import work_fields
from workpool_aws.core.views.details import StoredPayload, WorkDetails, details_of
from workpool_aws.core.views.last_seen import LastSeen, PoolLastSeen
from workpool_aws.local import LocalCloud

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


class Terminal(io.StringIO):
    """The standard input of a person."""

    def isatty(self) -> bool:
        return True


def test_act_that_person_declines_changes_nothing_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_event: object, _context: object) -> None:
        raise KeyError("no")

    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        fn = cloud.function(fail, name="report")
        dead = pool.enqueue_action(None, fn, {})
        cloud.run_until_idle()
        late = timedelta(hours=1)
        group = pool.enqueue_group(None, fn, [{}, {}], group_id="later", run_after=late)

        def run(*command: str) -> tuple[int, str]:
            monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
            code = main([*command, "--table", cloud.table, "--pool", "email"])
            return code, capsys.readouterr().err

        answers = [
            run("redrive", dead),
            run("redrive", "--all"),
            run("group", group, "--cancel"),
            run("cancel", "--all"),
        ]

        assert [code for code, _ in answers] == [DECLINED] * 4
        assert all(said.endswith("[y/N] Nothing was changed.\n") for _, said in answers)
        assert [said.partition(" ")[0] for _, said in answers] == [
            "Redrive",
            "Redrive",
            "Cancel",
            "Cancel",
        ]
        assert (pool.count_dead_letters(None), pool.group(None, group).over) == (1, 0)


def test_output_whose_reader_is_gone_fails_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[str] = []

    def gone() -> int:
        raise BrokenPipeError

    monkeypatch.setattr("workpool_aws.cli.main._write_nowhere", lambda: ended.append("nowhere"))

    assert _guarded(gone, "workpool ls") == FAILED
    assert (ended, capsys.readouterr().err) == (["nowhere"], "")
