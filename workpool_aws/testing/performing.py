"""`perform`, which runs a decorated function as one attempt of a work item, without a pool."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from workpool_aws.api.parameters import Parameters
from workpool_aws.api.transaction import Transaction
from workpool_aws.api.work import Work, work_of
from workpool_aws.api.worker import Worker
from workpool_aws.compose import ports_for
from workpool_aws.core import limits
from workpool_aws.core.payload import encode_result
from workpool_aws.errors import UsageError
from workpool_aws.local.cloud import LocalCloud
from workpool_aws.local.current import current_cloud
from workpool_aws.local.options import whole
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.messages import Assignment
from workpool_aws.model.spec import Kind
from workpool_aws.testing.contexts import lambda_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["perform"]

R_co = TypeVar("R_co", covariant=True)

_LAST_ATTEMPT: Final = 1_000


class Performed(Protocol[R_co]):
    """A worker, as far as `perform` needs one."""

    @property
    def function(self) -> Callable[..., R_co]:
        """The plain function."""

    def encode(self, args: object, field: str) -> str:
        """Return the arguments as JSON. Raises UsageError if they do not fit the function."""


def perform(worker: Performed[R_co], /, *, attempt: int = 1, **args: object) -> R_co:
    """Run a decorated function as an attempt, and return its value unchanged.

    The arguments go through JSON and pydantic, as on their way to a worker. A parameter annotated
    `Work` receives a handle of 30 s, whose pool is the pool `default` of the surrounding
    `LocalCloud`. Without one, a cloud of its own surrounds the call. In both, calls of boto3 are
    answered as in a `LocalCloud`, and on the virtual clock `Work.sleep` takes no real time. Nothing
    is stored about the attempt, and no retry follows. The transaction of a mutation is committed.

        >>> from workpool_aws import Work, Workpool
        >>> from workpool_aws.testing import perform
        >>> pool = Workpool("my-table")
        >>> @pool.action
        ... def crawl(work: Work, url: str) -> str:
        ...     return f"{url} in attempt {work.attempt}"
        >>> perform(crawl, url="example.com", attempt=2)
        'example.com in attempt 2'

    Args:
        worker: A function that a pool's decorator made a worker.
        attempt: The number of the attempt, from 1.
        args: Its arguments by name, without the handle.

    Raises:
        UsageError: The arguments do not fit the function, as at an enqueue, and it did not run. Or
            its return value would be refused as `invalid_result`.
        Exception: The function's own error, unchanged.
    """
    __tracebackhide__ = True
    if not isinstance(worker, Worker):
        raise UsageError("worker", worker, "a function decorated by a pool, as with @pool.action")
    whole("attempt", attempt, at_least=1, at_most=_LAST_ATTEMPT)
    performed: Performed[R_co] = worker
    cloud = current_cloud()
    if cloud is not None:
        return _performed(cloud, performed, args, attempt)
    with LocalCloud() as own:
        return _performed(own, performed, args, attempt)


def _performed(
    cloud: LocalCloud, worker: Performed[R_co], args: Mapping[str, object], attempt: int
) -> R_co:
    __tracebackhide__ = True
    sent = json.loads(worker.encode(args, "args"))
    handle = _handle_in(cloud, attempt)
    parameters = Parameters(worker.function, handles=(Work, Transaction))
    with cloud.workpool().transaction(None) as tx:
        values = parameters.bind(sent, lambda kind: tx if kind is Transaction else handle)
        returned = worker.function(**values)
    encode_result(returned, limits.PAYLOAD_BYTES_MAX)
    return returned


def _handle_in(cloud: LocalCloud, attempt: int) -> Work:
    """Return the handle of an attempt that begins now."""
    ports, pool = ports_for(cloud.table), cloud.workpool()
    now = ports.clock.now()
    assignment = Assignment(
        table=cloud.table,
        pool=pool.name,
        work_id=WorkId(make_id(now, random_bits=ports.entropy.bits(75))),
        start=attempt,
        attempts_made=attempt - 1,
        kind=Kind.ACTION,
        retry=None,
        claimed=False,
        retention_s=None,
        start_by=EpochMs(now),
    )
    return work_of(assignment, lambda_context(), ports=ports, pool=pool)
