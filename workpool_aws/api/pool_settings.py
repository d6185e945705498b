"""`PoolSettings`, the part of `Workpool` for the limits in force."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from workpool_aws.api.caller import read_caller, read_writer
from workpool_aws.api.pool_base import PoolBase
from workpool_aws.api.pool_options import read_parallelism, read_rate_limit
from workpool_aws.core.pool.configure import OverrideChange
from workpool_aws.core.views.status import PoolConfig, config_of
from workpool_aws.errors import UsageError
from workpool_aws.flow.pool import configure
from workpool_aws.text import NOTHING

if TYPE_CHECKING:
    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.model.loop import Config
    from workpool_aws.model.rate import RateLimit

__all__ = ["AsIs", "PoolSettings"]


class AsIs(Enum):
    """A value that a change leaves as it is, where `None` has a meaning of its own."""

    AS_IS = "as it is"


class PoolSettings(PoolBase):
    """Changes and shows the limits of a pool. A part of `Workpool`."""

    def configure(
        self,
        ctx: LambdaContext | None,
        *,
        max_parallelism: int | None = None,
        paused: bool | None = None,
        rate_limit: RateLimit | AsIs | None = AsIs.AS_IS,
        reset: bool = False,
    ) -> PoolConfig:
        """Override the limits that programs and the deployment set.

        When this returns, no new start exceeds the limits.

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
            max_parallelism: 0 to 10,000. `None` leaves the limit as it is.
            paused: `True` starts nothing, and goes on accepting. `False` resumes. `None` leaves it
                as it is.
            rate_limit: The rate limit in force from now on. `None` lifts it. Tokens that were spent
                stay spent. Left out, the rate limit stays as it is.
            reset: Drops the whole override first.

        Raises:
            UsageError: A value is not allowed, or no change was given. Nothing was changed.
            StoreUnavailable: DynamoDB did not answer. The change may or may not hold; repeating it
                does no harm.
        """
        caller = read_writer(ctx)
        change = _read_change(
            max_parallelism=max_parallelism, paused=paused, rate_limit=rate_limit, reset=reset
        )
        changed = configure.override(self._ports, self.name, change, by=caller.name)
        return self._config_of(changed)

    def config(self, ctx: LambdaContext | None) -> PoolConfig:
        """Return the limit in force and its source.

        In a pool without a stored limit, the base is that of this object.

        Raises:
            UsageError: `ctx` is no context.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return self._config_of(configure.load(self._ports, self.name))

    def _config_of(self, config: Config | None) -> PoolConfig:
        return config_of(
            config,
            max_parallelism_default=self._options.max_parallelism,
            rate_default=self._options.rate_limit,
        )


def _read_change(
    *, max_parallelism: int | None, paused: object, rate_limit: object, reset: object
) -> OverrideChange:
    """Return the change of an override. Raises UsageError for a value that is not allowed."""
    if max_parallelism is not None:
        read_parallelism(max_parallelism)
    if paused is not None and not isinstance(paused, bool):
        raise UsageError("paused", paused, "True, False, or None (as it is)")
    if not isinstance(reset, bool):
        raise UsageError("reset", reset, "True or False")
    rated = rate_limit is not AsIs.AS_IS
    rate = read_rate_limit(rate_limit) if rated else None
    if max_parallelism is None and paused is None and not rated and not reset:
        raise UsageError("max_parallelism", NOTHING, "given, or else rate_limit, paused or reset")
    return OverrideChange(
        max_parallelism=max_parallelism,
        paused=paused,
        rate_limit=rate,
        unrated=rated and rate is None,
        reset=reset,
    )
