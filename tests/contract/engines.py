"""The engines of the contract, each a store on an empty table, with hooks for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.credentials import Credentials
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from tests.emulator import server
from tests.kit.clocks import CountedEntropy, ManualClock
from workpool_aws.adapters.aws.lean import LeanDynamoDB, Transport, transport_of
from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.adapters.dynamodb.table import create_table, enable_ttl
from workpool_aws.adapters.items.expressions import item_from_wire, item_to_wire
from workpool_aws.adapters.items.forms import Value
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.local.engines.moto_speed import spared
from workpool_aws.model.ids import EpochMs
from workpool_aws.ports import Store

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SERVER_NOW = EpochMs(1_800_000_000_456)
TABLE = "contract"
MOTO_REGION = "eu-west-1"
ENGINES = ("memory", "moto", "ministack", "endpoint")
PLACEHOLDER = {"aws_access_key_id": server.ACCESS_KEY, "aws_secret_access_key": server.SECRET_KEY}


class Billing:
    """Has every write of a client answer with what it cost, and adds that up."""

    def __init__(self, client: DynamoDBClient) -> None:
        self.units = 0.0
        for operation in ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"):
            client.meta.events.register(f"provide-client-params.dynamodb.{operation}", self._ask)
            client.meta.events.register(f"after-call.dynamodb.{operation}", self._add)

    def _ask(self, params: dict[str, Any], **_: object) -> dict[str, Any]:
        return {"ReturnConsumedCapacity": "TOTAL", **params}

    def _add(self, parsed: Mapping[str, Any], **_: object) -> None:
        self.add(parsed)

    def add(self, parsed: Mapping[str, Any]) -> None:
        """Add what an answer says that it cost."""
        consumed = parsed.get("ConsumedCapacity", [])
        self.units += sum(
            table["CapacityUnits"]
            for table in (consumed if isinstance(consumed, list) else [consumed])
        )


@dataclass(frozen=True, slots=True)
class Table:
    """An empty table that boto3 reaches, for requests that the store never makes."""

    client: DynamoDBClient
    name: str
    billing: Billing

    def items(self) -> list[dict[str, Any]]:
        """All items, as DynamoDB types them."""
        pages = self.client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def empty(self) -> None:
        """Delete every item."""
        for item in self.items():
            self.client.delete_item(
                TableName=self.name, Key={name: item[name] for name in ("pk", "sk")}
            )


@dataclass(frozen=True, slots=True)
class Engine:
    """A store, and the ways round it that tests need."""

    name: str
    store: Store
    inject: Callable[[str, str, Mapping[str, Value]], None]
    """Plant any item, however damaged."""
    dump: Callable[[], dict[tuple[str, str], dict[str, object]]]
    """All items, as plain values, by key."""
    write_units: Callable[[], float]
    """Write capacity of everything that succeeded so far, as the engine itself bills it."""
    table: Table | None
    """`None` means that boto3 does not reach it."""


@contextmanager
def memory_engine() -> Iterator[Engine]:
    """A new table in memory."""
    store = MemoryStore(lambda: SERVER_NOW)

    def billed() -> float:
        return store.meter.snapshot().write_units

    yield Engine("memory", store, store.inject, lambda: dumped(store), billed, None)


def dumped(store: MemoryStore) -> dict[tuple[str, str], dict[str, object]]:
    """All items of a store in memory, by key."""
    return {(str(item["pk"]), str(item["sk"])): dict(item) for item in store.scan()}


@lru_cache
def moto_table() -> Table:
    """One client for all tests, because making one is slow; it speaks to moto only inside `mock_aws`."""
    client = boto3.client("dynamodb", region_name=MOTO_REGION, **PLACEHOLDER)
    return Table(client, TABLE, Billing(client))


@contextmanager
def moto_engine() -> Iterator[Engine]:
    """A new table in moto, through boto3, as a LocalCloud on moto has it."""
    table, empty = moto_table(), moto_empty_table()
    with mocked() as tables:
        tables[TABLE] = deepcopy(empty)
        yield engine_on("moto", table)


@contextmanager
def mocked() -> Iterator[dict[str, Any]]:
    """Moto without a table, and its tables of the region by name."""
    # boto3 alone speaks to it: the seven times two hundred hooks for `requests` are left out.
    with patch("moto.core.models.RESPONSES_METHODS", []), mock_aws(), spared():
        yield dynamodb_backends[DEFAULT_ACCOUNT_ID][MOTO_REGION].tables


@lru_cache
def moto_empty_table() -> Any:
    """The table as moto keeps it once it is made, which takes as long as a test of it."""
    client = moto_table().client
    with mocked() as tables:
        create_table(client, TABLE)
        enable_ttl(client, TABLE)
        return tables[TABLE]


@contextmanager
def table_on(client: DynamoDBClient) -> Iterator[Table]:
    """A table of a random name on a server, for as long as the block lasts.

    Without TTL: the tests store times that are long past, and a server's sweep would take those
    items away between two of their requests.
    """
    table = Table(client, f"workpool-contract-{uuid4().hex[:12]}", Billing(client))
    create_table(client, table.name)
    try:
        yield table
    finally:
        client.delete_table(TableName=table.name)


def engine_on(name: str, table: Table) -> Engine:
    """The store on a table, which is empty or emptied by the tests that share it."""

    def inject(pk: str, sk: str, item: Mapping[str, Value]) -> None:
        table.client.put_item(TableName=table.name, Item=item_to_wire({**item, "pk": pk, "sk": sk}))

    def dump() -> dict[tuple[str, str], dict[str, object]]:
        items = [item_from_wire(item) for item in table.items()]
        return {(str(item["pk"]), str(item["sk"])): item for item in items}

    store = DynamoStore(
        lambda: table.client,
        table.name,
        clock=ManualClock(SERVER_NOW),
        entropy=CountedEntropy(f"token-{uuid4().hex[:8]}"),
    )
    return Engine(name, store, inject, dump, lambda: table.billing.units, table)


class BilledLeanDynamoDB(LeanDynamoDB):
    """Lean calls whose writes are billed with those of the ordinary client."""

    def __init__(self, client: DynamoDBClient, transport: Transport, billing: Billing) -> None:
        super().__init__(client, transport)
        self._billing = billing

    def _call(self, operation: str, request: Mapping[str, object]) -> dict[str, Any] | None:
        if not operation.endswith(("Item", "WriteItems")) or operation.endswith("GetItem"):
            return super()._call(operation, request)
        answer = super()._call(operation, {"ReturnConsumedCapacity": "TOTAL", **request})
        if answer is not None:
            self._billing.add(answer)
        return answer


def lean_store_on(table: Table) -> Store:
    """The store on a table, by lean calls."""
    credentials = Credentials(*PLACEHOLDER.values())
    transport = transport_of(table.client, credentials, ManualClock(SERVER_NOW))
    assert transport is not None
    lean = BilledLeanDynamoDB(table.client, transport, table.billing)
    return DynamoStore(
        lambda: cast("DynamoDBClient", lean),
        table.name,
        clock=ManualClock(SERVER_NOW),
        entropy=CountedEntropy(f"token-{uuid4().hex[:8]}"),
    )


def client_of_ministack(url: str) -> DynamoDBClient:
    """A client of an emulated AWS."""
    return boto3.client("dynamodb", endpoint_url=url, region_name=server.REGION, **PLACEHOLDER)


def client_of_endpoint(url: str) -> DynamoDBClient:
    """A client of a given DynamoDB, with boto3's region and credentials, or else placeholders."""
    session = boto3.Session()
    if session.get_credentials() is None:
        session = boto3.Session(region_name=session.region_name, **PLACEHOLDER)
    region = session.region_name or server.REGION
    return session.client(
        "dynamodb",
        endpoint_url=url,
        region_name=region,
        config=Config(retries={"mode": "standard"}),
    )
