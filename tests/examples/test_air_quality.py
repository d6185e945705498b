"""The air quality example: its own tests pass, and its page shows a week in a real browser.

Screenshots are kept in build/screens/air_quality, for people to look at.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.browser import Browser
from tests.kit.projects import report_of

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "air_quality"
SCREENS = ROOT / "build" / "screens" / "air_quality"
HOURS = 168 - 1
"""A week, without the hour for which the source was down."""


@pytest.mark.form
def test_own_tests_pass() -> None:
    report = report_of(EXAMPLE)

    assert re.search(r"^=+ (\d\d+) passed in [^,]+ =+$", report, re.MULTILINE) is not None, report


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The page's address, once a week has passed. From then on an hour takes long enough to look."""
    command = [sys.executable, str(EXAMPLE / "local.py"), "--hour-takes", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said: list[str] = []
            for line in process.stdout:
                said.append(line)
                if "An interrupt ends it" in line:
                    break
            found = re.search(r"http://127\.0\.0\.1:\d+/", "".join(said))
            assert found is not None, said
            assert f"The week is there: {HOURS} hours." in "".join(said)
            yield found[0]
        finally:
            process.terminate()


def text_of(browser: Browser, selector: str) -> str:
    return str(browser.evaluate(f"document.querySelector({selector!r}).innerText"))


def press(browser: Browser, words: str) -> None:
    browser.follow(
        "[...document.querySelectorAll('button')]"
        f".find(each => each.innerText === {words!r}).click()"
    )


@pytest.mark.browser
def test_page_shows_week_and_its_buttons_work(address: str) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    with Browser() as browser:
        for name, width, dark in (
            ("light", 1280, False),
            ("dark", 1280, True),
            ("phone", 390, False),
            ("phone-dark", 390, True),
        ):
            browser.look(width=width, height=1400, dark=dark)
            browser.open(address)
            assert browser.complaints() == []
            assert browser.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            shown = [
                browser.evaluate(f"document.querySelector('.chart.{form}').clientHeight > 200")
                for form in ("wide", "narrow")
            ]
            assert shown == [width > 500, width < 500]
            browser.shoot(SCREENS / f"{name}.png")
        points = browser.evaluate(
            "[...document.querySelectorAll('.chart.wide polyline.pm10')]"
            ".reduce((sum, each) => sum + each.points.numberOfItems, 0)"
        )
        # The oldest hour may have left the week by now, and the newest may have come.
        assert HOURS - 1 <= points <= HOURS + 1
        assert browser.evaluate("document.querySelectorAll('.chart.wide .guideline').length") == 2
        assert "no data: 1 hour" in text_of(browser, "figcaption")
        assert "after their time" in text_of(browser, ".facts")

        press(browser, "Pause")
        assert "Next run\npaused" in re.sub(r"\s*\n\s*", "\n", text_of(browser, ".facts"))
        press(browser, "Run now")
        assert browser.complaints() == []
        press(browser, "Resume")
        assert re.search(r"\w{3} \d+ \w{3} \d\d:05, ", text_of(browser, ".facts"))
        assert browser.complaints() == []
