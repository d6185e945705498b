"""Decides on the function that a name means: a job of the deployment, or a Lambda function."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from workpool_aws.errors import UsageError
from workpool_aws.model.names import FUNCTION_ARN, FUNCTION_NAME
from workpool_aws.text import Words

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["target_of_job", "target_of_name"]

_NEAR: Final = 0.85
"""Similarity from which a name is taken for a misspelled job. `send_emial` for `send_email` has 0.9,
and `send_email_2` has 0.91, but `send` has 0.57."""


def target_of_job(name: str, known: Mapping[str, str], *, field: str) -> str:
    """Returns the ARN of a decorated function's job.

    Raises:
        UsageError: It is not deployed. The message names the jobs that are.
    """
    if name in known:
        return known[name]
    raise UsageError(field, Words(f"the job {name!r}"), f"a job that is deployed: {_listed(known)}")


def target_of_name(name: str, known: Mapping[str, str], *, field: str) -> str | None:
    """Returns the ARN of the job with this name. `None` means a Lambda function's name.

    Raises:
        UsageError: It is neither, or close to the name of a job and unlike that of its function, so
            that a slip of the pen is likely. The message names the jobs.
    """
    if name in known:
        return known[name]
    # Compared without capitals: a name that differs in them alone is a slip.
    folded = {job.casefold(): job for job in sorted(known)}
    near = [
        folded[found] for found in get_close_matches(name.casefold(), folded, n=1, cutoff=_NEAR)
    ]
    may_be_function = FUNCTION_NAME.fullmatch(name) is not None
    functions = {arn["name"] for each in known.values() if (arn := FUNCTION_ARN.fullmatch(each))}
    if may_be_function and (not near or name in functions):
        return None
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise UsageError(field, name, f"a job{hint}: {_listed(known)}; or the ARN of a Lambda function")


def _listed(known: Mapping[str, str]) -> str:
    return ", ".join(sorted(known)) or "none is, so add its function under its name first"
