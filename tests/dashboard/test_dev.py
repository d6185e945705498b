"""`workpool dev`: the workshop, its bench, and the command."""

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

from tests.kit.asgi import Client
from workpool_aws import Transaction, UsageError, Work, Workpool
from workpool_aws.cli.dev import times_of
from workpool_aws.cli.main import main
from workpool_aws.dashboard import dashboard_app
from workpool_aws.dev.app import BENCH_ACTS, dev_app
from workpool_aws.dev.workshop import JobField, Workshop, handlers_of
from workpool_aws.local import LocalCloud

OWN = {"sec-fetch-site": "same-origin"}
ADDRESS = "http://localhost:8766"
POOL = Workpool("shop", "email")


@POOL.action
def send_email(work: Work, to: str, copies: int = 1, tags: list[str] | None = None) -> str:
    return f"{copies} to {to} {tags}"


@POOL.on_complete
def email_sent(event: Any) -> None: ...


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        yield cloud


@pytest.fixture
def workshop(cloud: LocalCloud) -> Workshop:
    return Workshop(cloud, [send_email, email_sent])


def test_forms_ask_for_arguments_of_signature(workshop: Workshop) -> None:
    assert workshop.jobs() == {
        "send_email": [
            JobField("to", "str", required=True, default=""),
            JobField("copies", "int", required=False, default="1"),
            JobField("tags", "list[str] | None", required=False, default="None"),
        ]
    }
    assert (workshop.table, workshop.pool_of("send_email")) == ("shop", "email")


def test_jobs_of_one_function_have_forms(cloud: LocalCloud) -> None:
    @POOL.mutation
    def book(tx: Transaction, seat: int) -> None:
        tx.put("seats", {"id": seat})

    workshop = Workshop(cloud, [POOL.handler(send_email, book, email_sent)])

    assert list(workshop.jobs()) == ["book", "send_email"]
    assert [each.name for each in workshop.jobs()["book"]] == ["seat"]
    work_id = workshop.enqueue("send_email", {"to": "a"})
    cloud.run_until_idle()
    assert POOL.status(None, work_id).outcome == "success"


def test_enqueued_work_item_has_values_of_form(cloud: LocalCloud, workshop: Workshop) -> None:
    texts = {"to": "17", "copies": "2", "tags": '["a"]'}
    ids = [workshop.enqueue("send_email", texts), workshop.enqueue("send_email", {"to": ""})]
    cloud.run_until_idle()

    results = [POOL.result(None, each) for each in ids]

    assert [each and each.return_value for each in results] == ["2 to 17 ['a']", "1 to  None"]


def test_arguments_that_do_not_fit_are_refused(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="copies"):
        workshop.enqueue("send_email", {"to": "a", "copies": "many"})
    with pytest.raises(UsageError, match=r"^job must be one of send_email; got 'other'"):
        workshop.enqueue("other", {})


def test_runs_fail_and_deliveries_are_lost_on_request(
    cloud: LocalCloud, workshop: Workshop
) -> None:
    workshop.fail_next("send_email", 1)
    failed = workshop.enqueue("send_email", {"to": "a"})
    cloud.run_until_idle()
    workshop.misbehave(duplicated=0.0, lost=1.0)
    lost = workshop.enqueue("send_email", {"to": "a"})
    cloud.advance(timedelta(seconds=5))

    result = POOL.result(None, failed)

    assert result is not None
    assert result.error == "failed on request"
    assert POOL.status(None, lost).outcome is None
    for times in (0, 101):
        with pytest.raises(UsageError, match="times"):
            workshop.fail_next("send_email", times)


def test_form_shows_types_and_defaults_up_to_their_bound(cloud: LocalCloud) -> None:
    longest: Any = Literal["a" * 60]

    @POOL.action
    def print_label(text: longest, size: str = "b" * 58) -> None:
        raise AssertionError(text, size)

    text, size = Workshop(cloud, [print_label]).jobs()["print_label"]

    assert (len(text.annotation), text.default) == (60, "")
    assert text.annotation.endswith("…")
    assert size.default == repr("b" * 58)


def test_most_and_least_that_can_be_asked_for_are_done(
    cloud: LocalCloud, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(cloud, "skip", asked.append)
    monkeypatch.setattr(cloud, "fail_next", lambda *given: asked.append(given[2]))
    year = 366 * 24 * 60

    for minutes, times in ((1, 1), (year, 100)):
        workshop.skip(minutes)
        workshop.fail_next("send_email", times)

    assert asked == [timedelta(minutes=1), 1, timedelta(days=366), 100]
    with pytest.raises(UsageError, match=f"minutes must be a number from 1 to {year}"):
        workshop.skip(year + 1)


def test_clock_jumps_and_later_work_item_runs() -> None:
    with LocalCloud(clock="real", speed=10) as cloud:
        workshop = Workshop(cloud, [send_email])
        late = send_email.with_options(run_after=timedelta(days=1)).enqueue(None, "a")
        before = cloud.now

        workshop.skip(24 * 60)
        cloud.run_until_idle()

        assert cloud.now - before >= timedelta(days=1)
        assert POOL.status(None, late).outcome == "success"
        with pytest.raises(UsageError, match="minutes"):
            workshop.skip(0)


def test_killed_loop_is_replaced_and_nothing_is_lost() -> None:
    with LocalCloud(clock="real", speed=60) as cloud:
        workshop = Workshop(cloud, [send_email])
        late = [send_email.with_options(run_after=timedelta(seconds=100)).enqueue(None, "a")]
        client = Client(
            dev_app(workshop, dashboard_app(workshop.table)), base_url=ADDRESS, headers=OWN
        )

        page = client.post("/bench/kill")
        cloud.run_until_idle()

        assert "Loops that die at their next call: 1." in page.text
        assert [POOL.status(None, each).outcome for each in late] == ["success"]
        loops = [each.outcome for each in cloud.invocations(cloud.loop_arn)]
        assert "crashed" in loops
        assert workshop.kill_loops() == 0


def test_process_dies_at_its_next_call(cloud: LocalCloud) -> None:
    @POOL.action(retry=True)
    def wait(work: Work) -> int:
        return work.attempt

    arn = cloud.function(wait, takes=timedelta(seconds=5))
    work_id = wait.enqueue(None)
    cloud.advance(timedelta(seconds=2))

    assert (cloud.crash(wait), cloud.crash("wait"), cloud.crash(arn)) == (1, 1, 1)
    cloud.run_until_idle()

    result = POOL.result(None, work_id)
    assert result is not None
    assert result.return_value == 2
    with pytest.raises(UsageError):
        cloud.crash("none")


def test_virtual_clock_does_not_jump(cloud: LocalCloud) -> None:
    with pytest.raises(UsageError, match=r"^clock must be real"):
        cloud.skip(timedelta(hours=1))


def test_handlers_are_found_by_name() -> None:
    assert handlers_of(["tests.kit.functions:echo"])[0].__name__ == "echo"
    for name in ("tests.kit.functions", "nowhere:f", "tests.kit.functions:none", "os:sep", ":x"):
        with pytest.raises(UsageError, match=r"^HANDLER must be module:handler"):
            handlers_of([name])


def test_jobs_of_two_tables_are_refused(cloud: LocalCloud) -> None:
    other = Workpool("other").action(lambda: None)

    with pytest.raises(
        UsageError, match=r"^HANDLER must be of pools of one table; got 'other, shop'"
    ):
        Workshop(cloud, [send_email, other])


def test_bench_stands_beside_dashboard(workshop: Workshop) -> None:
    client = Client(dev_app(workshop, dashboard_app(workshop.table)), base_url=ADDRESS, headers=OWN)

    bench, overview = client.get("/bench").text, client.get("/").text
    page = client.post("/bench/enqueue", data={"job": "send_email", "arg-to": "a@example.com"})

    assert 'name="arg-copies"' in bench
    assert 'href="/bench"' in overview
    assert "read-only" not in bench
    assert "/pools/email/works/" in str(page.url)
    assert "The clock was" not in bench
    assert client.post("/bench/fail", data={"job": "send_email", "times": "2"}).status_code == 200
    answer = client.post("/bench/misbehave", data={"duplicated": "0.1", "lost": "0"})
    assert "Deliveries go wrong at these rates." in answer.text


@pytest.mark.parametrize(
    ("verb", "form", "said"),
    [
        ("enqueue", {"job": "other"}, "job must be one of"),
        ("skip", {"minutes": "x"}, "minutes must be a number"),
        ("skip", {"minutes": "1"}, "clock must be real"),
        ("fail", {"job": "send_email", "times": "-1"}, "times must be a number"),
        ("misbehave", {"duplicated": "2", "lost": "0"}, "duplicated must be one of"),
    ],
)
def test_bad_form_of_bench_says_why(
    workshop: Workshop, verb: str, form: dict[str, str], said: str
) -> None:
    answer = Client(
        dev_app(workshop, dashboard_app(workshop.table)), base_url=ADDRESS, headers=OWN
    ).post(f"/bench/{verb}", data=form)

    assert (answer.status_code, said in unescape(answer.text)) == (400, True)


class Rude:
    """A default whose text cannot be made."""

    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_hostile_signatures_have_forms(cloud: LocalCloud) -> None:
    def odd(a: "nowhere.Nothing", b: object = Rude(), **more: int) -> None: ...  # type: ignore[name-defined] # noqa: F821

    odd.__annotations__["b"] = "<script>" + "x" * 500
    workshop = Workshop(cloud, [POOL.action(odd)])
    client = Client(dev_app(workshop, dashboard_app(workshop.table)), base_url=ADDRESS, headers=OWN)

    page = client.get("/bench").text

    assert [each.name for each in workshop.jobs()["odd"]] == ["a", "b"]
    assert "whose repr raises ZeroDivisionError" in unescape(page)
    assert "<script>x" not in page
    assert "x" * 100 not in page


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "9" * 60_000,
        '{"a":' * 9_000,
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "NaN",
    ],
)
def test_hostile_arguments_are_texts_or_refused(workshop: Workshop, text: str) -> None:
    client = Client(dev_app(workshop, dashboard_app(workshop.table)), base_url=ADDRESS, headers=OWN)

    answer = client.post(
        "/bench/enqueue", data={"job": "send_email", "arg-to": text, "arg-copies": text}
    )

    assert answer.status_code in (400, 413)
    assert POOL.list(None).items == ()


@pytest.mark.parametrize("verb", BENCH_ACTS)
def test_form_of_bench_is_bounded(workshop: Workshop, verb: str) -> None:
    client = Client(dev_app(workshop, dashboard_app(workshop.table)), base_url=ADDRESS, headers=OWN)

    for content, status in ((b"a=" + b"x" * 70_000, 413), (b"a=1&" * 500, 400), (b"a=\xff", 400)):
        assert client.post(f"/bench/{verb}", content=content).status_code == status


def test_static_files_lie_in_their_folder(workshop: Workshop) -> None:
    client = Client(dev_app(workshop, dashboard_app(workshop.table)), base_url=ADDRESS, headers=OWN)

    for path in (
        "..%2facts.py",
        "%2e%2e/acts.py",
        "vendor/..%2f..%2f..%2facts.py",
        "%2fetc%2fpasswd",
    ):
        assert client.get(f"/static/{path}").status_code == 404
    assert client.get("/static/app.css").status_code == 200


def test_module_that_breaks_is_awaited_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = tmp_path / "broken_jobs.py"
    module.write_text("def send(:")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "hidden.py").write_text("")
    monkeypatch.chdir(tmp_path)
    watched: list[list[str]] = []

    def restart(files: list[str]) -> None:
        watched.append(files)
        raise SystemExit(7)

    monkeypatch.setattr("workpool_aws.cli.dev.restart_on_change", restart)
    assert main(["dev", "broken_jobs:send"]) == 2
    assert "SyntaxError" in capsys.readouterr().err

    with pytest.raises(SystemExit, match="7"):
        main(["dev", "broken_jobs:send", "--again"])

    assert watched == [[str(module)]]
    assert "it begins again when a file here changes" in capsys.readouterr().err
    module.write_text("raise KeyboardInterrupt")
    assert main(["dev", "broken_jobs:send"]) == 130


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}])
def test_bench_refuses_other_sites_and_names(workshop: Workshop, headers: dict[str, str]) -> None:
    client = Client(
        dev_app(workshop, dashboard_app(workshop.table)), base_url=ADDRESS, headers=headers
    )
    form = {"job": "send_email", "arg-to": "a", "minutes": "1", "times": "1"}

    answers = {client.post(f"/bench/{verb}", data=form).status_code for verb in BENCH_ACTS}

    assert (answers, client.get("/bench", headers={"host": "evil.example"}).status_code) == (
        {403},
        400,
    )
    assert POOL.list(None).items == ()


def test_command_serves_jobs_of_working_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pages: list[str] = []

    def serve(app: Any, **options: Any) -> None:
        pages.append(Client(app, base_url=f"http://{options['host']}").get("/bench").text)

    monkeypatch.setattr("uvicorn.run", serve)
    monkeypatch.syspath_prepend(".")

    assert main(["dev", "--no-reload"]) == 0
    assert main(["dev", "tests.dashboard.test_dev:send_email", "--no-reload"]) == 0
    assert main(["dev", "nowhere:f", "--no-reload"]) == 2

    assert ["open_model" in pages[0], "arg-copies" in pages[1]] == [True, True]
    assert "http://127.0.0.1:8766/bench" in capsys.readouterr().err


def test_no_folder_is_entered_beyond_five_thousand_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_jobs.py").write_text("def send(:")
    monkeypatch.chdir(tmp_path)
    folders = iter([("a", 4_999), ("b", 1), ("c", 1)])  # as many files
    watched: list[str] = []

    def restart(files: list[str]) -> None:
        watched.extend(files)
        raise SystemExit(7)

    monkeypatch.setattr("workpool_aws.cli.dev.restart_on_change", restart)
    monkeypatch.setattr(
        "workpool_aws.cli.dev.os.walk",
        lambda _: ((name, [], [f"{n}.py" for n in range(count)]) for name, count in folders),
    )
    with pytest.raises(SystemExit, match="7"):
        main(["dev", "broken_jobs:send", "--again"])

    assert (len(watched), watched[-1]) == (5_000, "b/0.py")
    assert next(folders) == ("c", 1)


def test_change_of_file_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "jobs.py"
    file.write_text("")
    before = times_of([str(file), "gone.py"])
    os.utime(file, (1, 1))

    assert (list(before), times_of(before) == before) == ([str(file)], False)


def test_modules_of_working_folder_are_watched_and_no_installed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, started = tmp_path / "here", threading.Event()
    files = {
        "own_jobs": here / "own_jobs.py",
        "own_mail": here / "shop" / "own_mail.py",
        "installed": here / ".venv" / "lib" / "site-packages" / "installed.py",
        "elsewhere": tmp_path / "elsewhere.py",
    }
    here.mkdir()
    for name, file in files.items():
        module = ModuleType(name)
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, name, module)
    watched: list[list[str]] = []

    def watch(own: Iterable[str]) -> None:
        watched.append(list(own))
        started.set()

    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(here)
    monkeypatch.setattr("workpool_aws.cli.dev.restart_on_change", watch)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: started.wait(20))

    assert main(["dev"]) == 0

    assert watched == [[str(files["own_jobs"]), str(files["own_mail"])]]
