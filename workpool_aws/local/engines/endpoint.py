"""Makes tables on a DynamoDB that is given by its URL, and deletes them on leaving.

Lambda and Scheduler stay the cloud's own.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, TypeVar

from workpool_aws.local.engines.direct import SteppingStore
from workpool_aws.local.engines.ports import direct_ports
from workpool_aws.local.kernel.kernel import LocalCloudError
from workpool_aws.local.services.environment import cloud_session
from workpool_aws.local.services.platform import OWN_TABLE, Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from workpool_aws.ports import Entropy, Ports, Store

__all__ = ["EndpointEngine"]

T = TypeVar("T")


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """Raise errors of DynamoDB's client in here as a LocalCloudError that names the endpoint."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        raise LocalCloudError(
            f"engine {url!r} does not answer as DynamoDB does: {error}"
        ) from error


class _OwnTokens:
    """The cloud's chance, with tokens that no other cloud uses.

    A server remembers those of transactions for ten minutes.
    """

    def __init__(self, entropy: Entropy, suffix: str) -> None:
        self._entropy = entropy
        self._suffix = suffix

    def bits(self, count: int) -> int:
        return self._entropy.bits(count)

    def fraction(self) -> float:
        return self._entropy.fraction()

    def token(self) -> str:
        return f"{self._entropy.token()}-{self._suffix}"


class EndpointEngine:
    """See Engine.

    Requests are made one at a time; capacity is not metered, because what stood in the table before
    is not to be seen.

    Tables have a random suffix on the server, so that clouds do not meet there. The cloud's own has
    it in its name; another that user code names has it on the server alone.
    """

    def __init__(self, platform: Platform, url: str) -> None:
        self._platform = platform
        self._url = url
        self._suffix = secrets.token_hex(4)
        self._names: dict[str, str] = {}
        self._clients: list[DynamoDBClient] = []

    def open(self) -> None:
        """See Engine."""
        from workpool_aws.adapters.aws.clients import CLIENT_CONFIGS

        try:
            with _answering(self._url):
                client = cloud_session().client(
                    "dynamodb", endpoint_url=self._url, config=CLIENT_CONFIGS["dynamodb"]
                )
        except ValueError as error:
            raise LocalCloudError(f"engine {self._url!r} is no endpoint: {error}") from error
        client.meta.events.register("after-call.dynamodb", self._stamp)
        self._clients.append(client)

    def close(self) -> None:
        """See Engine."""
        for name in self._names.values():
            with _answering(self._url), self._platform.aws.past():
                self._clients[0].delete_table(TableName=name)

    @property
    def own_table(self) -> str:
        """See Engine. It has the random suffix."""
        return f"{OWN_TABLE}-{self._suffix}"

    def create(self, table: str) -> None:
        """See Engine."""
        from workpool_aws.adapters.dynamodb.table import create_table

        if table not in self._names:
            name = table if table == self.own_table else f"{table}-{self._suffix}"
            with _answering(self._url), self._platform.aws.past():
                create_table(self._clients[0], name)
            self._names[table] = name

    def ports(self, table: str) -> Ports:
        """See Engine."""
        return direct_ports(self._platform, table, self.quiet(table))

    def quiet(self, table: str) -> Store:
        """See Engine."""
        from workpool_aws.adapters.dynamodb.store import DynamoStore

        entropy = _OwnTokens(self._platform.entropy, self._suffix)
        store = DynamoStore(
            lambda: self._clients[0],
            self._names[table],
            clock=self._platform.clock,
            entropy=entropy,
        )

        def past(label: str, apply: Callable[[], T], *, writes: bool) -> T:
            with self._platform.aws.past():
                return apply()

        return SteppingStore(past, store)

    def _stamp(self, parsed: Mapping[str, Any], **_: object) -> None:
        headers = parsed.get("ResponseMetadata", {}).get("HTTPHeaders")
        if isinstance(headers, dict):
            headers["date"] = formatdate(self._platform.kernel.now() // 1000, usegmt=True)
