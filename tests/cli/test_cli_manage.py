"""The commands that see and manage a pool: in memory, and through boto3 where a test names moto."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import RetryPolicy, Workpool
from workpool_aws.cli.main import main
from workpool_aws.cli.output import Output, cell
from workpool_aws.local import LocalCloud

SECRET = "hunter2"

both_engines = pytest.mark.parametrize("scene", ["memory", "moto"], indirect=True)


@dataclass(frozen=True)
class Scene:
    """A pool that has worked: one success, two failures, one work for tomorrow."""

    cloud: LocalCloud
    pool: Workpool
    good: str
    bad: list[str]
    later: str


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self) -> bool:
        return True


def boom(event: dict[str, Any], _: object) -> None:
    raise ValueError("no\x1b[31m such\nuser")


@pytest.fixture
def scene(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with LocalCloud(engine=getattr(request, "param", "memory")) as cloud:
        pool = cloud.workpool("email", max_parallelism=4)
        good = pool.enqueue_action(
            None, cloud.function(lambda event, _: "sent", name="good"), {"password": SECRET}
        )
        bad = pool.enqueue_action_batch(
            None, cloud.function(boom, name="bad"), [{"n": 1}, {"n": 2}]
        )
        cloud.run_until_idle()
        later = pool.enqueue_action(
            None, cloud.function(boom, name="late"), {}, run_after=timedelta(days=1)
        )
        monkeypatch.setenv("WORKPOOL_TABLE", cloud.table)
        monkeypatch.setenv("WORKPOOL_POOL", "email")
        yield Scene(cloud, pool, good, bad, later)


def says(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))


@both_engines
def test_ls_shows_line_work(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0

    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].split() == ["id", "state", "attempts", "when", "function", "error"]
    assert [line.split()[:2] for line in lines[1:]] == [
        [scene.good, "success"],
        *([each, "failed"] for each in scene.bad),
        [scene.later, "pending"],
    ]
    assert r"ValueError: no\x1b[31m such user" in lines[2]
    assert "\x1b" not in said.out
    assert SECRET not in said.out + said.err


@both_engines
def test_ls_asks_for_state_function_and_page(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["ls", "--state", "dead", "--newest", "--limit", "1", "--json"])
    first = json.loads(capsys.readouterr().out)
    main(["ls", "--state", "dead", "--newest", "--limit", "1", "--json", "--after", first["next"]])
    second = json.loads(capsys.readouterr().out)
    main(["ls", "--fn", "good", "--json"])
    of_one = json.loads(capsys.readouterr().out)

    assert [each["work_id"] for each in (*first["items"], *second["items"])] == scene.bad[::-1]
    assert [(each["work_id"], each["outcome"]) for each in of_one["items"]] == [
        (scene.good, "success")
    ]


def test_page_that_goes_on_says_how_on_stderr(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", "--limit", "1"]) == 0

    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2
    assert said.err.startswith("more: --after ")


def test_show_keeps_arguments_and_results_to_itself(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", scene.good]) == 0
    plain = capsys.readouterr().out
    assert main(["show", scene.good, "--args", "--result"]) == 0
    open_ = capsys.readouterr().out
    assert main(["show", scene.good, "--json"]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert main(["show", scene.good, "--json", "--args"]) == 0
    with_args = json.loads(capsys.readouterr().out)
    assert main(["show", scene.good, "--json", "--result"]) == 0
    with_result = json.loads(capsys.readouterr().out)

    assert SECRET not in plain
    assert "sent" not in plain
    assert f'arguments         {{"password":"{SECRET}"}}' in open_
    assert 'result            "sent"' in open_
    assert {"args", "result"} & set(as_json) == set()
    assert (json.loads(with_args["args"]), "result" in with_args) == ({"password": SECRET}, False)
    assert (json.loads(with_result["result"]), "args" in with_result) == ("sent", False)


def test_unknown_work_is_code_3(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert [
        main(["show", "nonsense"]),
        main(["cancel", "nonsense", "--yes"]),
        main(["redrive", "nonsense", "--yes"]),
    ] == [3, 3, 3]

    said = capsys.readouterr()
    assert "no work item nonsense is known in pool email of table workpool-local" in said.err


@both_engines
def test_cancel_shows_count_and_asks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    says(monkeypatch, "n\n")
    refused = main(["cancel", scene.later])
    asked = capsys.readouterr().err
    state = scene.pool.status(None, scene.later).state
    says(monkeypatch, "y\n")

    assert main(["cancel", scene.later]) == 0

    assert (refused, state) == (4, "pending")
    assert (
        asked
        == "Cancel 1 work item (1 pending) in pool email of table workpool-local? [y/N] Nothing was changed.\n"
    )
    assert capsys.readouterr().out == f"{scene.later}  canceled\n"
    assert scene.pool.status(None, scene.later).outcome == "canceled"


def test_cancel_all_shows_count_and_asks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    says(monkeypatch, "n\n")
    refused = main(["cancel", "--all"])
    asked = capsys.readouterr().err
    untouched = scene.pool.status(None, scene.later).cancel_requested

    assert main(["cancel", "--all", "--yes"]) == 0

    assert (refused, untouched) == (4, False)
    assert asked.startswith(
        "Cancel all that waits (0 due and 1 later) and ask the 0 running in pool email of table workpool-local? [y/N] "
    )
    assert (
        capsys.readouterr().out
        == "canceled: 0 due and 1 later; asked: 0 running. The loop goes through them one by one.\n"
    )
    assert scene.pool.status(None, scene.later).cancel_requested


@pytest.mark.parametrize("words", [["cancel"], ["cancel", "01KDVDNA000000000000000010", "--all"]])
def test_cancel_wants_works_or_all(
    scene: Scene, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2

    assert "ID must be given, or else --all; got " in capsys.readouterr().err


def test_cancel_of_finished_work_is_refused(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cancel", scene.good, scene.later, "--yes", "--json"]) == 3

    assert json.loads(capsys.readouterr().out) == {scene.good: "finished", scene.later: "canceled"}


def test_yes_option_is_required_without_terminal(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    assert main(["redrive", "--all"]) == 2

    assert (
        "Redrive 2 work items that failed for good, or whose callback is dead, in pool email of table workpool-local?"
        in capsys.readouterr().err
    )
    assert len(scene.pool.list(None, state="dead").items) == 2


@both_engines
def test_redrive_all_says_how_many(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    codes = [
        main(["redrive", "--all", "--fn", "good", "--yes"]),
        main(["redrive", "--all", "--yes"]),
        main(["redrive", "--all"]),
    ]

    assert codes == [0, 0, 0]
    assert (
        capsys.readouterr().out
        == "0 work items redriven\n2 work items redriven\n0 work items redriven\n"
    )
    assert scene.pool.list(None, state="dead").items == ()


def test_redrive_names_new_works(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redrive", scene.bad[0], scene.good, "--yes", "--json"]) == 3

    said = capsys.readouterr()
    answers = json.loads(said.out)
    assert scene.pool.redrive(None, scene.bad[0]) == answers[scene.bad[0]]
    assert answers[scene.good] is None
    assert "for good, or whose callback is dead; got " in said.err


@pytest.mark.parametrize(
    "argv",
    [
        ["redrive"],
        ["redrive", "x", "--all"],
        ["redrive", "x", "--fn", "f"],
        ["limit", "3", "--reset"],
    ],
)
def test_options_that_contradict_each_other(
    scene: Scene, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2

    assert capsys.readouterr().err.count("\n") == 1


@both_engines
def test_pause_resume_and_limit(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    steps = []
    for argv in (["pause"], ["resume"], ["limit", "7"], ["limit"], ["limit", "--reset"]):
        assert main([*argv, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        steps.append((said["max_parallelism"], said["paused"]))

    assert steps == [(0, True), (4, False), (7, False), (7, False), (4, False)]
    assert main(["limit", "9"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "in force  9 at a time"
    assert "override  9, by a caller outside Lambda" in said
    assert scene.pool.config(None).max_parallelism == 9


@pytest.mark.parametrize("number", ["0", "10000"])
def test_limit_may_be_as_low_as_0_and_as_high_as_10_000(
    scene: Scene, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["limit", number, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["max_parallelism"] == int(number)


@pytest.mark.parametrize(
    ("argv", "bounds"),
    [
        (["limit", "-1"], ""),
        (["limit", "10001"], "from 0 to 10000"),
        (["limit", "2.5"], "from 0 to 10000"),
        (["ls", "--limit", "0"], "from 1 to 1000"),
        (["ls", "--limit", "1001"], "from 1 to 1000"),
        (["stats", "--minutes", "0"], "from 1 to 10080"),
        (["stats", "--minutes", "10081"], "from 1 to 10080"),
        (["stats", "--minutes", "ten"], "from 1 to 10080"),
    ],
)
def test_number_out_of_bounds_is_refused_and_bounds_are_said(
    scene: Scene, argv: list[str], bounds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2

    assert bounds in capsys.readouterr().err
    assert scene.pool.config(None).override is None


@pytest.mark.parametrize(
    "argv",
    [["ls", "--limit", "1000"], ["stats", "--minutes", "10080"], ["stats", "--minutes", "1"]],
)
def test_number_at_its_bound_is_taken(scene: Scene, argv: list[str]) -> None:
    assert main(argv) == 0


def test_limit_says_who_set_what_and_when(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for argv in (["limit"], ["pause"], ["limit", "9"], ["resume"]):
        main(argv)
        said.append(
            dict(
                re.split(r"\s{2,}", line, maxsplit=1)
                for line in capsys.readouterr().out.splitlines()
            )
        )
        main([*argv[:1], "--json"])
        said[-1]["json"] = json.loads(capsys.readouterr().out)

    untouched, paused, limited, resumed = said
    when = r", \d{4}-\d\d-\d\d.*"
    assert (untouched["in force"], untouched["override"], untouched["json"]["override"]) == (
        "4 at a time",
        "none",
        None,
    )
    assert re.fullmatch(
        f"4, by {re.escape(scene.pool.config(None).base.by)}{when}", untouched["base"]
    )
    assert untouched["json"]["base"]["max_parallelism"] == 4
    assert (paused["in force"], paused["json"]["paused"]) == ("0 at a time (paused)", True)
    assert re.fullmatch(f"paused, by a caller outside Lambda{when}", paused["override"])
    assert paused["json"]["override"].pop("at").startswith("20")
    assert paused["json"]["override"] == {
        "max_parallelism": None,
        "paused": True,
        "by": "a caller outside Lambda",
        "rate_limit": None,
        "lifts_rate_limit": False,
    }
    assert re.fullmatch(f"9, paused, by a caller outside Lambda{when}", limited["override"])
    assert resumed["in force"] == "9 at a time"
    assert re.fullmatch(f"9, by a caller outside Lambda{when}", resumed["override"])
    assert resumed["json"]["override"].pop("at").startswith("20")
    assert resumed["json"]["override"] == {
        "max_parallelism": 9,
        "paused": False,
        "by": "a caller outside Lambda",
        "rate_limit": None,
        "lifts_rate_limit": False,
    }


def test_pool_that_no_program_configured_has_default(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.cloud.workpool("untouched").enqueue_action(None, "x", {}, run_after=timedelta(days=1))

    assert main(["limit", "--pool", "untouched"]) == 0

    assert re.search(r"(?m)^base +\d+, by the default$", capsys.readouterr().out)


@both_engines
def test_stats_for_people_and_for_programs(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats"]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert main(["stats", "--json", "--minutes", "60"]) == 0
    said = json.loads(capsys.readouterr().out)

    assert {name.strip(): value.strip() for name, value in lines.items()}[
        "executions"
    ] == "3 in 5 min"
    assert (said["executions"], said["error_rate"], said["scheduled"]) == (
        3,
        pytest.approx(2 / 3),
        1,
    )


def test_options_beat_environment(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKPOOL_JSON", "1")
    main(["ls"])
    of_environment = json.loads(capsys.readouterr().out)["items"]
    scene.cloud.workpool("other", max_parallelism=1).enqueue_action(
        None, "x", {}, run_after=timedelta(days=1)
    )
    main(["ls", "--pool", "other", "--state", "running"])

    assert json.loads(capsys.readouterr().out)["items"] == []
    assert len(of_environment) == 4


def test_table_must_be_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WORKPOOL_TABLE", raising=False)

    assert main(["ls"]) == 2

    assert (
        capsys.readouterr().err
        == "workpool ls: error: --table must be given, here or in WORKPOOL_TABLE; got nothing\n"
    )


def test_table_that_does_not_exist_is_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    boto3.setup_default_session()

    with moto.mock_aws():
        assert main(["ls", "--table", "no-such-table"]) == 1

    assert "table 'no-such-table' does not exist" in capsys.readouterr().err


def test_terminal_gets_table_in_colour(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    assert main(["ls", "--state", "dead"]) == 0

    assert "\x1b[31mfailed" in terminal.getvalue()
    assert scene.bad[0] in terminal.getvalue()


@pytest.mark.parametrize(
    "command", ["ls", "show", "why", "cancel", "redrive", "pause", "resume", "limit", "stats"]
)
def test_every_command_has_help_with_its_environment_and_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0

    said = capsys.readouterr().out
    for word in (
        "--table",
        "WORKPOOL_TABLE",
        "--pool",
        "WORKPOOL_POOL",
        "--json",
        "WORKPOOL_JSON",
        "exit codes: 0",
        "4 not confirmed",
    ):
        assert word in said


def test_help_of_command_loads_no_sdk() -> None:
    script = (
        "import sys; from workpool_aws.cli.main import main; main(['ls', '--help']); "
        "sys.exit(' '.join(sorted({'boto3', 'botocore', 'moto', 'pydantic', 'rich'} & set(sys.modules))) or 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, str]:
    """Return the lines of a command, by their names."""
    capsys.readouterr()
    assert main([*argv]) == 0
    pairs = (re.split(r"\s{2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) > 1}


def test_show_tells_work_that_waits(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    policy = RetryPolicy(max_attempts=7)
    waiting = scene.pool.enqueue_query(
        None,
        scene.cloud.function(boom, name="q"),
        {"a": 1},
        retry=policy,
        run_after=timedelta(days=2),
    )

    said = shown(capsys, "show", waiting)

    assert said["state"] == "pending"
    assert (said["kind"], said["attempts"], said["retry"]) == ("query", "0", "at most 7 attempts")
    assert {
        said[name]
        for name in (
            "outcome",
            "started",
            "finished",
            "callback",
            "unique key",
            "redrive of",
            "redriven as",
            "error",
            "result",
        )
    } == {"-"}
    assert said["cancel requested"] == "no"
    assert said["arguments"].startswith("7 bytes ")
    assert said["due"] == scene.pool.status(None, waiting).next_run_at.strftime(
        "%Y-%m-%d %H:%M:%SZ"
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", said["enqueued"])


def test_show_tells_work_that_failed_and_was_redriven(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    again = scene.pool.redrive(None, scene.bad[0])

    said, of_new = shown(capsys, "show", scene.bad[0]), shown(capsys, "show", again)

    assert (said["outcome"], said["attempts"], said["retry"], said["due"], said["redriven as"]) == (
        "failed",
        "1",
        "-",
        "-",
        again,
    )
    assert re.fullmatch(r"\d{4}-.*Z", said["started"])
    assert re.fullmatch(r"\d{4}-.*Z", said["finished"])
    assert (of_new["redrive of"], of_new["redriven as"]) == (scene.bad[0], "-")


def test_running_work_has_its_attempt_and_its_start(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = scene.cloud.function(
        lambda event, _: None,
        name="slow",
        takes=timedelta(minutes=5),
        timeout=timedelta(minutes=10),
    )
    running = scene.pool.enqueue_action(None, slow, {})
    scene.cloud.advance(timedelta(seconds=30))
    scene.pool.cancel(None, running)

    said = shown(capsys, "show", running)
    main(["ls", "--state", "running"])
    line = capsys.readouterr().out.splitlines()[1]

    assert said["state"].startswith("running")
    assert (said["attempts"], said["cancel requested"], said["finished"]) == ("1", "yes", "-")
    assert line.startswith(f"{running}  running")
    assert said["started"] in line


def test_large_arguments_and_results_are_told_by_size_and_shown_when_asked_for(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    large = "x" * 400_000
    echo = scene.cloud.function(lambda event, _: event["text"], name="echo")
    work_id = scene.pool.enqueue_action(None, echo, {"text": large})
    scene.cloud.run_until_idle()

    said, opened = (
        shown(capsys, "show", work_id),
        shown(capsys, "show", work_id, "--args", "--result"),
    )

    assert re.match(r"\d chunks of at most \d+ KB", said["arguments"])
    assert re.match(r"\d chunks of at most \d+ KB", said["result"])
    assert (json.loads(opened["arguments"]), json.loads(opened["result"])) == (
        {"text": large},
        large,
    )


@pytest.mark.parametrize(
    ("answer", "code"), [("y", 0), ("YES\n", 0), (" yes \n", 0), ("", 4), ("\n", 4), ("yep\n", 4)]
)
def test_confirmation_takes_y_and_yes_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    says(monkeypatch, answer)

    assert main(["cancel", scene.later]) == code


def test_answers_for_programs_say_what_was_done(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = []
    for argv in (["redrive", "--all"], ["cancel", "--all"], ["cancel", scene.good]):
        main([*argv, "--yes", "--json"])
        answers.append(json.loads(capsys.readouterr().out))

    assert answers == [
        {"redriven": 2},
        {"pending": 2, "scheduled": 1, "at_least": False, "running": 0},
        {scene.good: "finished"},
    ]


def test_work_is_told_to_programs_with_all_that_is_known_of_it(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["show", scene.bad[0], "--json"])
    failed = json.loads(capsys.readouterr().out)
    main(["show", scene.later, "--json"])
    waiting = json.loads(capsys.readouterr().out)

    status = scene.pool.status(None, scene.bad[0])
    assert (failed["state"], failed["outcome"], failed["kind"], failed["error_type"]) == (
        "finished",
        "failed",
        "action",
        "ValueError",
    )
    assert (failed["started_at"], failed["finished_at"]) == (
        status.started_at.isoformat(),
        status.finished_at.isoformat(),
    )
    assert (
        failed["next_run_at"],
        failed["previous_attempts"],
        failed["retry"],
        failed["callback"],
    ) == (None, 0, None, None)
    assert (
        waiting["outcome"],
        waiting["started_at"],
        waiting["finished_at"],
        waiting["error"],
    ) == (None, None, None, None)
    assert waiting["next_run_at"] == scene.pool.status(None, scene.later).next_run_at.isoformat()


def test_pool_is_one_of_option_or_environment_or_default(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mine", "default"):
        scene.cloud.workpool(name).configure(None, max_parallelism=3)
    found = []
    for argv in (["show", "nonsense", "--pool", "mine"], ["show", "nonsense"]):
        main(argv)
        found += re.findall(r"in pool (\S+) of table", capsys.readouterr().err)
    monkeypatch.delenv("WORKPOOL_POOL")
    main(["show", "nonsense"])
    found += re.findall(r"in pool (\S+) of table", capsys.readouterr().err)

    assert found == ["mine", "email", "default"]


@pytest.mark.parametrize(
    ("text", "shown_as"),
    [
        (None, "-"),
        ("", ""),
        ("a\nb\t c", "a b c"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
    ],
)
def test_cell_is_one_short_line(text: str | None, shown_as: str) -> None:
    assert cell(text) == shown_as


def test_table_is_aligned_and_has_its_header_without_rows() -> None:
    stream = io.StringIO()
    output = Output(stream, as_json=False)

    output.table(("id", "state"), [("1", "failed"), ("1000", "")])
    output.table(("id", "state"), [])

    assert stream.getvalue() == "id    state\n1     failed\n1000\nid  state\n"


def test_jobs_of_deployment_have_line_each(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["jobs", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["jobs"]
    app = scene.cloud.function(
        scene.pool.handler(
            scene.pool.action(name="mail.send")(lambda: None),
            scene.pool.on_complete(name="crawled")(lambda event: None),
        ),
        name="app",
    )

    assert main(["jobs"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert main(["jobs", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)["jobs"]

    known = {each["name"] for each in before}
    added = [each for each in after if each["name"] not in known]
    assert added == [{"name": "crawled", "target": app}, {"name": "mail.send", "target": app}]
    assert lines[0] == ["job", "function"]
    assert ["mail.send", app] in lines
    assert scene.pool.jobs(None)["crawled"] == app


def test_rate_is_set_shown_and_lifted(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for argv in (["rate"], ["rate", "100/1m/5"], ["rate", "none"], ["limit", "--reset"]):
        assert main([*argv, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        lifts = found["override"] is not None and found["override"]["lifts_rate_limit"]
        said.append((found["rate_limit"], lifts))
    assert said == [(None, False), ("100/1m/5", False), (None, True), (None, False)]

    assert main(["rate", "7/2s"]) == 0
    shown = capsys.readouterr().out
    assert "4 at a time, 7/2s" in shown
    assert re.search(r"override +7/2s, by a caller outside Lambda", shown)
    assert main(["pools"]) == 0
    lines = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert (lines[0][-1], lines[1][-1]) == ("rate", "7/2s")


@pytest.mark.parametrize("value", ["", "5", "0/1m", "5/1m/6", "5/1y"])
def test_rate_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rate", value, "--table", "t"]) == 2
    assert "must be as 100/1m, or none" in capsys.readouterr().err


def test_pools_of_table_have_line_each(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """A pool without a limit has the default. An override is named before the base."""
    paused = scene.cloud.workpool("paused", max_parallelism=3)
    paused.enqueue_action(None, "later", {}, run_after=timedelta(days=1))
    main(["pause", "--pool", "paused"])
    capsys.readouterr()

    assert main(["pools"]) == 0
    lines = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert main(["pools", "--json"]) == 0
    told = {pool["name"]: pool for pool in json.loads(capsys.readouterr().out)["pools"]}

    base = scene.pool.config(None).base.by
    assert lines[0] == ["pool", "limit", "set by", "loop"]
    assert [line[:3] for line in lines[1:]] == [
        ["email", "4", base],
        ["paused", "paused", "a caller outside Lambda"],
    ]
    assert {
        name: (pool["max_parallelism"], pool["paused"], pool["loop"]) for name, pool in told.items()
    } == {
        "email": (4, False, lines[1][3]),
        "paused": (0, True, lines[2][3]),
    }


def test_function_that_is_no_arn_is_listed_by_its_name(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    work_id = scene.pool.enqueue_action(None, "plain-name", {}, run_after=timedelta(days=3))

    main(["ls", "--fn", "plain-name"])

    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.startswith(work_id)
    assert "plain-name" in line


@pytest.mark.parametrize("argv", [["pause"], ["limit", "3"]])
def test_new_makes_pool_that_table_does_not_know(
    scene: Scene, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    refused = main([*argv, "--pool", "fresh"])
    made = main([*argv, "--pool", "fresh", "--new", "--json"])

    assert (refused, made) == (3, 0)
    limit = scene.cloud.workpool("fresh").config(None).override
    assert limit is not None
    assert (limit.paused, limit.max_parallelism) == (
        (True, None) if argv == ["pause"] else (False, 3)
    )


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (130, "1234567890  failed  12  2026-01-01 00:00:00Z  eeee"),
        (110, "1234567890  failed  12  2026-01-01 00:00:00Z  eeee"),
        (80, "1234567890  failed  12  01-01 00:00  eeee"),
    ],
)
def test_narrow_terminal_cuts_error_first_then_time_and_never_id(
    columns: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal = Terminal()
    row = ("1234567890", "failed", "12", "2026-01-01 00:00:00Z", "e" * 60, "f" * 20)

    Output(terminal, as_json=False).table(("id", "state", "n", "when", "error", "function"), [row])

    line = terminal.getvalue().splitlines()[1]
    assert "\x1b" not in line
    assert len(line.rstrip()) <= columns
    assert re.sub(r"\s{2,}", "  ", line).startswith(expected)
    assert ("…" in line) == (columns < 130)


def test_stats_and_lists_by_job(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    send = scene.pool.action(name="mail.send")(lambda: None)
    arn = scene.cloud.function(scene.pool.handler(send), name="app")
    work_id = send.enqueue(None)
    scene.cloud.run_until_idle(timeout=timedelta(minutes=1))
    capsys.readouterr()

    assert main(["stats", "--by-job"]) == 0
    lines = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    main(["stats", "--by-job", "--json"])
    jobs = json.loads(capsys.readouterr().out)["jobs"]
    main(["ls", "--job", "mail.send", "--wide"])
    (_, listed) = capsys.readouterr().out.splitlines()

    assert ["mail.send", "0", "0", "0", "-", "1", "0.0%", "0.0%"] in lines
    assert jobs["mail.send"]["executions"] == 1
    assert listed.startswith(work_id)
    assert f"mail.send in {arn}" in listed
