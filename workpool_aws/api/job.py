"""`Job`: the name, the kind and the default options of a decorated function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from workpool_aws.api.caller import Caller
from workpool_aws.api.conditions import read_conditions
from workpool_aws.api.spec import encode_args, read_due, read_spec
from workpool_aws.api.unique import spelled_debounce
from workpool_aws.core import limits
from workpool_aws.core.callback.targets import JOBS_MARK
from workpool_aws.errors import UsageError
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.names import JOB
from workpool_aws.model.spec import Kind
from workpool_aws.text import kind_of
from workpool_aws.values import replace

if TYPE_CHECKING:
    from workpool_aws.api.pool_options import PoolOptions

__all__ = [
    "Job",
    "JobTarget",
    "encode_batch",
    "encode_one",
    "job_at",
    "mark_job",
    "name_job",
    "read_job",
]

_JOB_MARK: Final = "__workpool_job__"
_NAME_ALLOWED: Final = (
    f"a str of 1 to {limits.JOB_NAME_LENGTH_MAX} letters, digits, '_', '-' and '.', "
    "beginning with a letter or digit, or None (the function's name)"
)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]+|^[_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The name of a decorated function in its deployment, its kind, and its default options."""

    name: str
    kind: Kind
    options: Mapping[str, object]

    def merged(self, options: Mapping[str, object], kind: Kind) -> dict[str, object]:
        """Returns the options of one enqueue of this kind, over the defaults of the job.

        An option at `None` counts as left out. A time replaces the job's delay. A mutation
        takes no `retry` from a job of another kind.
        """
        given = {name: value for name, value in options.items() if value is not None}
        own = dict(self.options)
        if kind is Kind.MUTATION and self.kind is not Kind.MUTATION:
            own.pop("retry", None)
        if "run_at" in given:
            own.pop("run_after", None)
        return own | given

    def with_options(self, options: Mapping[str, object]) -> Job:
        """Returns the same job with these defaults over its own."""
        return replace(self, options=self.merged(options, self.kind))


class JobTarget(Protocol):
    """A decorated function, as the target of an enqueue."""

    @property
    def job(self) -> Job:
        """The job that the function is."""

    def encode(self, args: object, field: str) -> str:
        """Returns the arguments as JSON. Raises UsageError if they do not fit the function."""


def name_job(function: Callable[..., object], name: object) -> str:
    """Returns the name of a decorated function in its deployment; `None` means the function's own.

    Raises:
        UsageError: No job can have this name.
    """
    if name is None:
        own: object = getattr(function, "__name__", "")
        return _NOT_IN_NAMES.sub("", str(own))[: limits.JOB_NAME_LENGTH_MAX] or "function"
    if not isinstance(name, str) or JOB.fullmatch(name) is None:
        raise UsageError("name", name, _NAME_ALLOWED)
    return name


def read_job(
    function: Callable[..., object],
    *,
    kind: Kind,
    name: object,
    options: Mapping[str, object],
    pool: PoolOptions,
) -> Job:
    """Returns the job that a decorator makes of a function; `None` names it as the function.

    Raises:
        UsageError: A value is not allowed.
    """
    own = name_job(function, name)
    if options.get("run_at") is not None:
        raise UsageError(
            "run_at", options["run_at"], "given with each enqueue, not for all of them"
        )
    if options.get("request_id") is not None:
        allowed = "given with each enqueue, since it names one request"
        raise UsageError("request_id", options["request_id"], allowed)
    plain = spelled_debounce(options)
    read_conditions(plain)
    # The deployment is not known yet.
    read_spec(kind, own, plain, pool=pool, caller=Caller(), find=lambda name, **_: name)
    read_due(plain, now=EpochMs(0))
    return Job(name=own, kind=kind, options=dict(options))


def mark_job(handler: object, target: JobTarget) -> None:
    """Let a handler, and whatever `functools.wraps` it, be known as this job."""
    vars(handler)[_JOB_MARK] = target
    vars(handler)[JOBS_MARK] = (target.job.name,)


def job_at(target: object) -> JobTarget | None:
    """Returns the job of a decorated function. `None` means that the target is none."""
    found: JobTarget | None = inspect.getattr_static(target, _JOB_MARK, None)
    return found


def encode_one(args: object, target: object) -> list[str]:
    """Returns the arguments of one work item of a target as JSON.

    Raises UsageError for anything but a JSON object that is small enough, and fits the job.
    """
    return [_encoder_of(target)(args, "args")]


def encode_batch(args: object, target: object) -> list[str]:
    """Returns the arguments of each work item of a batch as JSON, in order.

    Raises UsageError, which names the index.
    """
    if not isinstance(args, Sequence) or isinstance(args, str | bytes | bytearray):
        raise UsageError("args", kind_of(args), "a list of JSON objects")
    encode = _encoder_of(target)
    return [encode(each, f"args[{index}]") for index, each in enumerate(args)]


def _encoder_of(target: object) -> Callable[[object, str], str]:
    found = job_at(target)
    return encode_args if found is None else found.encode
