"""Names of the pools, functions and roles of the end-to-end tests, for CDK app and tests."""

from __future__ import annotations

from dataclasses import dataclass

STACK = "E2e"
RELEASE_CONTEXT = "e2e:release"
"""Context key: a number that the deployed code says; another one is another release."""
POOLS = (
    "bank",
    "canceled",
    "demo",
    "granted",
    "killed",
    "later",
    "limit",
    "orders",
    "paced",
    "plain",
    "released",
    "retries",
    "shot",
    "timed",
    "told",
    "unheard",
    "vanishing",
    "woken",
)
LIMITED = {"limit": 3}
"""Limits that the deployment gives."""
RATED = {"paced": "3/6s"}
"""Rate limits that the deployment gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A function of the user's."""

    handler: str
    timeout_s: int = 30
    decorated: bool = True


JOBS = {
    "nap": Job(handler="jobs.nap"),
    "fail-first": Job(handler="jobs.fail_first"),
    "hang-once": Job(handler="jobs.hang_once"),
    "vanish": Job(handler="jobs.vanish", timeout_s=10),
    "linger": Job(handler="jobs.linger", timeout_s=300),
    "which-release": Job(handler="jobs.which_release"),
    "open-model": Job(handler="worker.open_model"),
    "plain": Job(handler="jobs.plain", decorated=False),
}
MORTAL = ("transfer", "send_email", "confirmed", "front")
"""The functions of two examples, in processes that die."""
NEVER_ADDED = "never-added"
"""A function that is deployed and no action of any pool."""
