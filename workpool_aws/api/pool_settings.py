"""`PoolSettings`, the part of `Workpool` for the limit in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.api.caller import read_caller, read_writer
from workpool_aws.api.pool_base import PoolBase
from workpool_aws.api.pool_options import read_parallelism
from workpool_aws.core.views.status import PoolConfig, config_of
from workpool_aws.errors import UsageError
from workpool_aws.flow.pool import configure
from workpool_aws.text import NOTHING

if TYPE_CHECKING:
    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.model.loop import Config

__all__ = ["PoolSettings"]


class PoolSettings(PoolBase):
    """Changes and shows the limit of a pool. A part of `Workpool`."""

    def configure(
        self,
        ctx: LambdaContext | None,
        *,
        max_parallelism: int | None = None,
        paused: bool | None = None,
        reset: bool = False,
    ) -> PoolConfig:
        """Override the limit that programs and the deployment set.

        When this returns, no new start exceeds the limit.

        Running work items are unaffected.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool("email", max_parallelism=10)
            ...     pool.configure(None, max_parallelism=2).max_parallelism
            ...     pool.configure(None, paused=True).paused
            ...     pool.configure(None, reset=True).max_parallelism
            2
            True
            10

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            max_parallelism: 0 to 500. `None` leaves the limit as it is.
            paused: `True` starts nothing, and goes on accepting. `False` resumes. `None` leaves it
                as it is.
            reset: Drops the whole override first.

        Raises:
            UsageError: A value is not allowed, or no change was given. Nothing was changed.
            StoreUnavailable: DynamoDB did not answer. The change may or may not hold; repeating it
                does no harm.
        """
        caller = read_writer(ctx)
        if max_parallelism is not None:
            read_parallelism(max_parallelism)
        if paused is not None and not isinstance(paused, bool):
            raise UsageError("paused", paused, "True, False, or None (as it is)")
        if not isinstance(reset, bool):
            raise UsageError("reset", reset, "True or False")
        if max_parallelism is None and paused is None and not reset:
            raise UsageError("max_parallelism", NOTHING, "given, or else paused or reset")
        changed = configure.override(
            self._ports,
            self.name,
            max_parallelism=max_parallelism,
            paused=paused,
            reset=reset,
            by=caller.name,
        )
        return self._config_of(changed)

    def config(self, ctx: LambdaContext | None) -> PoolConfig:
        """The limit in force and its source.

        In a pool without a stored limit, the base is that of this object.

        Raises:
            UsageError: `ctx` is no context.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return self._config_of(configure.load(self._ports, self.name))

    def _config_of(self, config: Config | None) -> PoolConfig:
        return config_of(config, max_parallelism_default=self._options.max_parallelism)
