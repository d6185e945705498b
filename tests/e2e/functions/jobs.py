"""The functions of the end-to-end test, as a user would deploy them."""

from __future__ import annotations

import os
import time
from typing import Any

from release import RELEASE

from workpool_aws import Work, Workpool

pool = Workpool("named-by-the-event", "any")


@pool.action
def nap(n: int, ms: int) -> dict[str, float]:
    """Sleep, and say from when to when."""
    began = time.time()
    time.sleep(ms / 1_000)
    return {"n": n, "began": began, "ended": time.time()}


@pool.action
def fail_first(work: Work, times: int) -> int:
    """Fail so many attempts, then say which one this is."""
    if work.attempt <= times:
        raise ConnectionError(f"attempt {work.attempt} fails")
    return work.attempt


@pool.action
def hang_once(work: Work, ms: int) -> int:
    """The first attempt takes its time, so that it can be killed."""
    if work.attempt == 1:
        time.sleep(ms / 1_000)
    return work.attempt


@pool.action
def vanish(how: str) -> None:
    """Never return: the process ends, or outstays its timeout."""
    if how == "exit":
        os._exit(3)
    time.sleep(60)


@pool.action
def linger(work: Work, ms: int) -> int:
    """Take some time in the first attempt, and report progress."""
    work.progress(0.5, "half way")
    if work.attempt == 1:
        time.sleep(ms / 1_000)
    return work.attempt


def plain(event: dict[str, Any], _: object) -> dict[str, Any]:
    """A Lambda function that knows nothing of pools."""
    if event.get("fail"):
        raise ValueError("asked to")
    return {"twice": event["n"] * 2}


@pool.action
def which_release(ms: int) -> str:
    """Take its time, and say which release this code is of."""
    time.sleep(ms / 1_000)
    return RELEASE
