"""`workpool schedules` and `workpool schedule pause | resume | run NAME`."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from workpool_aws.cli.main import main
from workpool_aws.local import LocalCloud


@pytest.fixture
def cloud() -> LocalCloud:
    return LocalCloud(engine="memory")


def test_schedules_are_listed_changed_and_run(
    cloud: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    with cloud:
        pool = cloud.workpool("email")
        fn = cloud.function(lambda event, _: None, name="report")
        pool.schedule(None, "report", fn, {}, cron="@hourly")
        cloud.advance(timedelta(hours=1, seconds=5))
        where = ["--table", cloud.table, "--pool", "email"]

        def run(*command: str) -> tuple[int, str]:
            code = main([*command, *where])
            return code, capsys.readouterr().out

        listed = run("schedules")
        as_json = json.loads(run("schedules", "--json")[1])
        paused = run("schedule", "pause", "report")
        resumed = run("schedule", "resume", "report", "--json")
        ran = run("schedule", "run", "report", "--json")
        asked = [run("schedule", "run", "report", "--request-id", "r1") for _ in range(2)]
        odd = run("schedule", "pause", "report", "--request-id", "r1")
        unknown = run("schedule", "run", "nothing")
        wrong = run("schedule", "stop", "report")

        assert listed[0] == paused[0] == resumed[0] == ran[0] == 0
        assert "At the start of every hour" in listed[1]
        assert [each["name"] for each in as_json["schedules"]] == ["report"]
        assert "success" in listed[1]
        assert "paused" in paused[1]
        assert json.loads(resumed[1])["next_due"] == "2026-01-01T02:00:00+00:00"
        assert pool.show(None, json.loads(ran[1])["work_id"]).schedule == "report"
        assert (unknown[0], wrong[0], odd[0]) == (3, 2, 2)
        assert asked[0] == asked[1]
        assert asked[0][0] == 0
        assert asked[0][1].strip() != json.loads(ran[1])["work_id"]
        assert not pool.schedules(None)[0].paused
