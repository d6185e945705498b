"""Translates DynamoDB's answers and boto3's errors. No other module does.

A refused condition is an answer. A malformed request is a programming error (ValueError). A
conflict or a throttled transaction is worth another try, because no SDK makes one. Every other
error is `StoreUnavailable`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, ParamValidationError

from workpool_aws.adapters.aws.sdk_errors import advice_for, described
from workpool_aws.adapters.items.attributes import DEAD_INDEX, PARTITION_KEY, SORT_KEY
from workpool_aws.adapters.items.codec import decode
from workpool_aws.adapters.items.expressions import item_from_wire
from workpool_aws.errors import StoreUnavailable, UsageError
from workpool_aws.model.actions import GuestItem
from workpool_aws.model.ids import EpochMs
from workpool_aws.ports import ConditionFailed, StoreDenied, TransactionFailed
from workpool_aws.text import Words, as_line

if TYPE_CHECKING:
    from workpool_aws.model.record import Record
    from workpool_aws.model.refs import Unreadable

__all__ = ["TryAgain", "server_time", "translated", "was_repeated"]

_CONDITION: Final = "ConditionalCheckFailed"
_IN_THE_WAY: Final = frozenset(
    {"None", "TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"}
)
"""Reasons of a canceled transaction that another try may not meet. Any other one refuses it."""
_MISSING_TABLE: Final = frozenset({"ResourceNotFoundException", "TableNotFoundException"})
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_EXPIRED: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_MISSING_INDEX: Final = "does not have the specified index"
_FILLING_INDEX: Final = "backfilling global secondary index"
_FOREIGN: Final = re.compile(
    "does not match the schema|[Mm]issing the key|Type mismatch for key|missed key schema element|key condition not supported"
)
"""The words in which DynamoDB says that a table has other keys than the request."""
_MESSAGE_MAX: Final = 500
_MALFORMED: Final = frozenset({"ValidationException", "ItemCollectionSizeLimitExceededException"})


_read_date: Final = lru_cache(maxsize=4)(parsedate_to_datetime)
"""The answers of a second have one date."""
_NO_GUESTS: Final[Mapping[int, str]] = {}


class TryAgain(Enum):
    """Worth another try."""

    CONFLICT = "conflict"
    """Nothing was written, because another write was in the way."""
    IN_PROGRESS = "in progress"
    """An earlier try of the same transaction is not over."""


_TRY_AGAIN: Final[Mapping[str, TryAgain]] = {
    "TransactionConflictException": TryAgain.CONFLICT,
    "TransactionInProgressException": TryAgain.IN_PROGRESS,
}


def server_time(answer: Mapping[str, object]) -> EpochMs | None:
    """Return the server's clock when it answered, in whole seconds, rounded down.

    Returns `None` when the answer has no legible `Date`.
    """
    metadata = answer.get("ResponseMetadata")
    headers = metadata.get("HTTPHeaders") if isinstance(metadata, Mapping) else None
    text = headers.get("date") if isinstance(headers, Mapping) else None
    if not isinstance(text, str):
        return None
    try:
        date = _read_date(text)
    except (ValueError, OverflowError):
        return None
    # A date without a zone would be read in this machine's; HTTP dates are always UTC.
    return None if date.tzinfo is None else EpochMs(int(date.astimezone(UTC).timestamp()) * 1_000)


def was_repeated(error: Exception) -> bool:
    """True if the request was sent before, without an answer that ended it."""
    response: Mapping[str, Any] = error.response if isinstance(error, ClientError) else {}
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts", 0))


def translated(
    error: Exception, table: str, *, guests: Mapping[int, str] = _NO_GUESTS
) -> Exception | TryAgain:
    """Return the flow's error for one of boto3: the error to raise in its place, or `TryAgain`.

    `guests`: tables of those actions that are on items of other tables, by place.
    """
    if isinstance(error, ParamValidationError):
        return UsageError(
            "request", Words(f"{described(error)} for table {table!r}"), "one that DynamoDB takes"
        )
    if not isinstance(error, ClientError):
        return StoreUnavailable(
            f"table {table!r}: no answer from DynamoDB: {advice_for(error)} ({described(error)})"
        )
    response: Mapping[str, Any] = {**error.response}
    detail = response.get("Error", {})
    code, message = str(detail.get("Code", "unknown")), str(detail.get("Message", ""))
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(_standing(response))
    if code == "TransactionCanceledException":
        reasons = response.get("CancellationReasons") or []
        return _cancelled(reasons, table, message, guests, repeated=was_repeated(error))
    if code in _TRY_AGAIN:
        return _TRY_AGAIN[code]
    if _MISSING_INDEX in message:
        return StoreUnavailable(
            f"table {table!r} has no index {DEAD_INDEX!r}: it was created before there were dead letters to list"
        )
    if _FILLING_INDEX in message:
        return StoreUnavailable(
            f"table {table!r}: its index {DEAD_INDEX!r} is still being filled; try again in some minutes"
        )
    if code in _MALFORMED:
        return _refused(table, message, guests)
    if guests and code in _MISSING_TABLE:
        return _guest_missing(code, table, guests, error.operation_name)
    return _failure(code, as_line(message, limit=_MESSAGE_MAX), table, error.operation_name)


def _refused(table: str, message: str, guests: Mapping[int, str]) -> UsageError:
    if not guests and _FOREIGN.search(message):
        return UsageError(
            "table",
            table,
            f"a workpool table, whose keys are {PARTITION_KEY} and {SORT_KEY} (it is no workpool table)",
        )
    return UsageError(
        "request",
        Words(f"one that was refused for {_tables(table, guests)}: {message}"),
        "one that DynamoDB takes",
    )


def _guest_missing(code: str, table: str, guests: Mapping[int, str], operation: str) -> StoreDenied:
    # DynamoDB does not say which one. Transactions may have actions on the pool's own table, too.
    own = {-1: table} if operation == "TransactWriteItems" else {}
    return StoreDenied(
        f"{_tables(table, {**guests, **own})} does not exist in this account and region: "
        f"look at both ({operation}: {code})"
    )


def _tables(table: str, guests: Mapping[int, str]) -> str:
    """Returns the tables that a request is about, those of users if there are any."""
    named = [repr(each) for each in sorted({*guests.values()})] or [repr(table)]
    return f"table {named[0]}" if len(named) == 1 else f"one of the tables {', '.join(named)}"


def _cancelled(
    reasons: list[Mapping[str, Any]],
    table: str,
    message: str,
    guests: Mapping[int, str],
    *,
    repeated: bool,
) -> Exception | TryAgain:
    codes = [str(reason.get("Code", "None")) for reason in reasons]
    failed = tuple(code == _CONDITION for code in codes)
    if any(failed):
        standing: list[Record | Unreadable | None] = [None] * len(reasons)
        met: dict[int, GuestItem] = {}
        for place, reason in enumerate(reasons):
            if failed[place] and place not in guests:
                standing[place] = _standing(reason)
            elif failed[place] and reason.get("Item"):
                met[place] = GuestItem(reason["Item"])
        return TransactionFailed(tuple(standing), failed, guests=met, repeated=repeated)
    refusing = _refusing(reasons)
    if refusing:
        return _refused(table, "; ".join(filter(None, [message, *refusing])), guests)
    return TryAgain.CONFLICT


def _refusing(reasons: list[Mapping[str, Any]]) -> list[str]:
    """Returns the reasons for which another try is refused as well."""
    texts = {
        f"{reason['Code']}: {reason.get('Message') or 'no message'}"
        for reason in reasons
        if str(reason.get("Code", "None")) not in _IN_THE_WAY
    }
    return sorted(texts)


def _standing(response: Mapping[str, Any]) -> Record | Unreadable | None:
    item = response.get("Item")
    return decode(item_from_wire(item)) if item else None


def _failure(code: str, message: str, table: str, operation: str) -> StoreUnavailable:
    failure = StoreDenied if code in _DENIED else StoreUnavailable
    sentence = f"table {table!r}: {operation} failed: try again ({code}: {message})"
    if code in _MISSING_TABLE:
        sentence = f"table {table!r} does not exist in this account and region: look at both ({operation}: {code})"
    elif code in _EXPIRED:
        sentence = f"table {table!r}: the credentials have expired or are unknown: renew them ({operation}: {code})"
    elif code in _DENIED:
        sentence = f"table {table!r}: dynamodb:{operation} is not allowed with these credentials: grant it ({code}: {message})"
    return failure(sentence)
