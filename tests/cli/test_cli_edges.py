"""The edges of the commands: unknown pools, hostile text, narrow terminals, outputs that cannot be written to."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.kit.records import changed
from tests.kit.terminals import Screen
from workpool_aws import RetryPolicy, Workpool
from workpool_aws.cli.main import main
from workpool_aws.local import LocalCloud
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import WorkItem
from workpool_aws.model.writes import Put

HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202eevil\u2066 \x9b31m\nforged  row\r\u2028line\u200b\U000e0041 [red]markup[/red]"


@dataclass(frozen=True)
class Scene:
    cloud: LocalCloud
    pool: Workpool
    ids: list[str]


def boom(event: dict[str, Any], _: object) -> None:
    raise type(HOSTILE[:40], (Exception,), {})(HOSTILE)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email", max_parallelism=4)
        good = pool.enqueue_action(
            None, cloud.function(lambda event, _: HOSTILE, name="good"), {"text": HOSTILE}
        )
        bad = pool.enqueue_action(None, cloud.function(boom, name="bad"), {"n": 1})
        cloud.run_until_idle()
        later = pool.enqueue_action(None, "later", {}, run_after=timedelta(days=1))
        monkeypatch.setenv("WORKPOOL_TABLE", cloud.table)
        monkeypatch.setenv("WORKPOOL_POOL", "email")
        yield Scene(cloud, pool, [good, bad, later])


def is_plain(text: str) -> bool:
    return all(one.isprintable() or one == "\n" for one in text)


@pytest.mark.parametrize(
    "argv",
    [["pause"], ["resume"], ["limit"], ["limit", "3"], ["limit", "--reset"], ["stats"], ["ls"], ["show", "x"], ["cancel", "--all", "--yes"],
     ["cancel", "x", "--yes"], ["redrive", "--all", "--yes"], ["redrive", "x", "--yes"]],
)  # fmt: skip
def test_unknown_pool_is_code_3_and_names_near_misses(
    scene: Scene, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--pool", "emial"]) == 3

    said = capsys.readouterr()
    assert said.out == ""
    assert (
        said.err
        == f"workpool {argv[0]}: error: no pool emial is known in table workpool-local; did you mean email?\n"
    )
    assert main(["pools", "--json"]) == 0
    assert [pool["name"] for pool in json.loads(capsys.readouterr().out)["pools"]] == ["email"]


def test_unknown_pool_that_is_like_none_names_some(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(7):
        scene.cloud.workpool(f"p{n}").enqueue_action(None, "later", {}, run_after=timedelta(days=1))

    assert main(["ls", "--pool", "zzzzzz"]) == 3

    assert capsys.readouterr().err.endswith("; it has email, p0, p1, p2, p3, …\n")


def test_table_without_pools_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalCloud(engine="memory") as cloud:
        assert main(["ls", "--table", cloud.table]) == 3
        assert (
            capsys.readouterr().err
            == "workpool ls: error: no pool default is known in table workpool-local; it has none yet\n"
        )
        assert main(["pools", "--table", cloud.table]) == 0
        assert capsys.readouterr().out.split() == ["pool", "limit", "set", "by", "loop"]


def test_pool_may_be_paused_before_its_first_work(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pause", "--pool", "soon", "--new"]) == 0
    assert main(["limit", "--pool", "soon"]) == 0

    assert "in force  0 at a time (paused)" in capsys.readouterr().out


def test_pools_are_listed_with_their_limits(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.cloud.workpool("a").enqueue_action(None, "later", {}, run_after=timedelta(days=1))
    main(["pause", "--pool", "a"])
    capsys.readouterr()

    assert main(["pools"]) == 0

    rows = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["pool", "limit", "set by", "loop"],
        ["a", "paused", "a caller outside Lambda", rows[1][3]],
        ["email", "4", "a caller outside Lambda", rows[2][3]],
    ]
    assert main(["pools", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["pools"]
    assert [(one["name"], one["max_parallelism"], one["paused"]) for one in said] == [
        ("a", 0, True),
        ("email", 4, False),
    ]


@pytest.mark.parametrize(
    ("state", "wanted"),
    [("failed", [1]), ("success", [0]), ("canceled", []), ("finished", [0, 1]), ("pending", [2])],
)
def test_every_state_that_ls_prints_is_filter(
    scene: Scene, state: str, wanted: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", "--state", state, "--json"]) == 0

    assert [one["work_id"] for one in json.loads(capsys.readouterr().out)["items"]] == [
        scene.ids[index] for index in wanted
    ]


def test_page_of_one_outcome_goes_on_where_it_ended(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [
        scene.pool.enqueue_action(None, name, {}) for name in ("good", "bad", "good", "bad", "bad")
    ]
    scene.cloud.advance(timedelta(minutes=1))
    found, after = [], []
    for _ in range(9):
        main(["ls", "--state", "failed", "--limit", "2", "--json", *after])
        page = json.loads(capsys.readouterr().out)
        found += [one["work_id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = ["--after", page["next"]]

    assert found == [scene.ids[1], more[1], more[3], more[4]]


def test_page_of_one_outcome_has_its_length_while_there_is_more(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bad", "bad", "good", "good", "bad"):
        scene.pool.enqueue_action(None, scene.cloud.function(boom, name=name), {})
    scene.cloud.advance(timedelta(minutes=1))
    lengths, after = [], []
    for _ in range(9):
        main(["ls", "--state", "failed", "--limit", "2", "--json", *after])
        page = json.loads(capsys.readouterr().out)
        lengths.append(len(page["items"]))
        if page["next"] is None:
            break
        after = ["--after", page["next"]]

    assert set(lengths[:-1]) == {2}
    assert lengths[-1] <= 2


def test_page_of_one_outcome_looks_through_twenty_pages_at_most(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.pool.enqueue_action_batch(None, "good", [{} for _ in range(22)])
    scene.cloud.advance(timedelta(minutes=1))
    main(["ls", "--state", "finished", "--limit", "21", "--json"])
    finished = [one["work_id"] for one in json.loads(capsys.readouterr().out)["items"]]

    main(["ls", "--state", "canceled", "--limit", "1", "--json"])
    page = json.loads(capsys.readouterr().out)
    main(["ls", "--state", "finished", "--limit", "1", "--json", "--after", page["next"]])
    following = json.loads(capsys.readouterr().out)["items"]

    assert page["items"] == []
    assert [one["work_id"] for one in following] == finished[20:]


def test_work_that_waits_for_its_retry_shows_attempts_that_it_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalCloud(engine="memory") as cloud:
        monkeypatch.setenv("WORKPOOL_TABLE", cloud.table)
        pool = cloud.workpool("default")
        hourly = RetryPolicy(initial_backoff=timedelta(hours=1), jitter=False)
        work_id = pool.enqueue_action(None, cloud.function(boom, name="bad"), {}, retry=hourly)
        cloud.advance(timedelta(minutes=1))

        assert main(["ls"]) == 0

    cells = re.split(r"\s{2,}", capsys.readouterr().out.splitlines()[1])
    assert cells[:3] == [work_id, "pending", "1"]


def test_unknown_state_is_refused_with_list(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", "--state", "done"]) == 2

    assert (
        "--state: must be one of pending, running, finished, success, failed, canceled, dead; got 'done'"
        in capsys.readouterr().err
    )


def test_names_in_json_are_those_of_python(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["ls", "--json"])
    listed = json.loads(capsys.readouterr().out)["items"][0]
    main(["show", scene.ids[0], "--json"])
    shown = json.loads(capsys.readouterr().out)

    names = set(type(scene.pool.list(None).items[0]).__dataclass_fields__)
    assert set(listed) <= names
    assert {"work_id", "target"} <= set(listed) & set(shown)


def test_pending_work_after_cancel_all_says_so(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cancel", "--all", "--yes"]) == 0
    assert main(["ls", "--state", "pending"]) == 0
    assert "pending, cancel requested" in capsys.readouterr().out
    assert main(["show", scene.ids[2]]) == 0
    assert re.search(r"(?m)^state +pending, cancel requested$", capsys.readouterr().out)


@pytest.mark.parametrize("columns", [80, 140])
def test_terminal_shows_names_of_functions(
    scene: Scene, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))

    assert main(["ls"]) == 0

    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert all(len(line) <= columns for line in text.splitlines())
    assert all(work_id in text for work_id in scene.ids)
    assert " good " in text
    assert "arn:aws" not in text
    assert len(text.strip().splitlines()) == 1 + 3


def test_wide_shows_all(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "--wide"]) == 0

    assert "arn:aws:lambda:us-east-1:123456789012:function:good" in capsys.readouterr().out


@pytest.mark.parametrize("rich", [False, True], ids=["plain", "rich"])
@pytest.mark.parametrize(
    "argv",
    [
        ["ls"],
        ["ls", "--wide"],
        ["show", 0],
        ["show", 1],
        ["show", 0, "--args", "--result"],
        ["ls", "--json"],
        ["pools"],
        ["limit"],
    ],
)
def test_hostile_text_is_shown_as_text(
    scene: Scene,
    argv: list[Any],
    rich: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = scene.pool._ports.store
    for work_id in scene.ids:
        work = store.get(WorkRef("email", work_id))
        assert isinstance(work, WorkItem)
        store.write(
            Put(changed(work, target=HOSTILE, origin=HOSTILE, error=HOSTILE, error_type=HOSTILE))
        )
    screen = Screen()
    if rich:
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setenv("COLUMNS", "200")

    assert main([scene.ids[one] if isinstance(one, int) else one for one in argv]) == 0

    said = capsys.readouterr()
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()) if rich else said.out
    assert text
    assert is_plain(text)
    assert is_plain(said.err)
    assert not re.search(r"(?m)^forged", text)


@pytest.mark.parametrize(
    "argv",
    [["show", HOSTILE], ["cancel", HOSTILE, "--yes"], ["redrive", HOSTILE, "--yes"], ["ls", "--fn", HOSTILE], ["ls", "--after", HOSTILE],
     ["ls", "--pool", HOSTILE], ["ls", "--table", HOSTILE], ["ls", "--state", HOSTILE], [HOSTILE], ["ls", HOSTILE], ["limit", HOSTILE],
     ["ls", "--profile", HOSTILE], ["demo", "--engine", HOSTILE]],
    ids=str,
)  # fmt: skip
def test_hostile_options_are_answered_in_one_line(
    scene: Scene, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(argv)

    said = capsys.readouterr()
    assert is_plain(said.out + said.err)


NOWHERE = {"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}
NO_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_EC2_METADATA_DISABLED": "true",
}
UNNAMED = (
    "WORKPOOL_TABLE",
    "WORKPOOL_POOL",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)


def run(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100", **NOWHERE}
    for name in UNNAMED:
        environment.pop(name, None)
    environment |= options.pop("env", {})
    return subprocess.run(
        [sys.executable, "-m", "workpool_aws", *argv],
        text=True,
        check=False,
        env=environment,
        **{"stderr": subprocess.PIPE, **options},
    )


def test_package_is_command() -> None:
    done = run("--version", stdout=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("workpool ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this platform has no full device")
@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["ls", "--help"]])
def test_full_device_is_one_line_and_code_1(argv: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(*argv, stdout=full)

    assert done.returncode == 1
    assert done.stderr == "workpool: error: the answer cannot be written: No space left on device\n"


def test_closed_output_is_one_line_and_code_1() -> None:
    command = f"{sys.executable} -m workpool_aws --help >&-"
    done = subprocess.run(
        ["/bin/sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (
        1,
        "workpool: error: the answer cannot be written: standard output is closed\n",
    )


def test_reader_that_has_gone_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("--help", stdout=writing)
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (1, "")


def test_closed_and_full_stderr_leave_exit_code() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m workpool_aws ls 2>&-"],
        text=True,
        check=False,
        env={"PATH": "/bin"},
    )

    assert done.returncode == 2


def test_output_of_ascii_shows_what_it_can() -> None:
    done = run(
        "ls",
        "--help",
        stdout=subprocess.PIPE,
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"},
    )

    assert done.returncode == 0


@pytest.mark.parametrize(
    ("argv", "env", "words"),
    [
        (["ls", "--table", "t"], {}, "region must be given, in AWS_REGION, in a profile"),
        (
            ["ls", "--table", "t", "--profile", "nope"],
            {},
            "profile must be one of the AWS config or credentials file; got ProfileNotFound",
        ),
        (
            ["ls", "--table", "t", "--region", "not a region"],
            {},
            "region must be the name of an AWS region",
        ),
        (["ls", "--table", "t"], {"AWS_PROFILE": "nope"}, "profile must be one of the AWS config"),
        (
            ["ls", "--table", "t"],
            {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x"},
            "credentials must be a key id and its secret",
        ),
        (
            ["ls", "--table", "t"],
            {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "nonsense"},
            "AWS configuration must be one that boto3",
        ),
    ],
)
def test_trouble_with_aws_is_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    env: dict[str, str],
    words: str,
) -> None:
    for name in UNNAMED:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**NOWHERE, **NO_CREDENTIALS, **env}.items():
        monkeypatch.setenv(name, value)

    code = main(argv)

    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (2, "", 1)
    assert words in said.err


def test_trouble_with_aws_ends_process_with_one_line() -> None:
    done = run("ls", "--table", "t", stdout=subprocess.PIPE, env=NO_CREDENTIALS)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "region must be given" in done.stderr


def test_region_and_profile_choose_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = []
    real = boto3.Session

    def noting(**options: Any) -> boto3.Session:
        chosen.append(options)
        return real(
            aws_access_key_id="x", aws_secret_access_key="x", region_name=options["region_name"]
        )

    monkeypatch.setattr(boto3, "Session", noting)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    assert main(["ls", "--table", "t", "--region", "eu-west-1", "--profile", "p"]) == 1

    assert chosen == [{"profile_name": "p", "region_name": "eu-west-1"}]


def test_policy_in_json_is_object(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    policy = RetryPolicy(
        max_attempts=3,
        initial_backoff=timedelta(milliseconds=500),
        max_backoff=timedelta(minutes=1),
    )
    work_id = scene.pool.enqueue_action(
        None, "later", {}, retry=policy, run_after=timedelta(days=1)
    )

    assert main(["show", work_id, "--json"]) == 0

    said = json.loads(capsys.readouterr().out)["retry"]
    assert said == {
        "max_attempts": 3,
        "initial_backoff_s": 0.5,
        "base": 2.0,
        "max_backoff_s": 60.0,
        "jitter": True,
    }
