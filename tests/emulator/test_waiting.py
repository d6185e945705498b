"""Waits of the end-to-end tests: by condition, longer than a recovery, with the last sight."""

from itertools import count

import pytest

from tests.e2e import waiting
from tests.e2e.plan import JOBS
from tests.e2e.waiting import PATIENCE_S, once
from workpool_aws import StoreUnavailable
from workpool_aws.core import limits


class Hours:
    """A clock that its own pauses drive."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_look_is_repeated_until_it_is_enough():
    clock, numbers = Hours(), count()

    assert once(lambda: next(numbers), lambda seen: seen == 7, clock=clock, pause=clock.pause) == 7
    assert clock.now == pytest.approx(1.4)


def test_outage_is_outlasted():
    clock = Hours()

    def look() -> str:
        if clock.now < PATIENCE_S / 2:
            raise StoreUnavailable("nobody answers")
        return "back"

    assert once(look, clock=clock, pause=clock.pause) == "back"


def test_timeout_says_what_was_seen_last():
    clock = Hours()

    with pytest.raises(AssertionError, match=r"waited 936 s; what was seen last: \['pending'\]"):
        once(lambda: ["pending"], lambda seen: seen == ["finished"], clock=clock, pause=clock.pause)


def test_four_lost_starts_fit_into_wait():
    assert max(job.timeout_s for name, job in JOBS.items() if name != "linger") <= waiting.TIMEOUT_S
    assert limits.RECOVERY_MARGIN_MS <= 1_000 * waiting.MARGIN_S
    assert 4 * waiting.LOST_START_S < PATIENCE_S
