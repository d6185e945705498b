"""The command line: what it accepts, what it says about the rest, and how it ends."""

import argparse
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

import pytest

from workpool_aws.cli.demo import run as demo
from workpool_aws.cli.demo.report import DemoReport, Usage
from workpool_aws.cli.demo.run import DemoOptions, Item, Watch
from workpool_aws.cli.main import main, make_parser
from workpool_aws.cli.target import ports_of
from workpool_aws.errors import StoreUnavailable, UsageError
from workpool_aws.local import LocalCloud

USAGE = Usage(max_concurrency=8, seconds=2.0, write_units=45, read_units=35)
GOOD = DemoReport(
    items=10,
    finished=10,
    succeeded=10,
    retries=1,
    attempts=11,
    seconds=1.5,
    limit=8,
    usage=USAGE,
    engine="memory",
    seed=0,
    largest=(),
    failures=(),
)
EXCEEDED = replace(GOOD, usage=replace(USAGE, max_concurrency=9))
UNFINISHED = replace(GOOD, finished=9, succeeded=9)
HALTED = replace(GOOD, problem="a worker waits for something that cannot come")

Runner = Callable[[DemoOptions, Sequence[Item], Watch], DemoReport]


class Demo:
    """Stands in for the run itself, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.outcome: DemoReport | BaseException = GOOD
        self.asked: list[DemoOptions] = []
        self.items: list[Item] = []

    def __call__(self, options: DemoOptions, items: Sequence[Item], watch: Watch) -> DemoReport:
        assert callable(watch)
        self.asked.append(options)
        self.items = list(items)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Demo:
    stand_in = Demo()
    monkeypatch.setattr(demo, "run_demo", stand_in)
    return stand_in


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (
            ["demo", "--engine", "redis"],
            "argument --engine: must be memory, moto, or the URL of a DynamoDB endpoint (",
        ),
        (["demo", "--engine", "ftp://host"], "argument --engine: must be"),
        (["demo", "--engine", "http://"], "argument --engine: must be"),
        (["demo", "--engine", "http://[::1"], "argument --engine: must be"),
        (["demo", "--engine", "http://127.0.0.1:0"], "argument --engine: must be"),
        (["demo", "--engine", "http://127.0.0.1:65536"], "argument --engine: must be"),
        (["demo", "--fail-rate", "1/1000000000"], "argument --fail-rate: must be"),
        (["demo", "--fail-rate", "3/2"], "argument --fail-rate: must be"),
        (["demo", "--seed", "9223372036854775808"], "argument --seed: must be"),
        (
            ["demo", "--items", "0"],
            "argument --items: must be a whole number from 1 to 10000; got '0'",
        ),
        (
            ["demo", "--items", "10001"],
            "argument --items: must be a whole number from 1 to 10000; got '10001'",
        ),
        (["demo", "--items", "ten"], "argument --items: must be"),
        (
            ["demo", "--parallelism", "0"],
            "argument --parallelism: must be a whole number from 1 to 10000; got '0'",
        ),
        (
            ["demo", "--parallelism", "10001"],
            "argument --parallelism: must be a whole number from 1 to 10000; got '10001'",
        ),
        (["demo", "--parallelism", "2.5"], "argument --parallelism: must be"),
        (
            ["demo", "--fail-rate", "-0.1"],
            "argument --fail-rate: must be a number from 0 to 1, or a fraction such as 1/12; got '-0.1'",
        ),
        (["demo", "--fail-rate", "1.1"], "argument --fail-rate: must be"),
        (["demo", "--fail-rate", "nan"], "argument --fail-rate: must be"),
        (["demo", "--fail-rate", "1/0"], "argument --fail-rate: must be"),
        (["demo", "--fail-rate", "often"], "argument --fail-rate: must be"),
        (
            ["demo", "--seed", "-1"],
            "argument --seed: must be a whole number from 0 to 9223372036854775807; got '-1'",
        ),
        (["demo", "--seed", "x"], "argument --seed: must be"),
        (["demo", "--clock", "atomic"], "argument --clock: invalid choice: 'atomic'"),
        (["demo", "--item", "3"], "unrecognized arguments: --item 3"),
        (["demo", "extra"], "unrecognized arguments: extra"),
        (["dmeo"], "invalid choice: 'dmeo'"),
    ],
)
def test_wrong_option_is_one_line_and_code_2(
    argv: list[str], says: str, ran: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(argv)

    said = capsys.readouterr()
    assert code == 2
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.err.startswith("workpool")
    assert said.out == ""
    assert ran.asked == []


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        ([], DemoOptions()),
        (["--items", "5"], DemoOptions(items=5)),
        (["--parallelism", "500"], DemoOptions(parallelism=500)),
        (["--fail-rate", "1/12"], DemoOptions(fail_rate=1 / 12)),
        (["--fail-rate", "0"], DemoOptions(fail_rate=0.0)),
        (["--fail-rate", "1"], DemoOptions(fail_rate=1.0)),
        (["--seed", "7"], DemoOptions(seed=7)),
        (["--engine", "memory"], DemoOptions(engine="memory")),
        (["--engine", "http://127.0.0.1:8000"], DemoOptions(engine="http://127.0.0.1:8000")),
        (["--clock", "virtual"], DemoOptions(clock="virtual")),
        (["--clock", "real"], DemoOptions(clock="real")),
        (["--items", "1"], DemoOptions(items=1)),
        (["--items", "10000"], DemoOptions(items=10_000)),
        (["--parallelism", "1"], DemoOptions(parallelism=1)),
        (["--fail-rate", "0/3"], DemoOptions(fail_rate=0.0)),
        (["--fail-rate", "999999999/999999999"], DemoOptions(fail_rate=1.0)),
        (["--seed", "0"], DemoOptions(seed=0)),
        (["--seed", "9223372036854775807"], DemoOptions(seed=2**63 - 1)),
        (["--engine", "moto"], DemoOptions(engine="moto")),
        (["--engine", "https://db.example"], DemoOptions(engine="https://db.example")),
    ],
)
def test_option_means_what_it_says(argv: list[str], options: DemoOptions, ran: Demo) -> None:
    assert main(["demo", *argv]) == 0

    assert ran.asked == [options]


@pytest.mark.parametrize(
    ("report", "code"),
    [(GOOD, 0), (EXCEEDED, 1), (UNFINISHED, 1), (HALTED, 1)],
    ids=["good", "exceeded", "unfinished", "halted"],
)
@pytest.mark.parametrize("json_asked", [False, True])
def test_exit_code_says_whether_promises_were_kept(
    report: DemoReport, code: int, json_asked: bool, ran: Demo
) -> None:
    ran.outcome = report

    assert main(["demo", "--json"] if json_asked else ["demo"]) == code


@pytest.mark.parametrize("report", [GOOD, UNFINISHED])
def test_json_output_is_one_object_and_rest_goes_to_stderr(
    report: DemoReport, ran: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    ran.outcome = report

    main(["demo", "--json"])

    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert json.loads(said.out) == report.to_json()
    assert "workpool demo: " in said.err


def test_report_without_json_is_for_people(ran: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo"])

    said = capsys.readouterr()
    assert (
        said.out.splitlines()[-1]
        == "OK: every work item reached its end, and the limit was never exceeded."
    )
    assert said.err == ""
    assert len(ran.items) > 420


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "workpool demo: interrupted"),
        (
            StoreUnavailable("no answer from http://127.0.0.1:1"),
            1,
            "workpool demo: error: no answer from http://127.0.0.1:1",
        ),
        (
            UsageError("engine", "x", "something else"),
            2,
            "workpool demo: error: engine must be something else; got 'x'",
        ),
        (
            ModuleNotFoundError("pip install 'workpool-aws[local]'"),
            1,
            "workpool demo: error: pip install 'workpool-aws[local]'",
        ),
    ],
)
def test_error_that_stops_run_is_one_line(
    error: BaseException, code: int, says: str, ran: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    ran.outcome = error

    assert main(["demo"]) == code

    assert capsys.readouterr().err.strip() == says


@pytest.mark.parametrize("code", ["EBADF", "EDQUOT", "EFBIG", "EIO", "ENOSPC"])
def test_output_that_takes_nothing_is_named_as_cause(
    code: str, ran: Demo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = getattr(errno, code)
    ran.outcome = OSError(number, os.strerror(number))
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # its descriptor stays the test run's

    assert main(["demo"]) == 1

    expected = f"the answer cannot be written: {os.strerror(number)}"
    assert capfd.readouterr().err == f"workpool demo: error: {expected}\n"


def test_another_error_of_system_is_said_in_its_own_words(
    ran: Demo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    said = []
    for error in (OSError(errno.ENOENT, "No such file"), OSError("odd")):
        ran.outcome = error
        assert main(["demo"]) == 1
        said.append(capsys.readouterr().err)

    assert said == ["workpool demo: error: No such file\n", "workpool demo: error: odd\n"]


def test_wrong_option_is_quoted_up_to_bound(ran: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x" * 5_000]) == 2

    said = capsys.readouterr().err
    assert said.startswith("workpool: error: ")
    assert said.endswith("… (see workpool --help)\n")
    assert len(said) == len("workpool: error: ") + 1_000 + len(" (see workpool --help)\n")


def test_closed_output_is_refused_before_anything_runs(
    ran: Demo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    assert main(["demo"]) == 1

    assert capsys.readouterr().err == (
        "workpool: error: the answer cannot be written: standard output is closed\n"
    )
    assert ran.asked == []


def test_closed_stderr_leaves_exit_code(ran: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "full")

    closed = io.StringIO()
    closed.close()
    ran.outcome = UsageError("engine", "x", "something else")
    for stream in (Full(), closed):
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(["demo"]) == 2


def test_version_that_is_not_installed_is_said_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("workpool_aws.cli.main.version", missing)

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "workpool (run from its sources, not installed)\n"


def test_help_lists_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    assert "watch a pool work on this machine" in capsys.readouterr().out


def test_help_of_demo_names_every_option_and_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--help"]) == 0

    said = capsys.readouterr().out
    for option in (
        "--items",
        "--parallelism",
        "--fail-rate",
        "--seed",
        "--engine",
        "--clock",
        "--json",
        "exit codes: 0 every",
    ):
        assert option in said


def test_help_goes_to_stderr_without_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2

    said = capsys.readouterr()
    assert "COMMAND" in said.err
    assert said.out == ""


def test_version_is_that_of_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0

    try:
        expected = version("workpool-aws")
    except PackageNotFoundError:
        expected = "(run from its sources, not installed)"
    assert capsys.readouterr().out == f"workpool {expected}\n"


def test_help_needs_neither_sdk_nor_rich() -> None:
    script = (
        "import sys; from workpool_aws.cli.main import main; main(['demo', '--help']); "
        "sys.exit(' '.join(sorted({'boto3', 'botocore', 'moto', 'pydantic', 'rich'} & set(sys.modules))) or 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("profile", "region"),
    [(None, None), ("work", None), (None, "eu-west-1"), ("work", "eu-west-1")],
)
def test_profile_or_region_alone_makes_session(
    profile: str | None, region: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, str | None]] = []
    monkeypatch.setattr("workpool_aws.cli.target.session_for", lambda **each: asked.append(each))
    with LocalCloud() as cloud:
        ports_of(argparse.Namespace(profile=profile, region=region), cloud.table)

    assert asked == ([{"profile": profile, "region": region}] if profile or region else [])


def options_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options_of(command)
        elif action.option_strings:
            yield action


def test_option_takes_a_value_if_its_help_names_one() -> None:
    """A flag that lost its `store_true` would take the next word of the command line."""
    options = [*options_of(make_parser())]

    assert {"--wide", "--newest", "--limit"} <= {each.option_strings[0] for each in options}
    assert [
        each.option_strings for each in options if (each.nargs == 0) is not (each.metavar is None)
    ] == []
