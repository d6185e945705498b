"""The dashboard in a real browser: scripts under the policy, live pages, keys, colours and widths."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import axe_core_python
import pytest
import uvicorn
from starlette.applications import Starlette

from tests.dashboard.conftest import SECRET, Scene
from tests.kit.browser import Browser

pytestmark = pytest.mark.browser

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Serve an application on loopback, and give its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(timeout=10)


@pytest.fixture
def address(scene: Scene, browser: Browser) -> Iterator[str]:
    with served(scene.app()) as address:
        yield address
        # Its stream of events ends with the page.
        browser.open("about:blank")


@pytest.fixture
def seen_address(seen: Scene, browser: Browser) -> Iterator[str]:
    with served(seen.app()) as address:
        yield address
        browser.open("about:blank")


def faults_of(browser: Browser) -> list[str]:
    """Return the violations that axe finds in the page, with their elements.

    The page was opened without its policy, for the script that judges it.
    """
    browser.evaluate(f"{AXE};0")
    found: list[str] = browser.evaluate(
        "axe.run(document).then(({ violations }) => violations.map((each) =>"
        " `${each.id}: ${each.nodes.map((node) => node.target).slice(0, 3)}`))"
    )
    return found


def text_of(browser: Browser, selector: str) -> str:
    return str(browser.evaluate(f"document.querySelector({selector!r}).innerText"))


def test_pages_run_under_their_policy_and_fit_every_width(
    browser: Browser, seen_address: str, seen: Scene
) -> None:
    paths = [
        "/",
        "/jobs",
        "/health",
        "/pools/email/works",
        "/pools/email/errors",
        "/pools/email/schedules",
        "/pools/paused/groups",
        "/pools/paused/groups/nightly",
        f"/pools/email/works/{seen.bad[0]}",
        f"/pools/email/works/{seen.bad[0]}/again",
        "/pools/email",
    ]
    for path in paths:
        browser.open(seen_address + path)
        for width in (390, 1280):
            browser.look(width=width)
            wide = browser.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is wider than {width}"
        assert browser.complaints() == [], path
    assert browser.evaluate("document.querySelectorAll('.chart canvas').length") == 1


def test_page_reads_again_in_place(browser: Browser, address: str, scene: Scene) -> None:
    browser.open(f"{address}/pools/email/works")
    browser.evaluate("document.querySelector('[name=fn]').value = 'typed'")
    before = browser.evaluate("document.querySelectorAll('tbody tr').length")
    scene.pool.enqueue_action(None, "echo", {})

    browser.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'r', bubbles: true}))"
    )
    browser.wait_for(f"document.querySelectorAll('tbody tr').length === {before + 1}")

    assert browser.evaluate("document.querySelector('[name=fn]').value") == "typed"
    assert browser.complaints() == []


def test_page_waits_while_work_items_are_chosen(
    browser: Browser, address: str, scene: Scene
) -> None:
    browser.open(f"{address}/pools/email/works?state=dead")
    browser.evaluate("document.getElementById('choose-all').click()")
    assert text_of(browser, "#chosen") == "5 chosen, the page waits"

    browser.follow("document.querySelector('button[value=redrive]').click()")
    assert "Redrive 5 work items of pool email (5 failed)?" in text_of(browser, "main")
    browser.follow("document.querySelector('main button.danger').click()")
    browser.wait_for("document.querySelector('h1').innerText === 'Done'")

    assert "5 of 5" in text_of(browser, "#progress")
    assert scene.pool.count_dead_letters(None) == 0
    assert browser.complaints() == []


def test_group_is_watched_and_canceled(browser: Browser, address: str, scene: Scene) -> None:
    browser.ask("Page.setBypassCSP", enabled=True)
    for path in ("/pools/email/groups", "/pools/paused/groups", "/pools/paused/groups/nightly"):
        browser.open(address + path)
        assert faults_of(browser) == [], path
    assert "0 of 2 members are over." in text_of(browser, "#live")

    browser.follow("document.querySelector('main button.danger').click()")
    assert "2 of its 2 members are not over" in text_of(browser, "main")
    assert faults_of(browser) == []
    browser.follow("document.querySelector('main button.danger').click()")
    browser.wait_for("document.querySelector('#live h1').textContent === 'Done'")
    assert "2 canceled or asked to cancel." in text_of(browser, "#live")
    scene.cloud.run_until_idle()
    browser.follow("[...document.querySelectorAll('#live a')].pop().click()")
    browser.wait_for("document.querySelector('#live progress').value === 2")
    browser.follow("document.getElementById('members').click()")
    browser.ask("Page.setBypassCSP", enabled=False)

    assert text_of(browser, "tbody").count("canceled") == 2
    assert browser.complaints() == []


def test_keys_lead_through_pages(browser: Browser, seen_address: str) -> None:
    browser.open(f"{seen_address}/")
    browser.follow("document.querySelector('#pool-email a').click()")
    places = []
    for key in "wegjo":
        browser.follow(
            f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}))"
            if key != "e"
            else "document.querySelector('[data-key=e]').click()"
        )
        places.append(browser.evaluate("location.pathname"))

    assert places == [
        "/pools/email/works",
        "/pools/email/errors",
        "/pools/email/groups",
        "/jobs",
        "/",
    ]
    browser.evaluate("document.getElementById('help-open').click()")
    assert browser.evaluate("document.getElementById('help').open")


def test_payload_comes_on_request_as_text(browser: Browser, seen_address: str, seen: Scene) -> None:
    browser.open(f"{seen_address}/pools/email/works/{seen.good}")
    assert "hunter2" not in text_of(browser, "body")

    browser.evaluate("document.querySelector('.payload button').click()")
    browser.wait_for("document.querySelector('#payload-args pre') !== null")

    assert text_of(browser, "#payload-args pre") == f'{{"secret":"{SECRET}"}}'
    assert browser.complaints() == []


def test_post_of_another_site_is_refused_by_what_browser_says(
    browser: Browser, seen_address: str, seen: Scene
) -> None:
    with served(seen.app(read_only=True)) as elsewhere:
        browser.open(f"{elsewhere}/nothing")
        # Its policy allows no form to another place, as that of a hostile page would.
        browser.ask("Page.setBypassCSP", enabled=True)
        browser.open(f"{elsewhere}/nothing")
        browser.follow(
            "(() => { const form = document.createElement('form'); form.method = 'post';"
            f"form.action = '{seen_address}/pools/email/pause'; document.body.append(form);"
            "form.submit(); })()"
        )
        browser.ask("Page.setBypassCSP", enabled=False)

    assert "came from another site" in text_of(browser, "main")
    assert not seen.pool.config(None).paused
