"""Acts of the dashboard: their guards, which every one of them has, and their effects."""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape
from itertools import cycle
from typing import cast
from urllib.parse import urlencode

import httpx
import pytest
from starlette.routing import Route

from tests.dashboard.conftest import Scene, written
from tests.kit.asgi import Client
from workpool_aws import RetryPolicy, StoreUnavailable, UsageError, Workpool
from workpool_aws.core import limits
from workpool_aws.dashboard.acts import ACTS
from workpool_aws.dashboard.bulk import BulkAct, BulkActs, progress_of

FORMS = [
    {},
    {"limit": "1"},
    {"reset": "1"},
    {"resume": "1"},
    {"confirmed": "1"},
    {"verb": "cancel", "confirmed": "1"},
    {"verb": "redrive", "confirmed": "1"},
    {"verb": "pause"},
    {"verb": "run"},
    {"all": "cancel"},
    {"all": "redrive"},
]


def urls_of(scene: Scene) -> list[str]:
    """Return the address of each act, on work items of each kind."""
    page = scene.client().get("/pools/email/errors").text
    fingerprints = re.findall(r'id="g-(\w+)"', page)
    names = {"pool": "email", "schedule": "report", "act": "unknown", "group": "nightly"}
    return [
        path.format(**names, work_id=work_id, fingerprint=fingerprint)
        for path in ACTS
        for work_id in (scene.bad[0], scene.late)
        for fingerprint in fingerprints[:1]
    ]


def test_every_route_that_takes_a_form_is_an_act(seen: Scene) -> None:
    posts = [
        route.path
        for route in seen.app().routes
        if isinstance(route, Route) and route.methods and not route.methods <= {"GET", "HEAD"}
    ]

    assert sorted(posts) == sorted(ACTS)


def test_read_only_dashboard_refuses_every_act(seen: Scene) -> None:
    client, before = seen.client(read_only=True), written(seen)

    answers = {
        client.post(url, data={"id": seen.late, **form}, follow_redirects=False).status_code
        for url, form in zip(urls_of(seen) * 3, cycle(FORMS), strict=False)
    }

    assert (answers, written(seen) - before) == ({403}, 0)
    pages = (
        "/pools/email",
        "/pools/email/works",
        "/pools/email/errors",
        "/pools/paused/groups/nightly",
    )
    works = [f"/pools/email/works/{each}" for each in (seen.bad[0], seen.late)]
    works += [f"{each}/again" for each in works]
    assert [path for path in (*pages, *works) if 'method="post"' in client.get(path).text] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:8765"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {},
    ],
)
def test_act_of_another_site_is_refused(seen: Scene, headers: dict[str, str]) -> None:
    client, before = Client(seen.app(), base_url="http://localhost:8765"), written(seen)

    # No guard looks at the form: every act is tried, each with one.
    answers = {
        client.post(
            url, data={"id": seen.late, **form}, headers=headers, follow_redirects=False
        ).status_code
        for url, form in zip(urls_of(seen), cycle(FORMS[4:]), strict=False)
    }

    assert (answers, written(seen) - before) == ({403}, 0)


def test_act_of_own_page_is_known_by_its_origin_without_the_newer_header(scene: Scene) -> None:
    client = Client(scene.app(), base_url="http://localhost:8765")
    headers = {"origin": "http://localhost:8765"}

    assert client.post("/pools/email/pause", headers=headers).status_code == 200
    assert scene.pool.config(None).paused


def test_limit_is_set_and_reset(scene: Scene) -> None:
    client = scene.client()

    said = client.post("/pools/email/limit", data={"limit": "7"}).text
    assert (scene.pool.config(None).max_parallelism, "The limit was set: 7." in said) == (7, True)
    client.post("/pools/email/limit", data={"limit": "7", "reset": "1"})
    assert scene.pool.config(None).override is None


def test_rate_is_set_and_lifted(scene: Scene) -> None:
    client = scene.client()

    said = client.post("/pools/email/rate", data={"rate": " 100/1m "}).text
    assert (str(scene.pool.config(None).rate_limit), "The rate limit was set." in said) == (
        "100/1m",
        True,
    )
    client.post("/pools/email/rate", data={"rate": "none"})
    assert scene.pool.config(None).rate_limit is None


def test_pool_is_paused_and_resumed(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="workpool.dashboard")
    client = scene.client()

    assert "The pool is paused." in client.post("/pools/email/pause").text
    assert scene.pool.config(None).paused
    assert "The pool is resumed." in client.post("/pools/email/pause", data={"resume": "1"}).text
    client.post("/pools/email/cancel-all")  # only asks
    scene.client(read_only=True).post("/pools/email/pause")
    assert [each.message for each in caplog.records if each.name == "workpool.dashboard"] == [
        "/pools/email/pause, by 127.0.0.1: paused",
        "/pools/email/pause, by 127.0.0.1: resumed",
    ]
    assert not scene.pool.config(None).paused


def test_cancel_asks_first(scene: Scene) -> None:
    client, url = scene.client(), f"/pools/email/works/{scene.late}/cancel"

    assert f"Cancel work item {scene.late}?" in client.post(url).text
    assert scene.pool.status(None, scene.late).state == "pending"
    assert "Canceled or asked to cancel: 1." in client.post(url, data={"confirmed": "1"}).text
    assert scene.pool.status(None, scene.late).outcome == "canceled"


def test_redrive_leads_to_new_work_item(scene: Scene) -> None:
    answer = scene.client().post(f"/pools/email/works/{scene.bad[0]}/redrive")

    again = scene.pool.show(None, scene.bad[0]).status.redriven_as
    assert str(answer.url).endswith(f"/pools/email/works/{again}?done=redriven")
    refused = scene.client().post(f"/pools/email/works/{scene.late}/redrive")
    assert refused.status_code == 400


def test_work_item_is_enqueued_again_with_other_arguments(scene: Scene) -> None:
    client, pool = scene.client(), scene.pool
    done = scene.cloud.function(pool.on_complete(lambda event: None), name="done")
    old = pool.enqueue_action(
        None,
        "bad",
        {"n": 7},
        retry=RetryPolicy(max_attempts=3),
        on_complete=done,
        context="c",
        expires_after=timedelta(hours=1),
    )
    url = f"/pools/email/works/{old}/again"

    form, page = client.get(url).text, client.post(url, data={"args": '{"n": 8}'})

    new = str(page.url).rpartition("/")[2].partition("?")[0]
    shown = [pool.show(None, each, args=True, context=True) for each in (old, new)]
    assert '{"n":7}' in unescape(form)
    assert "Enqueued." in page.text
    assert [each.args.value for each in shown] == [{"n": 7}, {"n": 8}]
    callback = ("on_complete", "on_complete_exclude", "context")
    for part in ("target", "retry", "claimed", "expires_after", *callback):
        assert getattr(shown[0], part) == getattr(shown[1], part)


@pytest.mark.parametrize("hold", [{"unique_until": "started"}, {"unique_for": timedelta(hours=1)}])
def test_work_item_is_enqueued_again_with_its_key_or_is_refused(
    scene: Scene, hold: dict[str, object]
) -> None:
    client, pool = scene.client(), scene.pool
    old = pool.enqueue_action(None, "bad", {}, unique_key="k", **hold)
    url = f"/pools/email/works/{old}/again"

    refused = client.post(url, data={"args": "{}"})
    pool.cancel(None, old)
    scene.cloud.advance(timedelta(hours=1, minutes=1))
    again = str(client.post(url, data={"args": "{}"}).url).rpartition("/")[2].partition("?")[0]

    assert "the unique key k, too" in client.get(url).text
    assert refused.status_code == 409
    assert f"work item '{old}' holds the unique key" in unescape(refused.text)
    old_terms, new_terms = (
        (each.unique_key, each.unique_until, each.unique_for)
        for each in (pool.show(None, old), pool.show(None, again))
    )
    assert again != old
    assert old_terms == new_terms


def test_job_query_and_mutation_are_enqueued_again_as_such(scene: Scene) -> None:
    query = scene.pool.enqueue_query(None, "bad", {"n": 1})
    mutation = scene.pool.enqueue_mutation(None, "bad", {"n": 1})
    for work_id in (query, mutation, scene.good):
        answer = scene.client().post(
            f"/pools/email/works/{work_id}/again", data={"args": '{"secret": "s"}'}
        )
        again = str(answer.url).rpartition("/")[2].partition("?")[0]
        old, new = (scene.pool.show(None, each) for each in (work_id, again))
        assert (old.status.kind, old.status.job, old.retry, old.claimed) == (
            new.status.kind,
            new.status.job,
            new.retry,
            new.claimed,
        )


def test_schedule_is_run_paused_and_resumed(scene: Scene) -> None:
    client, url = scene.client(), "/pools/email/schedules/report"

    ran = client.post(url, data={"verb": "run"})
    work_id = str(ran.url).rpartition("/")[2].partition("?")[0]
    paused = client.post(url, data={"verb": "pause"}).text

    assert scene.pool.show(None, work_id).target.endswith(":worse")
    assert "The schedule is paused." in paused
    assert [each.paused for each in scene.pool.schedules(None)] == [True]
    client.post(url, data={"verb": "resume"})
    assert [each.paused for each in scene.pool.schedules(None)] == [False]


def confirmed(client: Client, asked: httpx.Response) -> str:
    """Confirm the question of a bulk act, and return its page once the act is over."""
    url = str(asked.url).partition("8765")[2]
    page = client.post(url).text
    end = time.monotonic() + 20
    while "At work" in page:
        assert time.monotonic() < end, page
        page = client.get(url).text
    return unescape(page)


def test_chosen_work_items_are_counted_confirmed_and_redriven(scene: Scene) -> None:
    client = scene.client()
    chosen = [("verb", "redrive"), *(("id", each) for each in [*scene.bad[:3], scene.good])]

    asked = client.post("/pools/email/works", content=urlencode(chosen), headers=FORM)
    before = written(scene)
    done = confirmed(client, asked)

    assert "Redrive 4 work items of pool email (3 failed, 1 success)?" in unescape(asked.text)
    assert written(scene) > before
    assert "4 of 4" in done
    assert "3 redriven, 1 left as they are" in " ".join(done.split())
    assert scene.pool.count_dead_letters(None) == 2


def test_bulk_act_touches_just_what_was_asked_about(scene: Scene) -> None:
    client = scene.client()
    asked = client.post("/pools/email/works", data={"all": "redrive", "error": "may not"})
    # Another one fails with the same error, before a person confirms.
    late = scene.pool.enqueue_action(None, "bad", {"n": 9})
    scene.cloud.run_until_idle()

    done = confirmed(client, asked)

    assert "Redrive 4 work items of pool email (4 failed; " in unescape(asked.text)
    assert "4 of 4" in done
    assert scene.pool.show(None, late).status.redriven_as is None
    assert scene.pool.count_dead_letters(None) == 2
    assert [each for each in scene.bad if scene.pool.show(None, each).status.redriven_as] == (
        scene.bad[:4]
    )


def test_all_that_wait_are_canceled_by_filter(scene: Scene) -> None:
    client = scene.client()
    other = scene.pool.enqueue_action(None, "other", {}, run_after=timedelta(hours=2))

    done = confirmed(
        client, client.post("/pools/email/works", data={"all": "cancel", "fn": "echo"})
    )

    assert "1 of 1" in done
    assert scene.pool.status(None, scene.late).outcome == "canceled"
    assert scene.pool.status(None, other).state == "pending"
    none = client.post("/pools/email/works", data={"all": "cancel", "fn": "nothing"})
    assert (none.status_code, "meets the filter" in none.text) == (404, True)


def test_bulk_act_runs_once_whatever_is_pressed(scene: Scene) -> None:
    client = scene.client()
    asked = client.post("/pools/email/works", data={"verb": "redrive", "id": scene.bad[:2]})
    confirmed(client, asked)
    before = written(scene)

    again = confirmed(client, asked)
    aborted = client.post(str(asked.url).partition("8765")[2] + "/abort")

    assert "2 redriven." in again
    assert "<h1>Done</h1>" in aborted.text
    assert written(scene) == before
    assert "Redrive 2 work items" in client.get("/bulk").text


def test_question_that_is_left_changes_nothing(seen: Scene) -> None:
    client, before = seen.client(), written(seen)
    asked = client.post("/pools/email/works", data={"verb": "redrive", "id": seen.bad})
    url = str(asked.url).partition("8765")[2]

    client.post(f"{url}/abort")

    assert "<h1>Aborted</h1>" in client.post(url).text
    assert written(seen) == before
    assert client.post("/bulk/other").status_code == 404
    assert client.get("/bulk/other").status_code == 404


class Slow:
    """A pool whose cancels wait for a test, and fail for one work item."""

    name = "email"

    def __init__(self, *, waits_at: int = limits.BULK_PAGE) -> None:
        self._waits_at = waits_at
        self.canceled: list[str] = []
        self.began, self.go_on = threading.Event(), threading.Event()

    def cancel(self, _: object, work_id: str) -> str:
        if work_id == "bad":
            raise StoreUnavailable("no answer")
        if work_id == "worse":
            raise ZeroDivisionError
        self.canceled.append(work_id)
        if len(self.canceled) == self._waits_at:
            self.began.set()
            assert self.go_on.wait(10)
        return "canceled" if len(self.canceled) % 2 else "finished"


def asked_of(acts: BulkActs, ids: list[str], name: str = "a") -> BulkAct:
    act = BulkAct(id=name, verb="cancel", pool="email", question="?", ids=tuple(ids), back="/")
    return acts.ask(act)


def over(acts: BulkActs, name: str = "a") -> BulkAct:
    async def wait() -> int:
        return len([event async for event in progress_of(acts, name)])

    assert asyncio.run(wait()) >= 2
    act = acts.find(name)
    assert act is not None
    return act


def test_abort_ends_act_before_its_next_page() -> None:
    acts, pool = BulkActs(), Slow()
    ids = [f"w{n}" for n in range(3 * limits.BULK_PAGE)]
    asked_of(acts, ids)

    assert acts.start("a", cast("Workpool", pool))
    assert pool.began.wait(10)
    assert acts.abort("a")
    pool.go_on.set()
    while (act := acts.find("a")) is not None and act.done == 0:
        time.sleep(0.001)

    assert act == replace(asked_of(BulkActs(), ids), state="aborted", done=25, changed=13)
    assert pool.canceled == ids[: limits.BULK_PAGE]
    assert not acts.abort("a")
    assert not acts.start("a", cast("Workpool", pool))


@pytest.mark.parametrize(
    ("bad", "said", "logged"), [("bad", "no answer", 0), ("worse", "unexpected", 1)]
)
def test_error_ends_act_and_is_shown(
    bad: str, said: str, logged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts, pool, unhandled = BulkActs(), Slow(), list[object]()
    monkeypatch.setattr(threading, "excepthook", unhandled.append)
    asked_of(acts, ["w1", bad, "w2"])

    acts.start("a", cast("Workpool", pool))
    act = over(acts)

    assert (act.state, act.done, act.changed, pool.canceled) == ("failed", 2, 1, ["w1"])
    assert said in (act.error or "")
    while len(unhandled) < logged:
        time.sleep(0.001)


def test_acts_are_bounded_and_those_that_run_are_kept() -> None:
    acts, pools = BulkActs(), [Slow(waits_at=1) for _ in "abcd"]
    for name, pool in zip("abcd", pools, strict=True):
        asked_of(acts, ["w"], name)
        acts.start(name, cast("Workpool", pool))
    for n in range(60):
        asked_of(acts, ["w"], f"q{n}")

    with pytest.raises(UsageError, match="act must be one of 4 that run"):
        acts.start("q59", cast("Workpool", Slow()))
    kept = [each.id for each in acts.all()]
    assert len(kept) == limits.BULK_ACTS_KEPT
    assert kept[0] == "q59"
    assert set("abcd") <= {*kept}
    for pool in pools:
        pool.go_on.set()


def test_stream_of_act_that_is_gone_ends() -> None:
    async def events() -> list[str]:
        return [event async for event in progress_of(BulkActs(), "gone")]

    assert asyncio.run(events()) == ["retry: 2000\n\n"]


def test_stream_of_bulk_act_is_one_of_events(seen: Scene) -> None:
    answer = seen.client().get("/bulk/gone/events")

    assert answer.text == "retry: 2000\n\n"
    assert answer.headers["content-type"].startswith("text/event-stream")


FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_group_of_errors_is_redriven(scene: Scene) -> None:
    client = scene.client()
    page = client.get("/pools/email/errors").text
    largest = re.findall(r'id="g-(\w+)"', page)[0]
    url = f"/pools/email/errors/{largest}/redrive"

    asked = client.post(url)
    assert "Redrive 4 work items of pool email (bad: PermissionError)?" in unescape(asked.text)
    assert "4 redriven." in confirmed(client, asked)
    assert scene.pool.count_dead_letters(None) == 1
    assert client.post(url).status_code == 404


def test_error_is_resolved_ignored_and_opened(scene: Scene) -> None:
    client = scene.client()
    first, second = re.findall(r'id="g-(\w+)"', client.get("/pools/email/errors").text)

    said = client.post(f"/pools/email/errors/{first}/mark", data={"state": "resolved"}).text
    client.post(f"/pools/email/errors/{second}/mark", data={"state": "ignored"})
    pages = {
        state: client.get(f"/pools/email/errors?state={state}").text
        for state in ("open", "resolved", "ignored", "<b>")
    }

    assert "The error is resolved, until it comes again." in said
    assert {state: re.findall(r'id="g-(\w+)"', page) for state, page in pages.items()} == {
        "open": [],
        "resolved": [first],
        "ignored": [second],
        "<b>": [],
    }
    assert "No open error: nothing else failed for good" in pages["open"]
    assert "by a caller outside Lambda" in pages["resolved"]
    client.post(f"/pools/email/errors/{first}/mark", data={"state": "open"})
    assert re.findall(r'id="g-(\w+)"', client.get("/pools/email/errors").text) == [first]


def test_group_is_canceled_after_question(scene: Scene) -> None:
    client, url = scene.client(), "/pools/paused/groups/nightly/cancel"
    paused = scene.cloud.workpool("paused")

    asked = client.post(url, data={"confirmed": "1"})
    assert "2 of its 2 members are not over" in asked.text
    assert {each.state for each in paused.list(None, group="nightly").items} == {"pending"}
    done = confirmed(client, asked)
    assert "2 of 2" in done
    assert "2 canceled or asked to cancel." in done
    scene.cloud.run_until_idle()
    assert paused.group(None, "nightly").canceled == 2
    again = client.post(url)
    assert (again.status_code, "All members of the group are over" in again.text) == (404, True)


class Members:
    """A pool whose cancel of a group takes steps, and waits for a test after the first."""

    name = "email"

    def __init__(self, steps: list[tuple[int, int]], error: Exception | None = None) -> None:
        self._steps, self._error = steps, error
        self.began, self.go_on = threading.Event(), threading.Event()
        self.made = 0

    def cancel_group(self, _: object, group: str, on_step: Callable[[int, int], object]) -> int:
        assert group == "nightly"
        for reached, changed in self._steps:
            self.made += 1
            self.began.set()
            assert self.go_on.wait(10)
            on_step(reached, changed)
        if self._error is not None:
            raise self._error
        return 0


def cancel_of_group(acts: BulkActs, pool: Members, members: int) -> None:
    acts.ask(
        BulkAct(
            id="a",
            verb="cancel",
            pool="email",
            question="?",
            ids=(),
            group="nightly",
            members=members,
            back="/",
        )
    )
    assert acts.start("a", cast("Workpool", pool))
    assert pool.began.wait(10)


@pytest.mark.parametrize(
    ("steps", "error", "end"),
    [
        ([(100, 60), (40, 1)], None, ("done", 160, 61, None)),
        ([(100, 60)], StoreUnavailable("no answer"), ("failed", 100, 60, "no answer")),
    ],
)
def test_cancel_of_group_shows_steps_and_those_that_were_over_meanwhile(
    steps: list[tuple[int, int]], error: Exception | None, end: tuple[object, ...]
) -> None:
    acts, pool = BulkActs(), Members(steps, error)
    cancel_of_group(acts, pool, 160)
    pool.go_on.set()

    act = over(acts)

    assert (act.state, act.done, act.changed, act.error) == end


def test_abort_ends_cancel_of_group_after_its_step() -> None:
    acts, pool = BulkActs(), Members([(100, 60), (100, 60)])
    cancel_of_group(acts, pool, 200)

    assert acts.abort("a")
    pool.go_on.set()
    while (act := acts.find("a")) is not None and act.done == 0:
        time.sleep(0.001)

    assert act is not None
    assert (act.state, act.done, act.changed, pool.made) == ("aborted", 100, 60, 1)


def test_cancel_all_shows_counts_first(scene: Scene) -> None:
    client = scene.client()

    assert "0 are due and 1 are due later" in client.post("/pools/email/cancel-all").text
    assert not scene.pool.status(None, scene.late).cancel_requested
    client.post("/pools/email/cancel-all", data={"confirmed": "1"})
    scene.cloud.run_until_idle()
    assert scene.pool.status(None, scene.late).outcome == "canceled"


@pytest.mark.parametrize(
    ("url", "content", "status", "said"),
    [
        ("/pools/email/limit", "limit=-1", 400, "limit must be a number from 0 to"),
        ("/pools/email/limit", "limit=99999999", 400, "limit must be"),
        ("/pools/email/limit", "limit=999999", 400, "max_parallelism must be"),
        ("/pools/email/limit", "", 400, "limit must be"),
        ("/pools/email/rate", "", 400, "rate_limit must be"),
        ("/pools/email/rate", "rate=0/1m", 400, "n must be an int from 1 to"),
        ("/bulk/gone/abort", "", 404, "This act is not known here"),
        ("/bulk/gone", "", 404, "several processes. Nothing was changed."),
        ("/pools/email/works", "verb=delete&id=x", 400, "verb must be cancel or redrive"),
        ("/pools/email/works", "all=delete", 400, "verb must be cancel or redrive"),
        ("/pools/email/works", "all=cancel&state=bad", 400, "state must be one of"),
        ("/pools/email/works", "verb=cancel", 400, "id must be chosen for 1 to 200 work items"),
        ("/pools/email/works", "&".join(["id=x"] * 999), 400, "The form is damaged"),
        ("/pools/email/works", "id=" + "x" * 70_000, 413, "The form is too large"),
        ("/pools/email/works", "id=%ff%fe\xff", 400, ""),
        ("/pools/email/works/nonsense/again", "args={}", 404, "nonsense"),
        ("/pools/email/works/nonsense/again", "args=[", 400, "args must be a JSON object"),
        ("/pools/email/works/nonsense/again", "", 400, "args must be a JSON object"),
        ("/pools/email/schedules/report", "verb=stop", 400, "verb must be pause, resume or run"),
        ("/pools/email/schedules/none", "verb=run", 404, "no schedule 'none' is known in pool"),
        ("/pools/email/errors/0000000000000000/mark", "state=resolved", 404, "has error"),
        ("/pools/email/errors/other/mark", "state=resolved", 400, "fingerprint must be 16"),
        ("/pools/email/errors/0000000000000000/mark", "state=gone", 400, "state must be one of"),
        ("/pools/email/groups/none/cancel", "", 404, "no group 'none' is known in pool"),
        ("/pools/email/groups/none/cancel", "confirmed=1", 404, "no group 'none' is known"),
        ("/pools/email/groups/%3Cb%3E/cancel", "", 400, "group_id must be"),
        ("/pools/none/pause", "", 404, "No pool none is known"),
        ("/pools/a%20b/pause", "", 400, "name must be"),
        ("/pools/email/works/nonsense/redrive", "", 404, "nonsense"),
        ("/pools/email/errors/nonsense/redrive", "", 404, "No dead letter has this error"),
    ],
)
def test_bad_form_changes_nothing(
    seen: Scene, url: str, content: str, status: int, said: str
) -> None:
    before = written(seen)

    answer = seen.client().post(url, content=content.encode("latin-1"), headers=FORM)

    assert (answer.status_code, said in unescape(answer.text)) == (status, True)
    assert written(seen) == before
    assert limits.BULK_FORM_MAX == 200
