"""Texts of the demo, which all views show."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from workpool_aws.cli.demo.worker import FOR_GOOD_ONE_IN, PAUSE_MAX, PAUSE_MIN
from workpool_aws.text import many

if TYPE_CHECKING:
    from workpool_aws.cli.demo.report import DemoReport, Plan, Progress

__all__ = [
    "FAILURES_HEADER",
    "FAILURES_SHOWN",
    "LARGEST_HEADER",
    "RESTING",
    "Row",
    "View",
    "designs",
    "failure_rows",
    "headline",
    "largest_rows",
    "summary_rows",
    "verdict",
]

FAILURES_SHOWN: Final = 20
LARGEST_HEADER: Final = ("service", "operations", "shapes", "longest operation")
FAILURES_HEADER: Final = ("service", "error type", "error")

RESTING: Final = "All done. The loop looks for more for a few seconds, then the pool is at rest."

_SECOND: Final = timedelta(seconds=1)

Row = tuple[str, ...]


class View(AbstractContextManager["View"], Protocol):
    """The display of a run. As a context manager it is taken down after an error, too."""

    def begin(self, plan: Plan) -> None:
        """Show the plan."""

    def show(self, progress: Progress) -> None:
        """Show the progress. Called more often than a person can read."""

    def end(self, report: DemoReport) -> None:
        """Show the report."""


def headline(plan: Plan) -> str:
    """Return the size, the limit and the engine of a run, in one line."""
    clock = ", virtual clock" if plan.clock == "virtual" else ""
    models = many(plan.items, "AWS service model")
    engine = f"engine {plan.engine}{clock}"
    return f"{models}, at most {plan.limit} at a time, {engine}, seed {plan.seed}"


def designs(plan: Plan) -> list[str]:
    """Return the waits and failures that the demo makes on purpose, a sentence each."""
    least, most = PAUSE_MIN / _SECOND, PAUSE_MAX / _SECOND
    sentences = [f"Each opens one model after a wait of {least:g} to {most:g} s, as for an answer."]
    if plan.fail_rate > 0:
        sentences.append(
            f"By design {_failing(plan.fail_rate)}, and is retried; "
            f"one in {FOR_GOOD_ONE_IN} of these failures is for good."
        )
    else:
        sentences.append("No attempt fails by design.")
    if plan.later:
        are = "is" if plan.later == 1 else "are"
        sentences.append(
            f"{many(plan.later, 'work item')} {are} due only 2 to 5 seconds after being enqueued."
        )
    return sentences


def largest_rows(report: DemoReport) -> list[Row]:
    """Return the table of the largest services."""
    return [
        (one.service, str(one.operations), str(one.shapes), one.longest_operation)
        for one in report.largest
    ]


def failure_rows(report: DemoReport) -> list[Row]:
    """Return the table of failures and their reasons, cut after the first ones."""
    rows: list[Row] = [
        (one.service, one.error_type, one.error) for one in report.failures[:FAILURES_SHOWN]
    ]
    more = len(report.failures) - len(rows)
    return [*rows, (f"and {more} more", "", "")] if more > 0 else rows


def summary_rows(report: DemoReport) -> list[tuple[str, str]]:
    """Return the figures of a run, a line each."""
    usage = report.usage
    outcomes = f"{report.succeeded} succeeded, {report.failed} failed for good"
    rate = (
        f" ({report.finished / report.seconds:.0f} work items a second)"
        if report.seconds > 0
        else ""
    )
    cost = "not known: units are counted on the engines memory and moto"
    write_units, read_units = report.write_units_per_action, report.read_units_per_action
    if write_units is not None and read_units is not None:
        cost = f"{write_units:.2f} write and {read_units:.2f} read units an action"
    return [
        ("finished", f"{report.finished} of {report.items}: {outcomes}"),
        ("attempts", f"{report.attempts}, of which {report.retries} retries"),
        ("parallelism", f"{usage.max_concurrency} at most, the limit is {report.limit}"),
        ("cost", cost),
        ("time", f"{report.seconds:.1f} s{rate}, and at rest after {usage.seconds:.1f} s"),
    ]


def verdict(report: DemoReport) -> str:
    """Return one sentence on the outcome of the run."""
    if report.ok:
        return "OK: every work item reached its end, and the limit was never exceeded."
    faults: list[str] = []
    if report.finished < report.items:
        faults.append(f"{many(report.items - report.finished, 'work item')} did not reach an end")
    if not report.within_limit:
        faults.append(
            f"{report.usage.max_concurrency} ran at a time where {report.limit} are allowed"
        )
    if report.problem is not None:
        faults.append(report.problem)
    return f"NOT OK: {'; '.join(faults)}."


def _failing(rate: float) -> str:
    one_in = round(1 / rate)
    if rate == 1:
        return "every attempt fails"
    # As a float, 1/12 is not exactly a twelfth.
    if math.isclose(rate * one_in, 1):
        return f"one attempt in {one_in} fails"
    return f"{rate:.1%} of all attempts fails"
