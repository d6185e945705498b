"""Checks the functions that enqueues name, and finds those of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from workpool_aws.core.callback.targets import DEPLOYED_AS, is_decorated, job_named
from workpool_aws.errors import UsageError
from workpool_aws.model.names import FUNCTION_ARN, FUNCTION_NAME, JOB
from workpool_aws.text import kind_of

if TYPE_CHECKING:
    from workpool_aws.api.caller import Caller

__all__ = ["FindJob", "located", "read_target"]

_MANAGED: Final = ":$LATEST.PUBLISHED"
"""The qualifier of functions on Lambda Managed Instances."""


class FindJob(Protocol):
    """Finds the functions of jobs, by the deployment."""

    def __call__(self, name: str, *, field: str, decorated: bool) -> str | None:
        """Returns the ARN of the job with a name; `None` means that it is a Lambda function's.

        Raises UsageError for a decorated function that is not deployed, and for a likely slip.
        """


def read_target(target: object, caller: Caller) -> str:
    """Returns the function as it is stored: an ARN, or a name if the account is not known.

    Raises UsageError for anything but the name of a function, or the ARN of a function, a version
    or an alias.
    """
    if isinstance(target, str):
        if FUNCTION_ARN.fullmatch(target):
            return target
        if FUNCTION_NAME.fullmatch(target):
            if caller.partition is None:
                return target
            account = f"arn:{caller.partition}:lambda:{caller.region}:{caller.account}"
            return f"{account}:function:{target}"
        if target.endswith(_MANAGED):
            raise UsageError(
                "target",
                target,
                "a function outside of Lambda Managed Instances, "
                "which do not end code at the function's timeout",
            )
    if is_decorated(target):
        raise UsageError("target", target, DEPLOYED_AS)
    # Arguments in the target's place are as secret as in their own.
    got = kind_of(target) if isinstance(target, Mapping) else target
    raise UsageError(
        "target",
        got,
        "the ARN of a Lambda function, version or alias, "
        "or a function name ('name' or 'name:alias')",
    )


def located(target: object, field: str, find: FindJob) -> tuple[str | None, str | None]:
    """Returns the name of a decorated function or job, and its ARN. Two `None` mean neither."""
    job = job_named(target)
    if job is not None:
        return job, find(job, field=field, decorated=True)
    if isinstance(target, str) and JOB.fullmatch(target):
        named = find(target, field=field, decorated=False)
        return (None if named is None else target), named
    return None, None
