"""The application of `workpool dev`: the dashboard, and a bench beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from workpool_aws.dashboard.guard import LOOPBACK, GuardHeaders, form_of, is_own_request
from workpool_aws.dashboard.render import Pages
from workpool_aws.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from workpool_aws.dev.workshop import Workshop

__all__ = ["BENCH_ACTS", "dev_app"]

_WHOLE: Final = re.compile("[0-9]{1,6}")
_SHARES: Final = ("0", "0.1", "0.5", "1")


def dev_app(workshop: Workshop, dashboard: Starlette) -> Starlette:
    """Returns the dashboard of a workshop's table with a bench at `/bench`.

    It answers to loopback names only.
    """
    bench = _Bench(workshop)
    dashboard.state.bench = True

    async def failed(request: Request, error: Exception) -> Response:
        return bench.pages.failure(request, error, now=workshop.now)

    app = Starlette(
        routes=[
            Route("/bench", bench.show),
            *(
                Route(f"/bench/{verb}", bench.endpoint(act), methods=["POST"])
                for verb, act in BENCH_ACTS.items()
            ),
            Mount("/", dashboard),
        ],
        middleware=[
            Middleware(GuardHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK), www_redirect=False),
        ],
        exception_handlers={HTTPException: failed, UsageError: failed},
    )
    app.state.bench = True
    return app


class _Bench:
    """The page of the bench, and its acts."""

    def __init__(self, workshop: Workshop) -> None:
        self.pages = Pages(table=workshop.table, read_only=False)
        self._workshop = workshop

    async def show(self, request: Request) -> Response:
        """The forms of all jobs, and the acts on time and deliveries."""
        workshop = self._workshop
        return self.pages.page(
            request, "bench.html", now=workshop.now, jobs=workshop.jobs(), shares=_SHARES
        )

    def endpoint(self, act: Callable[[_Act], str]) -> Callable[[Request], object]:
        """Returns the endpoint of an act, which refuses requests of other sites."""

        async def run(request: Request) -> Response:
            if not is_own_request(request):
                raise HTTPException(403, "The request came from another site. Nothing was done.")
            given = {name: texts[0] for name, texts in (await form_of(request)).items()}
            path = await run_in_threadpool(act, _Act(self._workshop, given))
            return RedirectResponse(path, status_code=303)

        return run


def _number(form: Mapping[str, str], name: str) -> int:
    text = form.get(name, "")
    if not _WHOLE.fullmatch(text):
        raise UsageError(name, text, "a number")
    return int(text)


@dataclass(frozen=True, slots=True)
class _Act:
    """An act on the workshop by a form. Each returns the path of the page that shows its effect."""

    workshop: Workshop
    form: Mapping[str, str]

    def enqueue(self) -> str:
        """Enqueue a job with the texts of its fields."""
        texts = {
            name.removeprefix("arg-"): text
            for name, text in self.form.items()
            if name.startswith("arg-")
        }
        job = self.form.get("job", "")
        work_id = self.workshop.enqueue(job, texts)
        return f"/pools/{self.workshop.pool_of(job)}/works/{work_id}"

    def skip(self) -> str:
        """Let time pass."""
        self.workshop.skip(_number(self.form, "minutes"))
        return "/bench?done=skipped"

    def fail(self) -> str:
        """Let the next attempts of a job fail."""
        times = _number(self.form, "times")
        self.workshop.fail_next(self.form.get("job", ""), times)
        return f"/bench?done=failing&count={times}"

    def kill(self) -> str:
        """Let the loops that run die."""
        return f"/bench?done=killed&count={self.workshop.kill_loops()}"

    def misbehave(self) -> str:
        """Let Lambda duplicate or lose a share of the events."""
        duplicated, lost = self.form.get("duplicated", ""), self.form.get("lost", "")
        for name, share in (("duplicated", duplicated), ("lost", lost)):
            if share not in _SHARES:
                raise UsageError(name, share, f"one of {', '.join(_SHARES)}")
        self.workshop.misbehave(duplicated=float(duplicated), lost=float(lost))
        return "/bench?done=misbehaving"


BENCH_ACTS: Final[Mapping[str, Callable[[_Act], str]]] = {
    "enqueue": _Act.enqueue,
    "skip": _Act.skip,
    "fail": _Act.fail,
    "kill": _Act.kill,
    "misbehave": _Act.misbehave,
}
"""The acts of the bench, by their addresses below it."""
