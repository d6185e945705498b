"""The engines that every contract test runs on, and the one table of what they are known to do otherwise than AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from workpool_aws.adapters.dynamodb.expressions import item_from_wire, item_to_wire
from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.adapters.dynamodb.table import create_table, enable_ttl
from workpool_aws.adapters.forms import Value
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.model.ids import EpochMs
from workpool_aws.ports import Store

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SERVER_NOW = EpochMs(1_800_000_000_456)
TABLE = "contract"

# (engine, test) -> what the engine does otherwise. The test must fail there: an engine that was mended is noticed.
KNOWN_DEVIATIONS: Mapping[tuple[str, str], str] = {
    ("moto", "test_a_page_that_reached_its_limit_always_names_a_next_one"): "no LastEvaluatedKey when the limit falls on the last item",
    ("moto", "test_an_item_of_exactly_the_limit_is_stored"): "refuses items above 405,000 bytes; AWS allows 409,600",
    ("moto", "test_a_number_and_a_text_compare_as_false"): "raises TypeError when values of two types are compared",
    ("moto", "test_a_transaction_above_four_megabytes_is_refused"): "accepts transactions of any size",
}


@dataclass(frozen=True)
class Engine:
    """A store, and the ways round it that tests need."""

    name: str
    store: Store
    inject: Callable[[str, str, Mapping[str, Value]], None]
    """Plant any item, however damaged."""
    dump: Callable[[], dict[tuple[str, str], dict[str, object]]]
    """All items, as plain values, by key."""


class StillClock:
    """A clock that stands; sleeping takes no time."""

    def now(self) -> EpochMs:
        return SERVER_NOW

    def sleep(self, ms: int) -> None:
        """Return at once."""


class CountingEntropy:
    """Chance that is the same in every run."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def bits(self, count: int) -> int:
        return next(self._numbers) % (1 << count)

    def fraction(self) -> float:
        return 0.5

    def token(self) -> str:
        return f"token-{next(self._numbers)}"


@contextmanager
def memory_engine() -> Iterator[Engine]:
    """A new table in memory."""
    store = MemoryStore(lambda: SERVER_NOW)
    yield Engine("memory", store, store.inject, lambda: {(str(i["pk"]), str(i["sk"])): dict(i) for i in store.scan()})


@lru_cache
def moto_client() -> DynamoDBClient:
    """One client for all tests, because making one is slow; it speaks to moto only inside `mock_aws`."""
    return boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none")


@contextmanager
def moto_engine() -> Iterator[Engine]:
    """A new table in moto, through boto3."""
    with mock_aws():
        client = moto_client()
        create_table(client, TABLE)
        enable_ttl(client, TABLE)

        def inject(pk: str, sk: str, item: Mapping[str, Value]) -> None:
            client.put_item(TableName=TABLE, Item=item_to_wire({**item, "pk": pk, "sk": sk}))

        def dump() -> dict[tuple[str, str], dict[str, object]]:
            items = [item_from_wire(item) for page in client.get_paginator("scan").paginate(TableName=TABLE) for item in page["Items"]]
            return {(str(item["pk"]), str(item["sk"])): item for item in items}

        yield Engine("moto", DynamoStore(client, TABLE, clock=StillClock(), entropy=CountingEntropy()), inject, dump)


ENGINES = {"memory": memory_engine, "moto": moto_engine}


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    reason = KNOWN_DEVIATIONS.get((request.param, request.node.originalname))
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=f"{request.param}: {reason}", strict=True))
    with ENGINES[request.param]() as made:
        yield made


@pytest.fixture
def store(engine: Engine) -> Store:
    return engine.store


@pytest.fixture
def both_engines() -> Callable[[], Iterator[tuple[Engine, Engine]]]:
    """Makes a new pair of tables, in memory and in moto, as a context manager."""

    @contextmanager
    def made() -> Iterator[tuple[Engine, Engine]]:
        with memory_engine() as memory, moto_engine() as moto:
            yield memory, moto

    return made
