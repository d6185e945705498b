"""`JobFunction`: the Lambda handler of many jobs and callbacks, which `pool.handler` makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.wire.assignment import assignment_from_wire, run_from_wire
from workpool_aws.adapters.wire.callback import ticket_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.adapters.wire.report import REPORTED
from workpool_aws.api.run import start_of
from workpool_aws.api.worker import refuse_job
from workpool_aws.core.callback.targets import JOBS_MARK, job_named
from workpool_aws.errors import UsageError
from workpool_aws.settings import refuse_other_pools
from workpool_aws.text import NOTHING, Words

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["JobFunction"]

Handler = Callable[[Any, Any], object]

_FIELD: Final = f"event.{WORKPOOL_KEY}.job"


class JobFunction:
    """One Lambda handler of many decorated functions, each run by the name in its event.

    A start of a job that it does not have fails at once, as `not_invocable`. No other job runs.
    """

    __workpool__: bool
    __name__: str

    def __init__(self, handlers: tuple[Handler, ...], *, connect: Callable[[str], Ports]) -> None:
        if not handlers:
            raise UsageError("handlers", NOTHING, "one or more decorated functions")
        self._by_name: dict[str, Handler] = {}
        for index, handler in enumerate(handlers):
            name = job_named(handler)
            if name is None or not callable(handler):
                raise UsageError(f"handlers[{index}]", handler, "a decorated function")
            if self._by_name.setdefault(name, handler) is not handler:
                raise UsageError(
                    f"handlers[{index}]", Words(f"a second {name!r}"), "of another name"
                )
        self._connect = connect
        self.__name__ = "handler"
        vars(self)["__workpool__"] = True
        vars(self)[JOBS_MARK] = tuple(self._by_name)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The decorated functions, by the names of their jobs."""
        return dict(self._by_name)

    def __repr__(self) -> str:
        return f"<handler of {', '.join(self._by_name)}>"

    def __call__(self, event: object, context: object) -> object:
        """Handle one event, as Lambda calls it, by the decorated function of its job.

        Raises:
            UsageError: The event names no job, and the function has several. Or it is the callback
                of a handler that the function does not have. No function ran.
            Exception: As the decorated function's handler.
        """
        own = event.get(WORKPOOL_KEY) if isinstance(event, Mapping) else None
        if (run := run_from_wire(own)) is not None:
            return self._serve_run(run, event, context)
        assignment, ticket = assignment_from_wire(own), ticket_from_wire(own)
        message = assignment or ticket
        name = None if message is None else message.job
        if name is None and len(self._by_name) == 1:
            name = next(iter(self._by_name))
        handler = None if name is None else self._by_name.get(name)
        if handler is not None:
            return handler(event, context)
        if assignment is not None:
            refuse_other_pools(f"event.{WORKPOOL_KEY}.pool", assignment.pool)
            ports = self._connect(assignment.table)
            return refuse_job(ports, assignment, context, known=tuple(self._by_name))
        got = NOTHING if name is None else name
        raise UsageError(_FIELD, got, f"one of {', '.join(sorted(self._by_name))}")

    def _serve_run(
        self, run: Sequence[Mapping[str, object]], event: object, context: object
    ) -> object:
        """Handle a run, whose starts are of one job; without its function, each as an event alone."""
        job = start_of(run[0]).assignment.job
        if job is None and len(self._by_name) == 1:
            job = next(iter(self._by_name))
        handler = None if job is None else self._by_name.get(job)
        if handler is not None:
            return handler(event, context)
        for each in run:
            self(each, context)
        return REPORTED
