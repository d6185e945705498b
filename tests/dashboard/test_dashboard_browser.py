"""The dashboard in a real browser: scripts under the policy, live pages, keys, colours and widths."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from tests.dashboard.conftest import SECRET, Scene
from tests.kit.browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

AT_REST = "document.querySelector('.htmx-request') === null"


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def address(scene: Scene, browser: Browser) -> Iterator[str]:
    with served(scene.app()) as address:
        yield address
        # Its stream of events ends with the page.
        browser.open("about:blank")


def text_of(browser: Browser, selector: str) -> str:
    return str(browser.evaluate(f"document.querySelector({selector!r}).innerText"))


def test_pages_run_under_their_policy_in_every_width_and_colour(
    browser: Browser, address: str, scene: Scene, tmp_path: Path
) -> None:
    paths = [
        "/",
        "/jobs",
        "/health",
        "/pools/email",
        "/pools/email/works",
        "/pools/email/errors",
        "/pools/email/schedules",
        f"/pools/email/works/{scene.bad[0]}",
        f"/pools/email/works/{scene.bad[0]}/again",
    ]
    for width, dark in ((1280, False), (1280, True), (390, False)):
        browser.look(width=width, dark=dark)
        for path in paths:
            browser.open(address + path)

            assert browser.complaints() == [], path
            wide = browser.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is wider than {width}"
            browser.shoot(tmp_path / f"{width}-{dark}-{path.replace('/', '_')}.png")
    browser.look(width=1280)
    browser.open(f"{address}/pools/email")
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


def test_keys_lead_through_pages(browser: Browser, address: str) -> None:
    browser.open(f"{address}/")
    browser.follow("document.querySelector('#pool-email a').click()")
    places = []
    for key in "wejo":
        browser.follow(
            f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}))"
            if key != "e"
            else "document.querySelector('[data-key=e]').click()"
        )
        places.append(browser.evaluate("location.pathname"))

    assert places == ["/pools/email/works", "/pools/email/errors", "/jobs", "/"]
    browser.evaluate("document.getElementById('help-open').click()")
    assert browser.evaluate("document.getElementById('help').open")


def test_payload_comes_on_request_as_text(browser: Browser, address: str, scene: Scene) -> None:
    browser.open(f"{address}/pools/email/works/{scene.good}")
    assert "hunter2" not in text_of(browser, "body")

    browser.evaluate("document.querySelector('.payload button').click()")
    browser.wait_for("document.querySelector('#payload-args pre') !== null")

    assert text_of(browser, "#payload-args pre") == f'{{"secret":"{SECRET}"}}'
    assert browser.complaints() == []


def test_post_of_another_site_is_refused_by_what_browser_says(
    browser: Browser, address: str, scene: Scene
) -> None:
    with served(scene.app(read_only=True)) as elsewhere:
        browser.open(f"{elsewhere}/nothing")
        # Its policy allows no form to another place, as that of a hostile page would.
        browser.ask("Page.setBypassCSP", enabled=True)
        browser.open(f"{elsewhere}/nothing")
        browser.follow(
            "(() => { const form = document.createElement('form'); form.method = 'post';"
            f"form.action = '{address}/pools/email/pause'; document.body.append(form);"
            "form.submit(); })()"
        )
        browser.ask("Page.setBypassCSP", enabled=False)

    assert "came from another site" in text_of(browser, "main")
    assert not scene.pool.config(None).paused
