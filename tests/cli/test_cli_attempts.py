"""The attempts of a retried work item in `ls` and `show`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import RetryPolicy
from workpool_aws.cli.main import main
from workpool_aws.local import LocalCloud


def busy(event: dict[str, Any], _: object) -> None:
    raise ConnectionError("no\x1b[31m answer\nfrom \u202eserver")


@pytest.fixture
def work_id(monkeypatch: pytest.MonkeyPatch) -> Any:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        policy = RetryPolicy(max_attempts=3, initial_backoff=timedelta(hours=1), jitter=False)
        made = pool.enqueue_action(None, cloud.function(busy), {}, retry=policy)
        cloud.advance(timedelta(minutes=1))
        monkeypatch.setenv("WORKPOOL_TABLE", cloud.table)
        monkeypatch.setenv("WORKPOOL_POOL", "email")
        yield made


def test_ls_shows_latest_error_of_retrying_work_item_on_one_line(
    work_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls"]) == 0

    [_, line] = capsys.readouterr().out.splitlines()
    assert work_id in line
    assert "attempt 1 failed: ConnectionError: no" in line
    assert not {"\x1b", "\u202e"} & set(line)


def test_show_lists_attempts(work_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", work_id]) == 0

    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("attempt 1")]
    assert "failed: ConnectionError: no" in line
    assert not {"\x1b", "\u202e"} & set(line)


def test_json_has_attempts_as_they_are(work_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "--json"]) == 0

    [item] = json.loads(capsys.readouterr().out)["items"]
    [attempt] = item["attempts"]
    assert item["last_error"] == attempt["error"] == "no\x1b[31m answer\nfrom \u202eserver"
    assert (attempt["number"], attempt["outcome"], attempt["error_type"]) == (
        1,
        "failed",
        "ConnectionError",
    )
    assert (
        attempt["started_at"] < attempt["ended_at"] or attempt["started_at"] == attempt["ended_at"]
    )
