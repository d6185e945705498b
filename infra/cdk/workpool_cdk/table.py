"""The table: key, index, time to live, backups and protection."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from workpool_aws.adapters.dynamodb.table import (
    DEAD_INDEX,
    DEAD_KEY,
    PARTITION_KEY,
    SORT_KEY,
    TTL_ATTRIBUTE,
)

__all__ = ["PoolTable"]


class PoolTable(Construct):
    """One table for any number of pools, billed on demand.

    It can be restored to any second of the last 35 days.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str | None,
        encryption_key: kms.IKey | None,
        deletion_protection: bool,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        text = dynamodb.AttributeType.STRING
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=name,
            partition_key=dynamodb.Attribute(name=PARTITION_KEY, type=text),
            sort_key=dynamodb.Attribute(name=SORT_KEY, type=text),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute=TTL_ATTRIBUTE,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED
            if encryption_key
            else dynamodb.TableEncryption.DEFAULT,
            encryption_key=encryption_key,
            deletion_protection=deletion_protection,
            removal_policy=removal_policy,
        )
        # Sparse: only work items that failed for good have the sort attribute, so the hot path
        # never writes to it.
        self.table.add_global_secondary_index(
            index_name=DEAD_INDEX,
            partition_key=dynamodb.Attribute(name=PARTITION_KEY, type=text),
            sort_key=dynamodb.Attribute(name=DEAD_KEY, type=text),
            projection_type=dynamodb.ProjectionType.ALL,
        )
