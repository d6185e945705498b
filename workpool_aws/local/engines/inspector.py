"""Configurations of a cloud in memory, as `doctor` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.adapters.aws.schedule_names import schedule_name
from workpool_aws.model.inspection import FunctionFacts, RoleFacts, TableFacts

if TYPE_CHECKING:
    from workpool_aws.local.services.functions import Functions
    from workpool_aws.local.services.schedules import Schedules

__all__ = ["DirectInspector"]


class DirectInspector:
    """Lambda and the table of a cloud, behind `ports.Inspector`. The table is always as it should."""

    def __init__(self, functions: Functions, schedules: Schedules) -> None:
        self._functions = functions
        self._schedules = schedules

    def table(self, name: str) -> TableFacts | None:
        """See Inspector."""
        return TableFacts(is_active=True, has_keys=True, has_dead_letters=True, has_ttl=True)

    def function(self, target: str) -> FunctionFacts | None:
        """See Inspector."""
        resolved = self._functions.resolve(target)
        if resolved is None:
            return None
        function = resolved.function
        return FunctionFacts(
            is_active=True,
            decorated=function.decorated,
            unfit=None,
            retries=function.retries,
            on_success=function.on_success,
            on_failure=function.on_failure,
            may_recurse=True,
            reserved=function.reserved,
        )

    def wake(self, table: str, pool: str, group: str) -> bool:
        """See Inspector."""
        return self._schedules.find(group, schedule_name(table, pool)) is not None

    def role(self, arn: str, target: str) -> RoleFacts | None:
        """See Inspector. No policies apply in a cloud in memory."""
        return RoleFacts(trusts_scheduler=True, may_invoke=True)
