"""Owns the work of the demo: the worker that opens one AWS service model, and the failures it makes by design."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from enum import Enum
from typing import Final, assert_never

from workpool_aws.api.work import Work
from workpool_aws.client import Workpool
from workpool_aws.errors import NonRetryableError

__all__ = [
    "FOR_GOOD_ONE_IN",
    "PAUSE_MAX",
    "PAUSE_MIN",
    "Fate",
    "ServiceOutage",
    "fate_of",
    "fraction_of",
    "open_model",
    "pause_of",
    "service_names",
]

FOR_GOOD_ONE_IN: Final = 8
"""One in so many designed failures is not retried."""

PAUSE_MIN: Final = timedelta(milliseconds=100)
PAUSE_MAX: Final = timedelta(milliseconds=250)

_MODEL: Final = "service-2"
_FRACTION_BITS: Final = 53

# Only decorates: table and pool of an attempt come with its event.
_pool = Workpool("workpool-demo", "demo")


class ServiceOutage(Exception):
    """What a failure by design raises. Nothing special about it: the pool retries it as it would any exception."""


class Fate(Enum):
    """What the demo's design says about one attempt."""

    WORKS = "works"
    FAILS = "fails"
    FAILS_FOR_GOOD = "fails for good"


def fraction_of(*words: object) -> float:
    """A number in [0, 1) that looks random and is always the same for the same words."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - _FRACTION_BITS)) / (1 << _FRACTION_BITS)


def fate_of(service: str, *, lap: int, attempt: int, seed: int, fail_rate: float) -> Fate:
    """The same for the same arguments, in every run and on every machine: a share `fail_rate` of all attempts fails."""
    if fraction_of("fails", seed, service, lap, attempt) >= fail_rate:
        return Fate.WORKS
    for_good = fraction_of("for good", seed, service, lap, attempt) < 1 / FOR_GOOD_ONE_IN
    return Fate.FAILS_FOR_GOOD if for_good else Fate.FAILS


def pause_of(service: str, *, lap: int) -> timedelta:
    """How long an attempt waits, as it would for an answer: `PAUSE_MIN` to `PAUSE_MAX`, always the same for the same arguments."""
    return PAUSE_MIN + (PAUSE_MAX - PAUSE_MIN) * fraction_of("pause", service, lap)


def service_names() -> list[str]:
    """Every AWS service that the installed botocore has a model of, sorted."""
    from botocore.loaders import Loader  # noqa: PLC0415 - loaded when the demo runs, not when help is shown

    return sorted(Loader().list_available_services(_MODEL))


@_pool.action
def open_model(work: Work, service: str, lap: int, seed: int, fail_rate: float) -> dict[str, str | int]:
    """Wait a moment, open the model of one AWS service and say how large it is.

    Raises:
        ServiceOutage: by design; it is retried.
        NonRetryableError: by design; it is not.
    """
    from botocore.loaders import Loader  # noqa: PLC0415 - as above

    # Opening a file takes a few milliseconds. What a pool is for takes longer, and most of it is waiting.
    work.sleep(pause_of(service, lap=lap))
    fate = fate_of(service, lap=lap, attempt=work.attempt, seed=seed, fail_rate=fail_rate)
    match fate:
        case Fate.FAILS:
            raise ServiceOutage(f"attempt {work.attempt} fails by design")
        case Fate.FAILS_FOR_GOOD:
            raise NonRetryableError(f"attempt {work.attempt} fails by design, for good")
        case Fate.WORKS:
            pass
        case _:
            assert_never(fate)
    # A loader of its own: a shared one keeps every model it ever opened.
    model = Loader().load_service_model(service, _MODEL)
    return {
        "service": service,
        "operations": len(model["operations"]),
        "shapes": len(model["shapes"]),
        "longest_operation": max(sorted(model["operations"]), key=len),
    }
