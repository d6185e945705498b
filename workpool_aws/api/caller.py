"""Reads the Lambda context of a call: who calls, and what short function names mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from workpool_aws import invocation
from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.names import FUNCTION_ARN
from workpool_aws.settings import read_settings
from workpool_aws.text import kind_of

__all__ = ["Caller", "LambdaContext", "checked_id", "read_caller", "read_writer", "refuse_beside"]

_OUTSIDE: Final = "a caller outside Lambda"
_TRACE_ROOT: Final = re.compile(r"Root=([0-9a-f-]+)")


class LambdaContext(Protocol):
    """The part of a handler's context that a pool reads."""

    @property
    def aws_request_id(self) -> str:
        """Stored with each work item, so that a person finds the request behind it."""

    @property
    def invoked_function_arn(self) -> str:
        """Source of the account and region that short function names mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The function that makes a call, from its Lambda context. All `None` outside Lambda."""

    function_arn: str | None = None
    partition: str | None = None
    region: str | None = None
    account: str | None = None
    request_id: str | None = None

    @property
    def name(self) -> str:
        """The caller as people read it, in the record of a change."""
        return self.function_arn or read_settings().function_name or _OUTSIDE

    @property
    def origin(self) -> str | None:
        """The way from a work item back to the request that enqueued it; `None` outside Lambda.

        Of a trace header only the root is kept.
        """
        if self.request_id is None:
            return None
        origin = f"request={self.request_id}"
        root = _TRACE_ROOT.search(read_settings().trace_id or "")
        return (f"{origin} trace={root[1]}" if root else origin)[: limits.ORIGIN_LENGTH_MAX]


def read_caller(ctx: object) -> Caller:
    """Return the caller behind a Lambda context.

    Raises UsageError for anything but a context or `None`.
    """
    if ctx is None:
        return Caller()
    arn = getattr(ctx, "invoked_function_arn", None)
    request_id = getattr(ctx, "aws_request_id", None)
    if not isinstance(arn, str) or not isinstance(request_id, str):
        allowed = "the context that Lambda gave to the handler, or None outside of Lambda"
        raise UsageError("ctx", kind_of(ctx), allowed)
    parts = FUNCTION_ARN.fullmatch(arn)
    if parts is None:
        return Caller(function_arn=arn, request_id=request_id)
    place = {name: parts[name] for name in ("partition", "region", "account")}
    return Caller(function_arn=arn, request_id=request_id, **place)


def read_writer(ctx: object) -> Caller:
    """Return the caller behind a context, of a call that writes.

    Raises UsageError as `read_caller`, and inside a function that was given a transaction.
    """
    refuse_beside(ctx)
    return read_caller(ctx)


def refuse_beside(given: object) -> None:
    """Raise UsageError inside a function that was given a transaction, for anything but that one.

    Such a function may run several times, and only its transaction is applied once.
    """
    own = invocation.anchored.get()
    if own is not None and given is not own:
        allowed = (
            "the transaction that the function was given, in a call that takes one: "
            "anything else would repeat"
        )
        raise UsageError("ctx", kind_of(given), allowed)


def checked_id(field: str, work_id: object) -> str:
    """Return the id of a work item. Raises UsageError for anything but a str."""
    if not isinstance(work_id, str):
        raise UsageError(field, work_id, "a work id: the str that enqueueing returned")
    return work_id
