"""`workpool why`: the answer of `Workpool.why`, for people and for programs."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from workpool_aws import Workpool
from workpool_aws.cli.main import main
from workpool_aws.core.views.why.answer import WhyCode
from workpool_aws.local import LocalCloud

PAUSED = (
    "The pool is paused since 2026-01-01 00:00:00Z, set by a caller outside Lambda. Nothing starts."
)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workpool]:
    with LocalCloud() as cloud:
        monkeypatch.setenv("WORKPOOL_TABLE", cloud.table)
        monkeypatch.setenv("WORKPOOL_POOL", "email")
        yield cloud.workpool("email")


def test_why_says_reasons_and_changes(pool: Workpool, capsys: pytest.CaptureFixture[str]) -> None:
    pool.configure(None, paused=True)
    work_id = pool.enqueue_action(None, "send", {}, run_after=timedelta(hours=1))

    assert main(["why", work_id]) == 0

    assert capsys.readouterr().out.splitlines() == [
        f"id            {work_id}",
        "verdict       blocked",
        "since         2026-01-01 00:00:00Z",
        "next look     -",
        "reason 1      It is due at 2026-01-01 01:00:00Z: it was enqueued for a later time. [not_due]",
        "  changes by  The due time.",
        f"reason 2      {PAUSED} [paused]",
        "  changes by  Resume it: `workpool resume`, or `configure(paused=False)`.",
    ]


def test_keys_holder_is_named(pool: Workpool, capsys: pytest.CaptureFixture[str]) -> None:
    work_id = pool.enqueue_action(None, "send", {}, unique_key="k")

    assert [main(["why", work_id]), main(["show", work_id])] == [0, 0]

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines.count(["unique", "key", "k"]) == 2
    assert lines.count(["key", "held", "by", work_id]) == 2


def test_why_is_json_on_request(pool: Workpool, capsys: pytest.CaptureFixture[str]) -> None:
    work_id = pool.enqueue_action(None, "send", {}, run_after=timedelta(hours=1))

    assert main(["why", work_id, "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    reason = said.pop("reasons")[0]
    assert said == {
        "work_id": work_id,
        "verdict": "waiting",
        "since": "2026-01-01T00:00:00+00:00",
        "next_look": said["next_look"],
        "group": None,
        "unique_key": None,
        "key_holder": None,
    }
    assert said["next_look"] > reason["until"] == "2026-01-01T01:00:00+00:00"
    assert reason["code"] == "not_due"
    assert list(reason) == ["code", "text", "change", "since", "until", "blocks", "work_ids"]


def test_unknown_work_item_has_exit_code_of_its_own(
    pool: Workpool, capsys: pytest.CaptureFixture[str]
) -> None:
    pool.enqueue_action(None, "send", {})

    assert main(["why", "nonsense"]) == 3
    assert "has no work item of this id" in capsys.readouterr().out


def test_page_lists_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "why.md").read_text(encoding="utf-8")

    assert [code for code in get_args(WhyCode) if f"`{code}`" not in page] == []
