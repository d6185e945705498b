"""Pages of the dashboard, as a browser without scripts reads them."""

import asyncio
import hashlib
import json
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.dashboard.conftest import OWN, SECRET, Scene
from tests.kit.asgi import Client
from workpool_aws.cli.main import main
from workpool_aws.core.views.stats import MinuteStats
from workpool_aws.dashboard import dashboard_app
from workpool_aws.dashboard.events import _events
from workpool_aws.dashboard.render import STATIC
from workpool_aws.dashboard.texts import Bar, bars, dollars
from workpool_aws.errors import StoreUnavailable
from workpool_aws.local import LocalCloud

VENDOR = STATIC / "vendor"
INLINE = re.compile(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", re.IGNORECASE)


def pages_of(scene: Scene) -> list[str]:
    return [
        "/",
        "/jobs",
        "/health",
        "/bulk",
        "/pools/email",
        "/pools/paused",
        "/pools/email/jobs/send_email",
        "/pools/email/jobs/bad?window=24+h",
        "/pools/email/jobs/%3Cb%3E?window=%3Cb%3E",
        "/pools/email/works",
        "/pools/email/works?state=dead&error=room&order=oldest&limit=25",
        "/pools/email/errors",
        "/pools/paused/errors",
        "/pools/email/schedules",
        "/pools/paused/schedules",
        "/pools/paused/groups",
        "/pools/email/groups",
        "/pools/paused/groups/album",
        "/pools/paused/groups/nightly",
        "/pools/paused/works?group=album&state=failed",
        *(f"/pools/email/works/{each}" for each in (scene.good, scene.bad[0], scene.late)),
        f"/pools/email/works/{scene.good}/args",
        f"/pools/email/works/{scene.good}/again",
        "/pools/nothing",
        "/nothing",
        "/pools/email/works?state=bad",
    ]


def test_every_page_is_guarded_and_has_nothing_inline(seen: Scene) -> None:
    client = seen.client()
    for path in pages_of(seen):
        answer = client.get(path)

        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert INLINE.findall(answer.text) == [], path
        assert "<script>alert" not in answer.text
        assert "\x1b" not in answer.text
        assert "\u202e" not in answer.text


def test_every_link_leads_somewhere(seen: Scene) -> None:
    client = seen.client()
    links = {
        unescape(link)
        for path in pages_of(seen)
        for link in re.findall(r'(?:href|src)="(/[^"]*)"', client.get(path).text)
    }

    assert len(links) > 20
    assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)


def test_pages_show_figures_reasons_and_cost(seen: Scene) -> None:
    client = seen.client()
    overview, pool = client.get("/").text, client.get("/pools/paused").text
    works, work = (
        client.get("/pools/email/works").text,
        client.get(f"/pools/paused/works/{seen.stuck}").text,
    )

    assert "83.3%" in overview
    jobs = re.findall(r'<tr id="job-(\w+)"', client.get("/pools/email").text)
    assert sorted(jobs) == ["bad", "echo", "send_email", "worse"]
    assert "The pool is paused since" in work
    assert "workpool resume" in work
    assert 'href="/pools/paused#limits"' in work
    assert '<rect class="failed"' in overview
    assert "set by a caller outside Lambda" in pool
    assert "It is due at 2026-01-01" in works
    assert '<option value="send_email">' in works
    for page in (overview, pool, works, work):
        assert re.search(r"This reading cost \d+ read units in \d+ requests? \(\$0\.0000", page)


@pytest.mark.parametrize(
    ("units", "price"),
    [(0, "$0"), (2, "$0.00000025"), (306, "$0.000038"), (720, "$0.000090"), (9e6, "$1.12")],
)
def test_price_has_two_digits_that_count(units: float, price: str) -> None:
    assert dollars(units) == price


def test_small_chart_has_a_bar_for_each_minute_of_half_an_hour() -> None:
    now = datetime(2026, 1, 1, 0, 45, 30, tzinfo=UTC)

    def minute(at: int, succeeded: int, failed: int, retried: int) -> MinuteStats:
        return MinuteStats(
            began_at=now.replace(minute=at, second=0),
            succeeded=succeeded,
            failed=failed,
            retried=retried,
            canceled=0,
            started=0,
            start_lag_p95_ms=None,
        )

    minutes = [minute(9, 50, 0, 0), minute(16, 4, 0, 0), minute(44, 1, 2, 5), minute(45, 0, 0, 0)]

    assert bars(minutes, now) == [Bar(0, 10.0, 0.0), Bar(84, 20.0, 17.5)]
    assert bars([], now) == []


def test_schedules_are_in_words(seen: Scene) -> None:
    page = seen.client().get("/pools/email/schedules").text

    assert "At 06:30 on Monday through Friday" in page
    assert len(re.findall(r'<time datetime="2026-01-0[1-9]T06:30', page)) == 3
    assert "overdue" not in page
    assert "pool.schedule(" in seen.client().get("/pools/paused/schedules").text


def test_job_shows_its_attempts_by_minute(seen: Scene) -> None:
    client = seen.client()
    good, bad, none = (
        " ".join(client.get(f"/pools/email/jobs/{job}").text.split())
        for job in ("send_email", "bad", "nothing")
    )
    (data,) = re.findall(r'data-chart="([^"]+)"', bad)
    chart = json.loads(unescape(data))

    assert '<a href="/pools/email/jobs/bad">bad</a>' in client.get("/pools/email").text
    assert (sum(chart["succeeded"]), sum(chart["failed"])) == (0, 4)
    assert "<dt>Attempts, 30 min</dt><dd>4</dd>" in bad
    assert "<dt>Attempts, 30 min</dt><dd>1</dd>" in good
    assert "no attempt ended in the last 30 min" in none
    wide = client.get("/pools/email/jobs/bad?window=24+h").text
    assert "<dt>Attempts, 24 h</dt><dd>4</dd>" in wide


def test_groups_show_progress_and_lead_to_members(seen: Scene) -> None:
    client = seen.client()
    listed, album, nightly, empty = (
        " ".join(client.get(path).text.split())
        for path in (
            "/pools/paused/groups",
            "/pools/paused/groups/album",
            "/pools/paused/groups/nightly",
            "/pools/email/groups",
        )
    )

    assert re.findall(r'<tr id="group-(\w+)"', listed) == ["nightly", "album"]
    assert "</progress> 3/3" in listed
    assert "<strong>3 of 3</strong> members are over." in album
    assert "Cancel the group" not in album
    assert "<strong>0 of 2</strong> members are over." in nightly
    assert "Cancel the group" in nightly
    assert "pool.enqueue_group(" in empty
    for link, count in (("failed", 1), ("success", 2), ("dead", 1), ("pending", 0)):
        address = f"/pools/paused/works?group=album&amp;state={link}"
        assert address in album
        page = client.get(unescape(address)).text
        assert len(re.findall(r'<tr id="w-', page)) == count
    (own,) = re.findall(r'by <a class="id" href="/pools/paused/works/(\w+)"', album)
    for path in (f"/pools/paused/works/{own}", "/pools/paused/works"):
        assert '<span class="state success">group over</span>' in client.get(path).text
    member = re.findall(r'<tr id="w-(\w+)"', client.get("/pools/paused/works?group=album").text)
    assert len(member) == 3
    assert (
        'href="/pools/paused/groups/album">album'
        in client.get(f"/pools/paused/works/{member[0]}").text
    )


def test_health_has_findings_with_remedies(scene: Scene) -> None:
    page = scene.client().get("/health").text

    assert "pool_forgotten" in page
    assert "workpool resume" in page
    scene.cloud.workpool("paused").cancel_all(None)
    scene.cloud.run_until_idle()
    assert "Nothing is wrong." in scene.client().get("/health").text


def test_payloads_are_hidden_until_asked_for(seen: Scene) -> None:
    client = seen.client()
    page = client.get(f"/pools/email/works/{seen.good}").text
    args, result, context = (
        client.get(f"/pools/email/works/{seen.good}/{part}").text
        for part in ("args", "result", "context")
    )

    assert "hunter2" not in page
    assert f'{{"secret":"{SECRET}"}}' in unescape(args)
    assert f"sent {SECRET}" in unescape(result)
    assert "There is none." in context
    assert client.get(f"/pools/email/works/{seen.good}/proof").status_code == 404


def test_large_number_is_shown_as_stored(scene: Scene) -> None:
    work_id = scene.pool.enqueue_action(None, "echo", {"n": 2**63 + 1})

    assert f'"n":{2**63 + 1}' in unescape(
        scene.client().get(f"/pools/email/works/{work_id}/args").text
    )


def test_works_are_paged(scene: Scene) -> None:
    scene.pool.enqueue_action_batch(None, "echo", [{}] * 30)
    client = scene.client()
    first = client.get("/pools/email/works?limit=25").text
    following = re.search(r'href="(\?[^"]+)" rel="next"', first)
    assert following is not None

    second = client.get("/pools/email/works" + unescape(following[1])).text

    ids = [re.findall(r'<tr id="w-(\w+)"', page) for page in (first, second)]
    assert [len(each) for each in ids] == [25, 12]
    assert len({*ids[0], *ids[1]}) == 37
    assert "First page" in second


def test_list_is_filtered_by_arguments_and_time_and_sorted(seen: Scene) -> None:
    client = seen.client()

    def ids(query: str) -> list[str]:
        page = client.get(f"/pools/email/works?{query}").text
        return re.findall(r'<tr id="w-(\w+)"', page)

    assert ids("args=HUNTER2") == [seen.good]
    assert sorted(ids("before=2026-01-01T00:30")) == sorted([seen.good, *seen.bad])
    assert ids("since=2026-01-01T00:30:00Z") == [seen.late]
    assert ids("sort=error")[:1] == seen.bad[4:]
    assert ids("sort=job")[:4] == ids("sort=job&fn=bad")
    assert sorted(ids("sort=attempts")) == sorted(ids(""))
    assert ids("sort=none") == ids("")
    page = client.get("/pools/email/works?state=dead&args=n&sort=state").text
    assert 'aria-sort="ascending"' in page
    assert 'href="?state=dead&amp;args=n&amp;sort=job"' in page
    assert '<input type="hidden" name="args" value="n">' in page


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/pools/nothing", 404, "has no pool nothing"),
        ("/pools/a b", 400, "name must be"),
        ("/pools/email/works/nonsense", 404, "nonsense"),
        ("/pools/email/works?state=bad", 400, "state must be one of pending"),
        ("/pools/email/works?limit=9999999999", 400, "limit must be a number from 1 to 200"),
        ("/pools/email/works?limit=0", 400, "limit must be"),
        ("/pools/email/works?after=nonsense", 400, "after must be"),
        ("/pools/email/works?fn=a%20b", 400, "fn must be"),
        ("/pools/email/groups/none", 404, "no group 'none' is known in pool"),
        ("/pools/email/groups/%3Cb%3E", 400, "group_id must be"),
        ("/pools/email/groups?after=a%20b", 400, "after must be"),
        ("/pools/email/works?group=none", 404, "no group 'none' is known"),
        ("/pools/email/works?group=a%20b", 400, "group must be"),
        ("/pools/email/works?since=soon", 400, "since must be an ISO time"),
        ("/pools/email/works?before=999999d", 400, "before must be"),
        ("/pools/email/works?args=" + "x" * 1001, 400, "args_contain must be"),
    ],
)
def test_what_cannot_be_shown_says_why(seen: Scene, path: str, status: int, said: str) -> None:
    answer = seen.client().get(path)

    assert (answer.status_code, said in unescape(answer.text)) == (status, True)


def test_table_that_does_not_answer_is_a_page(seen: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr("workpool_aws.api.pool.Workpool.pools", fail)

    answer = seen.client().get("/")

    assert (answer.status_code, "no answer" in answer.text) == (502, True)


def test_empty_table_says_what_to_do() -> None:
    with LocalCloud() as cloud:
        app = dashboard_app(cloud.table, ports=cloud._ports_of(cloud.table))
        client = Client(app, base_url="http://localhost")
        assert "enqueue_action" in client.get("/").text
        assert "add_action" in client.get("/jobs").text


def test_dashboard_acts_unless_it_is_asked_not_to() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool("email")
        pool.configure(None, max_parallelism=2)
        app = dashboard_app(cloud.table, ports=cloud._ports_of(cloud.table))
        Client(app, base_url="http://localhost", headers=OWN).post("/pools/email/pause")

        assert pool.config(None).paused


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:8765"])
def test_other_host_is_refused(seen: Scene, host: str) -> None:
    answer = seen.client().get("/", headers={"host": host})

    assert (answer.status_code, "Pools" in answer.text) == (400, False)


def test_app_can_be_mounted(scene: Scene) -> None:
    outer = Starlette(routes=[Mount("/ops/queue", scene.app())])
    client = Client(outer, base_url="http://localhost", headers=OWN)
    page = client.get("/ops/queue/pools/email").text

    links = set(re.findall(r'(?:href|src|action)="(/[^"]*)"', page))
    assert links
    assert [link for link in links if not link.startswith("/ops/queue/")] == []
    done = client.post("/ops/queue/pools/email/pause", follow_redirects=False)
    assert done.headers["location"] == "/ops/queue/pools/email?done=paused"


def test_events_begin_with_time_to_reconnect() -> None:
    async def first() -> str:
        return await anext(_events(5))

    assert asyncio.run(first()) == "retry: 2000\n\n"


HASHES = {
    "htmx.min.js": "d6fdc75f204e6bde",
    "idiomorph-ext.min.js": "5811b9a7eda14878",
    "uPlot.iife.min.js": "19c8d4c6ad88929a",
    "uPlot.min.css": "df630c6a8d6f8eea",
}


def test_vendored_files_are_those_that_were_published() -> None:
    files = {each.name for each in VENDOR.iterdir() if not each.name.endswith(".LICENSE.txt")}

    assert files == set(HASHES)
    assert {
        name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest()[:16] for name in files
    } == HASHES
    licences = {each.name.partition(".")[0] for each in VENDOR.glob("*.LICENSE.txt")}
    assert licences == {name.partition(".")[0].partition("-")[0] for name in files}


def test_command_serves_table_on_loopback(
    seen: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **options: served.append((app, options)))

    assert main(["dashboard", "--table", seen.cloud.table, "--read-only", "--port", "8000"]) == 0
    assert main(["dashboard", "--table", seen.cloud.table, "--host", "10.0.0.7"]) == 0
    assert main(["dashboard", "--table", seen.cloud.table, "--host", "::1"]) == 0
    assert main(["dashboard"]) == 2

    (app, options), (open_app, open_options), _ = served
    hosts = ("localhost", "10.0.0.7", "elsewhere")
    answers = [Client(open_app, base_url=f"http://{host}").get("/") for host in hosts]
    assert [each.status_code for each in answers] == [200, 200, 400]
    assert (options["host"], options["port"], open_options["host"]) == (
        "127.0.0.1",
        8000,
        "10.0.0.7",
    )
    assert "read-only" in Client(app, base_url="http://localhost").get("/").text
    said = capsys.readouterr().err
    assert "http://127.0.0.1:8000/ shows table" in said
    assert "http://[::1]:8765/ shows table" in said
    assert "anyone who reaches ::1" not in said
    assert "anyone who reaches 10.0.0.7 may do what your credentials may" in said


def test_pages_load_no_file_from_elsewhere() -> None:
    own = [*Path(STATIC).glob("*.*"), *Path(STATIC).parent.glob("templates/*")]

    assert [each.name for each in own if re.search(r"https?://", each.read_text())] == []
