"""Shape of the table as deployments and tests create it: key, index of dead letters, billing and TTL; and its kinds of items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.adapters.items.attributes import (
    DEAD_INDEX,
    DEAD_KEY,
    PARTITION_KEY,
    SORT_KEY,
    TTL_ATTRIBUTE,
)
from workpool_aws.adapters.items.keys import PartitionKind, leading_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = [
    "DEAD_INDEX",
    "DEAD_KEY",
    "PARTITION_KEY",
    "SORT_KEY",
    "TTL_ATTRIBUTE",
    "PartitionKind",
    "create_table",
    "enable_ttl",
    "leading_key",
]


def create_table(client: DynamoDBClient, name: str) -> None:
    """Create the table, billed on demand, and wait until it takes requests.

    Errors of boto3 pass as they are; `ResourceInUseException` means that a table of this name
    exists, and that it was left alone.
    """
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
            {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": PARTITION_KEY, "AttributeType": "S"},
            {"AttributeName": SORT_KEY, "AttributeType": "S"},
            {"AttributeName": DEAD_KEY, "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": DEAD_INDEX,
                "KeySchema": [
                    {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
                    {"AttributeName": DEAD_KEY, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    client.get_waiter("table_exists").wait(TableName=name)


def enable_ttl(client: DynamoDBClient, name: str) -> None:
    """Have DynamoDB remove what is past its TTL; nothing happens when it does so already.

    Errors of boto3 pass as they are.
    """
    described = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if described.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
        return
    client.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
    )
