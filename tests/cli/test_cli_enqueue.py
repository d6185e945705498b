"""`workpool enqueue TARGET ARGS`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from workpool_aws.cli.main import main
from workpool_aws.local import LocalCloud
from workpool_aws.testing import assert_enqueued

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        pool = cloud.workpool("email")

        @pool.action
        def send_email(to: str) -> str:
            return f"sent to {to}"

        cloud.function(send_email)
        pool.configure(None, paused=False)
        yield cloud


@pytest.fixture
def run(cloud: LocalCloud, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str, pool: str = "email") -> tuple[int, str, str]:
        code = main(["enqueue", *words, "--table", cloud.table, "--pool", pool])
        said = capsys.readouterr()
        return code, said.out.strip(), said.err

    return command


def test_enqueue_runs_a_job_and_prints_its_id(cloud: LocalCloud, run: Run) -> None:
    enqueued_at = cloud.now
    code, work_id, _ = run("send_email", '{"to": "a@example.com"}', "--run-after", "15m")
    later = assert_enqueued("send_email", to="a@example.com")
    cloud.run_until_idle(raise_failures=True)

    assert (code, later.work_id) == (0, work_id)
    assert later.run_at - enqueued_at == timedelta(minutes=15)
    assert cloud.workpool("email").result(None, work_id).return_value == "sent to a@example.com"


def test_enqueue_reads_arguments_from_stdin(
    cloud: LocalCloud, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"to": "b@example.com"}'))

    code, answer, _ = run("send_email", "-", "--json")

    assert code == 0
    assert (
        json.loads(answer)["work_id"] == assert_enqueued("send_email", to="b@example.com").work_id
    )


@pytest.mark.parametrize(
    ("words", "kind", "attempts"),
    [
        ((), "action", None),
        (("--attempts", "3"), "action", 3),
        (("--kind", "query"), "query", 5),
        (("--kind", "query", "--attempts", "1"), "query", None),
        (("--attempts", "2"), "action", 2),
        (("--kind", "mutation"), "mutation", 5),
    ],
)
def test_enqueue_has_the_kind_and_the_attempts(
    run: Run, words: tuple[str, ...], kind: str, attempts: int | None
) -> None:
    assert run("send_email", "{}", *words)[0] == 0
    found = assert_enqueued("send_email")

    assert (found.kind, found.retry and found.retry.max_attempts) == (kind, attempts)


def test_enqueue_of_one_request_is_repeated_safely(run: Run) -> None:
    first, again = (run("send_email", "{}", "--request-id", "r-1") for _ in range(2))

    assert first == again
    assert assert_enqueued("send_email").work_id == first[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("send_email", "[]"), "ARGS must be a JSON object"),
        (("send_email", "{"), "ARGS must be a JSON object"),
        (("send_email", '{"n": NaN}'), "args.n"),
        (("send_emial", "{}"), "send_email"),
        (("send_email", "{}", "--run-after", "soon"), "--run-after must be a span"),
        (("send_email", "{}", "--attempts", "0"), "--attempts"),
        (("send_email", "{}", "--kind", "job"), "--kind"),
    ],
)
def test_enqueue_refuses_what_is_wrong_and_stores_nothing(
    cloud: LocalCloud, run: Run, words: tuple[str, ...], message: str
) -> None:
    code, _, error = run(*words)

    assert code == 2
    assert message in error
    assert cloud.workpool("email").list(None).items == ()


def test_enqueue_shows_no_arguments_that_are_wrong(run: Run) -> None:
    code, out, error = run("send_email", '{"password": "hunter2",}')

    assert code == 2
    assert "hunter2" not in out + error


def test_enqueue_into_an_unknown_pool_is_asked_for(cloud: LocalCloud, run: Run) -> None:
    assert run("send_email", "{}", pool="typo")[0] == 3
    assert run("send_email", "{}", "--new", pool="fresh")[0] == 0
    assert [each.job for each in cloud.workpool("fresh").list(None).items] == ["send_email"]
