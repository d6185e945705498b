"""`PoolBase`, which the parts of `Workpool` have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from workpool_aws.flow.reading import load_works

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workpool_aws.api.caller import Caller, LambdaContext
    from workpool_aws.api.pool_options import PoolOptions
    from workpool_aws.api.transaction import Transaction
    from workpool_aws.core.pool.kick import Seen
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.spec import Kind, Spec
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Ports, Store

__all__ = ["PoolBase"]


class PoolBase:
    """The table, the name and the options of a pool, and the steps that its parts share."""

    def __init__(self, options: PoolOptions, connect: Callable[[str], Ports]) -> None:
        self._options = options
        self._connect = connect

    @property
    def table(self) -> str:
        """The DynamoDB table."""
        return self._options.table

    @property
    def name(self) -> str:
        """The pool's name within its table."""
        return self._options.name

    @property
    def _ports(self) -> Ports:
        return self._connect(self.table)

    def _load(self, ids: Sequence[str]) -> Sequence[WorkItem | None]:
        return load_works(self._ports, self.name, ids)

    @abstractmethod
    def _submit(
        self,
        kind: Kind,
        ctx: LambdaContext | Transaction | None,
        target: object,
        args: Sequence[str],
        options: Mapping[str, object],
    ) -> list[WorkId]:
        """Check and store work items with encoded arguments."""

    @abstractmethod
    def _checked_spec(
        self, kind: Kind, caller: Caller, target: object, options: Mapping[str, object]
    ) -> Spec:
        """Check the target and options of an enqueue."""

    @abstractmethod
    def _register_once(self, ports: Ports, caller: Caller) -> None:
        """Register the pool and its base, once a process."""

    @abstractmethod
    def _seen_in(self, store: Store) -> Seen:
        """Return the epoch and the shards of the pool, as far as this object knows."""
