"""Pages of the dashboard that read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from workpool_aws.dashboard.bulk import FORGOTTEN, progress_of
from workpool_aws.dashboard.filters import FILTERS, SORTS, STATES, filter_of, sorted_rows
from workpool_aws.errors import NotFound
from workpool_aws.insights.answers import ReadCost

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from workpool_aws.dashboard.bulk import BulkActs
    from workpool_aws.dashboard.render import Pages
    from workpool_aws.insights.insights import Insights

__all__ = ["ReadPages"]

_WINDOW: Final = "30 min"
_WINDOWS: Final = {
    _WINDOW: timedelta(minutes=30),
    "3 h": timedelta(hours=3),
    "24 h": timedelta(hours=24),
}
"""Spans of time of a job's page, by their names in an address."""
_PAYLOADS: Final = ("args", "context", "result")


class ReadPages:
    """Endpoints of the pages. Each reads in a thread of its own."""

    def __init__(self, insights: Insights, pages: Pages, bulk: BulkActs) -> None:
        self._insights = insights
        self._pages = pages
        self._bulk = bulk

    async def overview(self, request: Request) -> Response:
        """Every pool of the table."""
        answer = await run_in_threadpool(self._insights.pools)
        return self._pages.page(
            request, "overview.html", now=self._insights.now, cost=answer.cost, pools=answer.value
        )

    async def pool(self, request: Request) -> Response:
        """One pool: figures, limits, and the work items that run."""
        name = request.path_params["pool"]
        answer = await run_in_threadpool(self._insights.pool, name)
        if answer.value is None:
            raise HTTPException(404, f"Table {self._insights.table} has no pool {name}.")
        return self._pages.page(
            request, "pool.html", now=self._insights.now, cost=answer.cost, pool=answer.value
        )

    async def job(self, request: Request) -> Response:
        """One job of a pool: its figures, and its attempts by minute."""
        name, job = request.path_params["pool"], request.path_params["job"]
        given = request.query_params.get("window")
        window = given if given in _WINDOWS else _WINDOW
        answer = await run_in_threadpool(self._insights.job, name, job, _WINDOWS[window])
        return self._pages.page(
            request,
            "job.html",
            now=self._insights.now,
            cost=answer.cost,
            name=name,
            job=job,
            stats=answer.value,
            window=window,
            windows=tuple(_WINDOWS),
        )

    async def works(self, request: Request) -> Response:
        """Work items of a pool, by filter and page."""
        name = request.path_params["pool"]
        wanted = filter_of(request.query_params, self._insights.now)
        after = request.query_params.get("after") or None
        answer = await run_in_threadpool(self._insights.works, name, wanted, after)
        jobs = await run_in_threadpool(self._insights.jobs)
        query = {key: value for key, value in request.query_params.items() if key != "after"}
        following = urlencode({**query, "after": answer.value.next or ""})
        return self._pages.page(
            request,
            "works.html",
            now=self._insights.now,
            cost=answer.cost,
            name=name,
            wanted=wanted,
            given={key: value for key, value in query.items() if key in FILTERS and value},
            jobs=jobs.value,
            states=STATES,
            rows=sorted_rows(answer.value.rows, query.get("sort")),
            sort=query.get("sort"),
            sorts={each: urlencode({**request.query_params, "sort": each}) for each in SORTS},
            following=following if answer.value.next else None,
            first=after is None,
        )

    async def work(self, request: Request) -> Response:
        """One work item, without its payloads."""
        name, work_id = request.path_params["pool"], request.path_params["work_id"]
        answer = await run_in_threadpool(self._insights.work, name, work_id)
        return self._pages.page(
            request,
            "work.html",
            now=self._insights.now,
            cost=answer.cost,
            name=name,
            work=answer.value.details,
            why=answer.value.why,
        )

    async def payload(self, request: Request) -> Response:
        """One payload of a work item as exact text, which a person has asked for."""
        name, work_id = request.path_params["pool"], request.path_params["work_id"]
        part = request.path_params["part"]
        if part not in _PAYLOADS:
            raise HTTPException(404, "A work item has args, context and result.")
        answer = await run_in_threadpool(self._insights.work, name, work_id, **{part: True})
        payload = getattr(answer.value.details, part)
        return self._pages.page(
            request, "payload.html", now=self._insights.now, cost=answer.cost, payload=payload
        )

    async def again(self, request: Request) -> Response:
        """A form with the arguments of a work item, to enqueue it again with others."""
        name, work_id = request.path_params["pool"], request.path_params["work_id"]
        answer = await run_in_threadpool(self._insights.work, name, work_id, args=True)
        return self._pages.page(
            request,
            "again.html",
            now=self._insights.now,
            name=name,
            work=answer.value.details,
        )

    async def errors(self, request: Request) -> Response:
        """The dead letters of a pool, by their errors."""
        name, state = request.path_params["pool"], request.query_params.get("state")
        answer = await run_in_threadpool(self._insights.errors, name)
        return self._pages.page(
            request,
            "errors.html",
            now=self._insights.now,
            cost=answer.cost,
            name=name,
            errors=answer.value,
            shown=state if state in ("resolved", "ignored") else "open",
        )

    async def schedules(self, request: Request) -> Response:
        """The schedules of a pool."""
        name = request.path_params["pool"]
        answer = await run_in_threadpool(self._insights.schedules, name)
        return self._pages.page(
            request,
            "schedules.html",
            now=self._insights.now,
            cost=answer.cost,
            name=name,
            schedules=answer.value,
        )

    async def groups(self, request: Request) -> Response:
        """Groups of a pool, by page."""
        name = request.path_params["pool"]
        after = request.query_params.get("after") or None
        answer = await run_in_threadpool(self._insights.groups, name, after)
        return self._pages.page(
            request,
            "groups.html",
            now=self._insights.now,
            cost=answer.cost,
            name=name,
            groups=answer.value.items,
            following=answer.value.next,
            first=after is None,
        )

    async def group(self, request: Request) -> Response:
        """One group: its progress, and its callback."""
        name, group_id = request.path_params["pool"], request.path_params["group"]
        answer = await run_in_threadpool(self._insights.group, name, group_id)
        if answer.value.state == "unknown":
            raise NotFound.of_group(group_id, name)
        return self._pages.page(
            request,
            "group.html",
            now=self._insights.now,
            cost=answer.cost,
            name=name,
            group=answer.value,
        )

    async def jobs(self, request: Request) -> Response:
        """The jobs of the deployment."""
        answer = await run_in_threadpool(self._insights.jobs)
        pools = await run_in_threadpool(self._insights.pools)
        return self._pages.page(
            request,
            "jobs.html",
            now=self._insights.now,
            cost=answer.cost,
            jobs=answer.value,
            pools=pools.value,
        )

    async def health(self, request: Request) -> Response:
        """The findings of `doctor`."""
        answer = await run_in_threadpool(self._insights.doctor)
        unfit = any(each.code in ("table_missing", "keys_wrong") for each in answer.value)
        seen = None if unfit else await run_in_threadpool(self._insights.last_seen)
        spent = [answer.cost] if seen is None else [answer.cost, seen.cost]
        return self._pages.page(
            request,
            "health.html",
            now=self._insights.now,
            findings=answer.value,
            seen=None if seen is None else seen.value,
            reading=ReadCost(
                sum(each.read_units for each in spent), sum(each.requests for each in spent)
            ),
        )

    async def bulk_acts(self, request: Request) -> Response:
        """The bulk acts of this dashboard."""
        return self._pages.page(request, "acts.html", now=self._insights.now, acts=self._bulk.all())

    async def bulk_act(self, request: Request) -> Response:
        """One bulk act: its question, and then its progress."""
        act = self._bulk.find(request.path_params["act"])
        if act is None:
            raise HTTPException(404, FORGOTTEN)
        stream = f"/bulk/{act.id}/events" if act.state == "running" else None
        return self._pages.page(
            request, "bulk.html", now=self._insights.now, act=act, stream=stream
        )

    async def bulk_events(self, request: Request) -> Response:
        """A stream with an event at each step of a bulk act."""
        events = progress_of(self._bulk, request.path_params["act"])
        return StreamingResponse(events, media_type="text/event-stream")
