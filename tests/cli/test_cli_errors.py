"""`workpool errors` and `workpool error`."""

from __future__ import annotations

import json

import pytest

from tests.kit.functions import echo
from workpool_aws.cli.main import main
from workpool_aws.local import LocalCloud


def test_errors_are_listed_resolved_and_opened(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        bad = cloud.function(lambda event, _: 1 / event["n"], name="bad")
        pool.enqueue_action_batch(None, bad, [{"n": 0}] * 2)
        pool.enqueue_action(None, cloud.function(echo), {})
        cloud.run_until_idle()
        where = ["--table", cloud.table, "--pool", "email"]

        def run(*command: str) -> tuple[int, str, str]:
            code = main([*command, *where])
            out, err = capsys.readouterr()
            return code, out, err

        listed = json.loads(run("errors", "--json")[1])
        (found,) = listed["errors"]
        resolved = run("error", "resolve", found["fingerprint"])
        rest = run("errors")
        everything = run("errors", "--all")
        opened = json.loads(run("error", "open", found["fingerprint"], "--json")[1])
        unknown = run("error", "ignore", "0" * 16)
        wrong = run("error", "ignore", "<b>")

    assert (found["state"], found["count"], found["error_type"]) == ("open", 2, "ZeroDivisionError")
    assert (len(found["work_ids"]), listed["at_least"]) == (2, False)
    row = resolved[1].splitlines()[1].split()
    assert (resolved[0], row[:3]) == (0, [found["fingerprint"], "2", "resolved"])
    assert len(rest[1].splitlines()) == 1
    assert "1 more error resolved or ignored: --all" in rest[2]
    assert found["fingerprint"] in everything[1]
    assert (opened["state"], opened["marked_at"]) == ("open", None)
    assert (unknown[0], wrong[0]) == (3, 2)
    assert "has error '0000000000000000'" in unknown[2]
    assert "fingerprint must be 16 hexadecimal digits" in wrong[2]
