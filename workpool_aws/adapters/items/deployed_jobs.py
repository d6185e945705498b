"""Writes a deployed job as text."""

from __future__ import annotations

import re
from typing import Final

from workpool_aws.model.loop import DeployedJob
from workpool_aws.model.names import FUNCTION_ARN, JOB

__all__ = ["decode", "encode"]

_PATTERN: Final = re.compile(rf"({JOB.pattern})=({FUNCTION_ARN.pattern})", re.ASCII)


def encode(job: DeployedJob) -> str:
    """Return `name=ARN`. Raises ValueError for a name or ARN that could not be read back."""
    text = f"{job.name}={job.target}"
    decode(text)
    return text


def decode(value: object) -> DeployedJob:
    """Return the job. Raises ValueError."""
    found = _PATTERN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a job and the ARN of its function expected")
    return DeployedJob(found[1], found[2])
