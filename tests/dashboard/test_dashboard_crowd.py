"""The dashboard on a large pool, in a browser: accessible, light, flat in cost, and mending failures."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.dashboard.crowd import FAILED, WAITING, crowd
from tests.dashboard.test_dashboard_browser import faults_of, served, text_of
from tests.kit.browser import Browser
from workpool_aws import Workpool
from workpool_aws.dashboard import dashboard_app
from workpool_aws.insights import Insights, WorkFilter
from workpool_aws.local import LocalCloud

pytestmark = pytest.mark.browser

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@dataclass(frozen=True)
class Crowd:
    """Large pools, the address of a dashboard of them, and a browser."""

    cloud: LocalCloud
    pools: dict[str, Workpool]
    address: str
    browser: Browser

    def open(self, path: str) -> None:
        self.browser.open(self.address + path)

    def click(self, selector: str) -> None:
        self.browser.follow(f"document.querySelector({selector!r}).click()")

    def pages(self) -> list[str]:
        """Every page, by its path."""
        orders = self.pools["orders"]
        (dead,) = orders.list(None, state="dead", order="newest", limit=1).items
        (later,) = orders.list(None, state="pending", limit=1).items
        return [
            "/",
            "/jobs",
            "/health",
            "/bulk",
            "/pools/orders",
            "/pools/reports",
            "/pools/orders/works?limit=25",
            "/pools/orders/works?state=dead&sort=error&limit=25",
            "/pools/reports/works?limit=25",
            "/pools/orders/errors",
            "/pools/mails/schedules",
            "/pools/mails/groups",
            "/pools/mails/groups/newsletter",
            f"/pools/orders/works/{dead.work_id}",
            f"/pools/orders/works/{later.work_id}",
            f"/pools/orders/works/{dead.work_id}/again",
            "/nothing",
        ]


@pytest.fixture(scope="module")
def here(browser: Browser) -> Iterator[Crowd]:
    with LocalCloud() as cloud:
        pools = crowd(cloud)
        app = dashboard_app(cloud.table, ports=cloud._ports_of(cloud.table))
        with served(app) as address:
            # Only for the script that judges the page, which no page loads by itself.
            browser.ask("Page.setBypassCSP", enabled=True)
            yield Crowd(cloud, pools, address, browser)
            browser.ask("Page.setBypassCSP", enabled=False)
            browser.open("about:blank")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_pages_are_accessible_and_fit(here: Crowd, width: int, *, dark: bool) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    # The colours of the dark scheme and the layout of a phone are those of a few pages.
    pages = here.pages() if (width, dark) == (1280, False) else here.pages()[4:14:3]
    here.browser.look(width=width, dark=dark)
    for path in pages:
        here.open(path)
        name = re.sub(r"\W+", "-", path).strip("-")[:40] or "overview"
        here.browser.shoot(SHOTS / f"{width}-{'dark' if dark else 'light'}-{name}.png")

        assert faults_of(here.browser) == [], path
        assert here.browser.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    here.browser.look(width=1280)


def test_axe_finds_a_fault(here: Crowd) -> None:
    here.open("/jobs")
    here.browser.evaluate("document.body.append(document.createElement('input'))")

    assert any("label" in each for each in faults_of(here.browser))


def test_first_page_takes_few_requests_and_bytes(here: Crowd) -> None:
    for path in ("/", "/pools/orders", "/pools/orders/works", "/pools/orders/errors"):
        here.open(path)
        files = here.browser.evaluate(
            "performance.getEntriesByType('resource').map((each) => new URL(each.name).pathname)"
        )
        page = here.browser.evaluate("document.documentElement.outerHTML.length")

        assert {each for each in files if each != "/events"} == {
            "/static/app.css",
            "/static/app.js",
            "/static/vendor/htmx.min.js",
            "/static/vendor/idiomorph-ext.min.js",
            "/static/vendor/uPlot.iife.min.js",
            "/static/vendor/uPlot.min.css",
        }
        assert page < 120_000, path


def test_list_costs_the_same_whatever_the_pool_holds(here: Crowd) -> None:
    insights = Insights(here.cloud.table)
    lists = [WorkFilter(), WorkFilter(state="pending"), WorkFilter(state="dead")]

    with LocalCloud() as small:
        pool = small.workpool("orders")
        pool.enqueue_action_batch(None, "charge", [{"order": n} for n in range(60)])
        few = Insights(small.table, ports=small._ports_of(small.table))
        bounds = [few.works("orders", each).cost.read_units + 12 for each in lists]
    costs = [insights.works("orders", each).cost.read_units for each in lists]

    assert all(cost <= bound for cost, bound in zip(costs, bounds, strict=True)), (costs, bounds)


def test_errors_of_five_kinds_are_told_apart_and_mended(here: Crowd) -> None:
    here.open("/pools/orders/errors")
    assert f"{FAILED} dead letters with 5 errors" in text_of(here.browser, "#live")

    here.click("#live .groups li form button")
    assert "Redrive 80 work items of pool orders (charge: ConnectionError)?" in text_of(
        here.browser, "main"
    )
    here.click("main button.danger")
    here.browser.wait_for("document.querySelector('h1').innerText === 'Done'")

    assert "80 of 80" in text_of(here.browser, "#progress")
    assert here.pools["orders"].count_dead_letters(None) == FAILED - 80


def test_act_shows_progress_survives_reload_and_is_aborted(here: Crowd) -> None:
    here.open("/pools/orders/works?state=pending&order=oldest&since=2026-01-01T06:00")
    here.click("#bulk button[name=all][value=cancel]")
    assert f"Cancel {WAITING} work items of pool orders ({WAITING} pending; " in text_of(
        here.browser, "main"
    )
    here.click("main button.danger")
    here.browser.wait_for("document.querySelector('progress').value > 0")

    here.click("nav a[data-key=a]")
    here.click("tbody tr th a")
    assert text_of(here.browser, "h1") == "At work"
    here.click("main button.danger")
    here.browser.wait_for("document.querySelector('h1').innerText === 'Aborted'")

    left = Insights(here.cloud.table).matching("orders", WorkFilter(state="pending"), 20_000)
    assert 0 < len(left.value.work_ids) < WAITING + 80
    assert here.browser.complaints() == []


def test_pool_is_paused_limited_and_resumed(here: Crowd) -> None:
    pool = here.pools["mails"]
    here.open("/pools/mails")
    here.click("form[action$='/pause'] button")
    assert text_of(here.browser, ".notice") == "The pool is paused."
    assert pool.config(None).paused
    here.click("form[action$='/pause'] button")
    here.browser.evaluate("document.querySelector('[name=limit]').value = '3'")
    here.click("form[action$='/limit'] button")

    assert text_of(here.browser, ".notice") == "The limit was set: 3."
    assert (pool.config(None).paused, pool.config(None).max_parallelism) == (False, 3)


def test_schedule_runs_now_and_stops(here: Crowd) -> None:
    here.open("/pools/mails/schedules")
    here.click("#s-digest button[value=run]")
    assert text_of(here.browser, ".notice") == "Enqueued."
    here.open("/pools/mails/schedules")
    here.click("#s-reminder button[value=resume]")

    assert [each.paused for each in here.pools["mails"].schedules(None)] == [False, False]


def test_work_item_is_canceled_and_another_enqueued_again(here: Crowd) -> None:
    orders = here.pools["orders"]
    (later,) = orders.list(None, state="pending", order="newest", limit=1).items
    (dead,) = orders.list(None, state="dead", order="newest", limit=1).items
    here.open(f"/pools/orders/works/{later.work_id}")
    here.click("form[action$='/cancel'] button")
    here.click("main button.danger")
    assert orders.status(None, later.work_id).outcome == "canceled"

    here.open(f"/pools/orders/works/{dead.work_id}/again")
    here.browser.evaluate("document.getElementById('args').value = '{\"order\": 10}'")
    here.click("main form button")
    new = str(here.browser.evaluate("location.pathname")).rpartition("/")[2]

    assert orders.show(None, new, args=True).args.value == {"order": 10}


def test_rows_are_walked_and_chosen_by_keys(here: Crowd) -> None:
    here.open("/pools/orders/works?state=dead")
    for key in ("ArrowDown", "ArrowDown", "x", "ArrowUp", "x"):
        here.browser.evaluate(
            "document.activeElement.dispatchEvent("
            f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}))"
        )

    assert here.browser.evaluate(
        "[...document.querySelectorAll('#bulk input[name=id]')].map((each) => each.checked)"
    )[:3] == [True, True, False]
    assert text_of(here.browser, "#chosen") == "2 chosen, the page waits"
