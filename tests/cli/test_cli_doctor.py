"""`workpool doctor`: findings with their remedies, and the exit code."""

import json

import pytest

from tests.kit.functions import echo
from workpool_aws.cli.main import main
from workpool_aws.insights import Insights
from workpool_aws.local import LocalCloud


def test_doctor_names_findings_and_remedies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with LocalCloud() as cloud:
        monkeypatch.setenv("WORKPOOL_TABLE", cloud.table)
        assert main(["doctor"]) == 0
        said = capsys.readouterr()
        assert said.err == f"no findings in table {cloud.table}\n"
        assert said.out == "watchdog  last seen not known\n"
        pool = cloud.workpool("email")
        pool.configure(None, paused=True)
        pool.enqueue_action(None, cloud.function(echo), {})

        assert main(["doctor"]) == 1
        said = capsys.readouterr()
        assert main(["doctor", "--json"]) == 1
        answer = json.loads(capsys.readouterr().out)
        insights = Insights(cloud.table)
        costs = [each.cost.read_units for each in (insights.doctor(), insights.last_seen())]

    lines = said.out.splitlines()
    assert lines[0].startswith("email     Its limit is 0 since 2026-01-01 00:00:00Z, set by ")
    assert lines[0].endswith(" [pool_forgotten]")
    assert lines[1].startswith("  remedy  `workpool resume`")
    # A virtual clock skips ticks that would find nothing, so its watchdog leaves no heartbeat.
    assert lines[-3:] == [
        "watchdog          last seen not known",
        "loop of email     running, last seen not known",
        "reports in email  last one not known",
    ]
    assert answer["last_seen"] == {
        "watchdog_at": None,
        "pools": [{"name": "email", "loop": "running", "loop_at": None, "report_at": None}],
    }
    assert said.err == f"1 finding in table {cloud.table}\n"
    (finding,) = answer["findings"]
    assert lines[0].split(maxsplit=1) == [
        finding["subject"],
        f"{finding['text']} [{finding['code']}]",
    ]
    assert lines[1].split(maxsplit=1) == ["remedy", finding["remedy"]]
    assert min(costs) > 0
    assert answer["read_units"] == sum(costs)
