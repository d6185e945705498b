"""`workpool groups` and `workpool group ID`."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from workpool_aws.cli.main import main
from workpool_aws.local import LocalCloud


def test_groups_are_listed_shown_and_canceled(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        fn = cloud.function(lambda event, _: None, name="report")
        pool.enqueue_group(None, fn, [{}, {}], group_id="nightly")
        cloud.run_until_idle()
        pool.enqueue_group(None, fn, [{}] * 3, group_id="later", run_after=timedelta(hours=1))
        member = pool.list(None, state="pending").items[0].work_id
        where = ["--table", cloud.table, "--pool", "email"]

        def run(*command: str) -> tuple[int, str]:
            code = main([*command, *where])
            return code, capsys.readouterr().out

        listed = run("groups")
        page = json.loads(run("groups", "--limit", "1", "--json")[1])
        shown = run("group", "nightly")
        why = run("why", member)
        members = json.loads(run("ls", "--group", "nightly", "--json")[1])["items"]
        none = run("ls", "--group", "never")
        details = run("show", member)
        asked = run("group", "later", "--cancel")
        canceled = json.loads(run("group", "later", "--cancel", "--yes", "--json")[1])
        unknown = run("group", "never")
        wrong = run("groups", "--limit", "0")

    assert (listed[0], shown[0], asked[0], unknown[0], wrong[0]) == (0, 0, 2, 3, 2)
    assert [line.split()[:3] for line in listed[1].splitlines()[1:]] == [
        ["later", "running", "report"],
        ["nightly", "finished", "report"],
    ]
    assert {each["outcome"] for each in members} == {"success"}
    assert (len(members), none[0]) == (2, 3)
    assert (page["next"], page["groups"][0]["total"]) == ("later", 3)
    assert "2, of which 2 are stored" in shown[1]
    lines = dict(line.split("  ", 1) for line in shown[1].splitlines())
    assert {name: lines[name].strip() for name in ("group", "state", "function", "failed")} == {
        "group": "nightly",
        "state": "finished",
        "function": "report",
        "failed": "0",
    }
    assert [*lines][-3:] == ["finished", "callback", "followed by"]
    assert "later" in why[1].split()
    assert "later" in details[1].split()
    assert (canceled["state"], canceled["enqueued"]) == ("running", 3)


def test_own_work_item_of_group_is_shown_as_what_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        fn = cloud.function(lambda event, _: None, name="report")
        done = cloud.function(lambda event, _: None, name="done")
        pool.enqueue_group(None, fn, [{}], group_id="nightly", on_complete=done)
        cloud.run_until_idle()
        own = pool.group(None, "nightly").follow_up
        assert own is not None
        where = ["--table", cloud.table, "--pool", "email"]
        outputs = []
        for command in (["ls"], ["ls", "--json"], ["show", own], ["why", own]):
            assert main([*command, *where]) == 0
            outputs.append(capsys.readouterr().out)

    listed, as_json, shown, why = outputs
    rows = {line.split()[0]: line.split()[1:4] for line in listed.splitlines()[1:]}
    (member,) = rows.keys() - {own}
    assert rows[own] == ["group", "over", "-"]
    assert rows[member][:2] == ["success", "1"]
    assert {each["work_id"]: each["stands_for"] for each in json.loads(as_json)["items"]} == {
        own: "nightly",
        member: None,
    }
    assert "It stands for group nightly, which was over at " in why
    assert "attempt 1" not in shown
    assert ["stands", "for", "group", "nightly"] in [line.split() for line in shown.splitlines()]
