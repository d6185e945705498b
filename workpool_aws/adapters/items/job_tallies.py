"""Writes the counts of a minute's jobs as text.

`since:job=succeeded.failed.retried.canceled,…`, the time in milliseconds. It stands beside the tally and
not in it, so that a loop of version 0.1 still reads the tally.
"""

from __future__ import annotations

import re
from typing import Final

from workpool_aws.adapters.items.forms import FieldCodec
from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import JobTallies, JobTally
from workpool_aws.model.names import LABEL as LABELS

__all__ = ["JOB_TALLIES", "LABEL"]

_SINCE: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_COUNTS: Final = re.compile(r"([0-9]{1,12})\.([0-9]{1,12})\.([0-9]{1,12})\.([0-9]{1,12})", re.ASCII)
_COUNT_READ_BELOW: Final = 10**9
"""Of a count that is read, so that more can be added to it [WP-12]."""


class _JobTallies:
    """`since:job=succeeded.failed.retried.canceled,…`, the time in milliseconds."""

    @classmethod
    def encode(cls, tallies: JobTallies) -> str:
        jobs = ",".join(
            f"{each.job}={each.succeeded}.{each.failed}.{each.retried}.{each.canceled}"
            for each in tallies.jobs
        )
        text = f"{tallies.since}:{jobs}"
        cls._read(text)
        return text

    @classmethod
    def decode(cls, value: object) -> JobTallies:
        found = cls._read(value)
        for each in found.jobs:
            if max(each.succeeded, each.failed, each.retried, each.canceled) >= _COUNT_READ_BELOW:
                raise ValueError("a count to which nothing can be added")
        return found

    @classmethod
    def _read(cls, value: object) -> JobTallies:
        since, _, jobs = value.partition(":") if isinstance(value, str) else ("", "", "")
        parts = jobs.split(",", limits.TALLY_JOBS_MAX)
        if _SINCE.fullmatch(since) is None or len(parts) > limits.TALLY_JOBS_MAX:
            raise ValueError("the counts of a minute's jobs expected")
        return JobTallies(since=EpochMs(int(since)), jobs=tuple(map(cls._job, parts)))

    @staticmethod
    def _job(text: str) -> JobTally:
        job, _, counts = text.rpartition("=")
        found = _COUNTS.fullmatch(counts)
        if found is None:
            raise ValueError("the counts of a job expected")
        succeeded, failed, retried, canceled = map(int, found.groups())
        return JobTally(
            job=_label(job), succeeded=succeeded, failed=failed, retried=retried, canceled=canceled
        )


def _label(value: object) -> str:
    if not isinstance(value, str) or LABELS.fullmatch(value) is None:
        raise ValueError("the name of a job or function expected")
    return value


JOB_TALLIES: Final = FieldCodec("tallies of jobs", _JobTallies.encode, _JobTallies.decode)
LABEL: Final = FieldCodec("the name of a job or function", _label, _label)
