"""The worker of the demo: it opens one AWS service model, and fails by design at times."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from enum import Enum
from typing import Final, assert_never

from botocore.loaders import Loader

from workpool_aws import NonRetryableError, Work, Workpool

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
"""Designed failures for each one that is not retried."""

PAUSE_MIN: Final = timedelta(milliseconds=100)
PAUSE_MAX: Final = timedelta(milliseconds=250)

_MODEL: Final = "service-2"
_FRACTION_BITS: Final = 53

# Used only to decorate, since table and pool of an attempt come with its event.
_pool = Workpool("workpool-demo", "demo")


class ServiceOutage(Exception):
    """A failure by design. The pool retries it as any other exception."""


class Fate(Enum):
    """The outcome of one attempt by the demo's design."""

    WORKS = "works"
    FAILS = "fails"
    FAILS_FOR_GOOD = "fails for good"


def fraction_of(*words: object) -> float:
    """Return a number in [0, 1) that looks random, the same for the same words."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - _FRACTION_BITS)) / (1 << _FRACTION_BITS)


def fate_of(service: str, *, lap: int, attempt: int, seed: int, fail_rate: float) -> Fate:
    """Return the outcome of an attempt, the same in every run and on every machine.

    A share `fail_rate` of all attempts fails.
    """
    if fraction_of("fails", seed, service, lap, attempt) >= fail_rate:
        return Fate.WORKS
    for_good = fraction_of("for good", seed, service, lap, attempt) < 1 / FOR_GOOD_ONE_IN
    return Fate.FAILS_FOR_GOOD if for_good else Fate.FAILS


def pause_of(service: str, *, lap: int) -> timedelta:
    """Return the wait of an attempt, as if for an answer, from `PAUSE_MIN` to `PAUSE_MAX`.

    The same for the same arguments.
    """
    return PAUSE_MIN + (PAUSE_MAX - PAUSE_MIN) * fraction_of("pause", service, lap)


def service_names() -> list[str]:
    """Return the AWS services that the installed botocore has models of, sorted."""
    return sorted(Loader().list_available_services(_MODEL))


@_pool.action
def open_model(
    work: Work, service: str, lap: int, seed: int, fail_rate: float
) -> dict[str, str | int]:
    """Wait a moment, open the model of one AWS service and return its size.

    Raises:
        ServiceOutage: By design. It is retried.
        NonRetryableError: By design. It is not retried.
    """
    # Opening a file takes a few milliseconds. The usual work of a pool takes longer, most of it
    # waiting.
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
