"""`Workshop`: decorated functions deployed on a cloud, and the acts of a developer on them."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from datetime import timedelta
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.api.function import JobFunction
from workpool_aws.api.job import job_at
from workpool_aws.api.transaction import Transaction
from workpool_aws.api.work import Work
from workpool_aws.api.worker import Worker
from workpool_aws.errors import UsageError
from workpool_aws.text import answer_or, as_line, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from workpool_aws.local import LocalCloud
    from workpool_aws.model.ids import WorkId

__all__ = ["JobField", "Workshop", "handlers_of"]

_MINUTES_MAX: Final = 366 * 24 * 60
_TIMES_MAX: Final = 100
_SHOWN_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class JobField:
    """One argument of a job, as a form asks for it."""

    name: str
    annotation: str
    required: bool
    default: str
    """The default as Python shows it; "" for a required argument."""

    def value_of(self, text: str) -> object:
        """Returns the argument that a text of the form means: JSON, or else the text itself."""
        if self.annotation == "str":
            return text
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text


def handlers_of(names: Iterable[str]) -> list[Callable[..., object]]:
    """Returns the handlers that each `module:name` stands for, in order.

    Raises UsageError for one that cannot be imported, or is none.
    """
    found: list[Callable[..., object]] = []
    for name in names:
        try:
            handler: object = resolve_name(name)
        except Exception as error:
            raise UsageError(
                "HANDLER",
                name,
                f"module:handler of a module here ({type(error).__name__}: {error})",
            ) from error
        if ":" not in name or not callable(handler):
            raise UsageError("HANDLER", name, "module:handler, the name of a function in a module")
        found.append(handler)
    return found


class Workshop:
    """Handlers deployed on a cloud of the real clock, and acts on their jobs by name.

    Raises:
        UsageError: The jobs belong to pools of several tables.
    """

    def __init__(self, cloud: LocalCloud, handlers: Iterable[Callable[..., object]]) -> None:
        self._cloud = cloud
        self._jobs: dict[str, Worker[Any, Any, Any]] = {}
        for handler in handlers:
            cloud.function(handler)
            members = handler.handlers.values() if isinstance(handler, JobFunction) else [handler]
            workers = (job_at(member) for member in members)
            self._jobs |= {each.job.name: each for each in workers if isinstance(each, Worker)}
        tables = sorted({each.table for each in self._jobs.values()})
        if len(tables) > 1:
            raise UsageError("HANDLER", ", ".join(tables), "of pools of one table")
        self.table = tables[0] if tables else cloud.table
        """The table of the jobs' pools."""

    @property
    def now(self) -> datetime:
        """The present moment, by the clock of the cloud."""
        return self._cloud.now

    def pool_of(self, job: str) -> str:
        """Returns the pool of a job. Raises UsageError for an unknown one."""
        return self._job(job).pool

    def jobs(self) -> Mapping[str, Sequence[JobField]]:
        """Returns the arguments of each job, by its name."""
        return {name: _fields_of(worker) for name, worker in sorted(self._jobs.items())}

    def enqueue(self, job: str, texts: Mapping[str, str]) -> WorkId:
        """Enqueues a work item of a job, with arguments from a form.

        A text is taken as JSON if it is some, unless the argument is annotated `str`. An empty one
        of an optional argument is left out.

        Raises UsageError for arguments that do not fit, and for an unknown job.
        """
        worker = self._job(job)
        given = {
            field.name: field.value_of(texts.get(field.name, ""))
            for field in _fields_of(worker)
            if field.required or texts.get(field.name, "") != ""
        }
        return worker.enqueue(None, **given)

    def fail_next(self, job: str, times: int) -> None:
        """Lets the next runs of a job raise an error in place of running."""
        if not 1 <= times <= _TIMES_MAX:
            raise UsageError("times", times, f"a number from 1 to {_TIMES_MAX}")
        self._cloud.fail_next(self._job(job), RuntimeError("failed on request"), times)

    def misbehave(self, *, duplicated: float, lost: float) -> None:
        """Lets a share of the deliveries come twice, or never, from now on."""
        self._cloud.deliver_badly(duplicate_deliveries=duplicated, lost_deliveries=lost)

    def kill_loops(self) -> int:
        """Lets the running loops die at their next call, and returns their number."""
        return self._cloud.crash(self._cloud.loop_arn)

    def skip(self, minutes: int) -> None:
        """Puts the clock forward."""
        if not 1 <= minutes <= _MINUTES_MAX:
            raise UsageError("minutes", minutes, f"a number from 1 to {_MINUTES_MAX}")
        self._cloud.skip(timedelta(minutes=minutes))

    def _job(self, name: str) -> Worker[Any, Any, Any]:
        if name not in self._jobs:
            raise UsageError("job", name, f"one of {', '.join(sorted(self._jobs))}")
        return self._jobs[name]


def _fields_of(worker: Worker[Any, Any, Any]) -> list[JobField]:
    """Returns the arguments that a form asks for. Those of `**kwargs` are left out."""
    signature = answer_or(
        inspect.signature(worker.function),
        lambda: inspect.signature(worker.function, eval_str=True),
    )
    return [
        JobField(
            name=each.name,
            annotation=""
            if each.annotation is each.empty
            else as_line(inspect.formatannotation(each.annotation), limit=_SHOWN_MAX),
            required=each.default is each.empty,
            default="" if each.default is each.empty else shown(each.default, limit=_SHOWN_MAX),
        )
        for each in signature.parameters.values()
        if each.annotation not in (Work, Transaction) and each.kind is not each.VAR_KEYWORD
    ]
