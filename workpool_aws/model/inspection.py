"""Facts about a deployed table and its functions, as AWS's own configuration has them."""

from __future__ import annotations

from workpool_aws.values import dataclass

__all__ = ["FunctionFacts", "RoleFacts", "TableFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """Facts about the table."""

    is_active: bool
    has_keys: bool
    """True for the partition and sort keys that the library uses."""
    has_dead_letters: bool
    """True for an active index of dead letters, with its keys and all attributes."""
    has_ttl: bool
    """True if DynamoDB removes items by the attribute that the library writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFacts:
    """Facts about a function, or about the version or alias that was asked for."""

    is_active: bool
    decorated: bool
    """True if its environment marks it as decorated."""
    unfit: str | None
    """The reason for which its starts cannot be followed. `None` means that none is known."""
    retries: int
    """Lambda's own retries after an error."""
    on_success: str | None
    """Destination of its results; `None` means none."""
    on_failure: str | None
    """Destination of its failures; `None` means none."""
    may_recurse: bool
    """False if Lambda stops a chain of invocations after sixteen."""
    reserved: int | None = None
    """Its reserved concurrency; `None` means none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleFacts:
    """Facts about the role in which EventBridge Scheduler invokes the loop."""

    trusts_scheduler: bool
    """True if EventBridge Scheduler may assume it, apart from conditions, which are not judged."""
    may_invoke: bool
    """True if its own policies allow it to invoke the function that was asked for."""
