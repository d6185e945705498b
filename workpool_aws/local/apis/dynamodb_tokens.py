"""Remembers the tokens of user code's transactions, which moto ignores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from workpool_aws.adapters.items.capacity import TOKEN_MS
from workpool_aws.local.apis.http import Reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.local.apis.http import Request
    from workpool_aws.model.ids import EpochMs

__all__ = ["TransactionTokens", "dynamodb_error"]

_TRANSACT: Final = "TransactWriteItems"
_TOKEN: Final = "ClientRequestToken"
_MISMATCH: Final = "IdempotentParameterMismatchException"


@dataclass(frozen=True, slots=True)
class _Applied:
    """A transaction that was applied."""

    at: EpochMs
    request: str
    reply: Reply


class TransactionTokens:
    """The applied transactions of the last ten minutes, by their tokens.

    A request with the token of one gets its answer and changes nothing. DynamoDB also re-executes a
    canceled request, so only applied ones are remembered.
    """

    def __init__(self, now: Callable[[], EpochMs]) -> None:
        self._now = now
        self._applied: dict[str, _Applied] = {}

    def around(self, request: Request, serve: Callable[[], Reply]) -> Reply:
        """Serve a request to DynamoDB. Nothing else may touch the tables meanwhile."""
        fields = request.json() if request.operation == _TRANSACT else {}
        token = fields.pop(_TOKEN, None)
        if not isinstance(token, str):
            return serve()
        asked = json.dumps(fields, sort_keys=True)
        known = self._applied.get(token)
        if known is not None and self._now() - known.at <= TOKEN_MS:
            if known.request == asked:
                return known.reply
            return dynamodb_error(
                _MISMATCH,
                "The token was used for a transaction with other parameters within ten minutes.",
            )
        reply = serve()
        if reply.status == HTTPStatus.OK:
            self._applied[token] = _Applied(self._now(), asked, reply)
        return reply


def dynamodb_error(code: str, message: str, **details: object) -> Reply:
    """Return an error as DynamoDB answers with one."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "Message": message, **details}
    return json_reply(HTTPStatus.BAD_REQUEST, body, {"Content-Type": "application/x-amz-json-1.0"})
