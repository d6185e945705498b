"""Transactions that span a table in memory and tables of user code, which are in moto."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.local.apis.dynamodb_tokens import dynamodb_error
from workpool_aws.local.apis.http import json_reply
from workpool_aws.local.engines.direct import SteppingStore
from workpool_aws.local.engines.own_actions import own_action
from workpool_aws.local.services.platform import OWN_TABLE, Platform
from workpool_aws.model.actions import Action, Guest, GuestVerb
from workpool_aws.ports import TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.adapters.memory.store import MemoryStore
    from workpool_aws.local.apis.http import Reply, Request
    from workpool_aws.ports import Store

__all__ = ["SpanningTransactions", "guest_store"]

T = TypeVar("T")

_TRANSACT: Final = "TransactWriteItems"
_ONLY_PUTS: Final = (
    "A LocalCloud in memory takes no actions of user code on its pools' table, "
    "except those that Workpool.transact_items returns. Use engine='moto' for others."
)


def guest_store(platform: Platform) -> Store:
    """Return the tables of user code. It takes actions on them, and reads them, in one step."""

    def quietly(label: str, apply: Callable[[], T], *, writes: bool) -> T:
        del label, writes
        with platform.aws.quietly():
            return apply()

    store = DynamoStore(
        platform.aws.dynamodb, OWN_TABLE, clock=platform.clock, entropy=platform.entropy
    )
    return SteppingStore(quietly, store)


class SpanningTransactions:
    """Serves transactions of user code's boto3 that have an action on a table in memory."""

    def __init__(self, tables: Mapping[str, MemoryStore]) -> None:
        self._tables = tables

    def around(self, request: Request, serve: Callable[[], Reply]) -> Reply:
        """Serve a request to DynamoDB. Nothing else may touch the tables meanwhile."""
        if request.operation != _TRANSACT:
            return serve()
        fields = request.json()
        items: list[dict[str, dict[str, Any]]] = fields.get("TransactItems", [])
        named = {str(body.get("TableName")) for each in items for body in each.values()}
        ours = named & self._tables.keys()
        if not ours:
            return serve()
        if len(ours) > 1:
            return dynamodb_error("ValidationException", _ONLY_PUTS)
        (table,) = ours
        actions = [_action(each, table) for each in items]
        wanted = [each for each in actions if each is not None]
        if len(wanted) < len(actions):
            return dynamodb_error("ValidationException", _ONLY_PUTS)
        try:
            self._tables[table].transact(wanted, fields.get("ClientRequestToken"))
        except TransactionFailed as met:
            return _canceled(met)
        return json_reply(HTTPStatus.OK, {})


def _action(each: Mapping[str, dict[str, Any]], table: str) -> Action | None:
    """Return one action of a request. `None` means one that a table in memory does not take."""
    ((verb, body),) = each.items()
    if body.get("TableName") != table:
        request = {name: value for name, value in body.items() if name != "TableName"}
        return Guest(table=str(body["TableName"]), verb=GuestVerb(verb), request=request)
    return own_action(verb, body)


def _canceled(met: TransactionFailed) -> Reply:
    reasons = []
    for place, failed in enumerate(met.failed):
        reason: dict[str, object] = {"Code": "ConditionalCheckFailed" if failed else "None"}
        if failed:
            reason["Message"] = "The conditional request failed"
        if place in met.guests:
            reason["Item"] = met.guests[place].attributes
        reasons.append(reason)
    return dynamodb_error(
        "TransactionCanceledException",
        "Transaction cancelled, please refer cancellation reasons for specific reasons",
        CancellationReasons=reasons,
    )
