"""`dashboard_app`: the routes of the dashboard, its guards and its error pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from workpool_aws.dashboard.acts import ACTS, Acts
from workpool_aws.dashboard.bulk import BulkActs
from workpool_aws.dashboard.events import refreshes
from workpool_aws.dashboard.guard import LOOPBACK, GuardHeaders
from workpool_aws.dashboard.pages import ReadPages
from workpool_aws.dashboard.render import STATIC, Pages
from workpool_aws.errors import AlreadyEnqueued, NotFound, StoreUnavailable, UsageError
from workpool_aws.insights.insights import Insights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import boto3
    from starlette.requests import Request
    from starlette.responses import Response

    from workpool_aws.ports import Ports

__all__ = ["dashboard_app"]


def dashboard_app(
    table: str,
    *,
    read_only: bool = False,
    hosts: Sequence[str] = LOOPBACK,
    session: boto3.Session | None = None,
    ports: Ports | None = None,
) -> Starlette:
    """Return the dashboard of a table, an ASGI application to serve or to mount.

    It reads and acts with the credentials of its process, and asks no one who they are. Whoever may
    reach it may do what these credentials may. Mount it behind the login of your own application.

    Args:
        table: The DynamoDB table.
        read_only: Refuses every act.
        hosts: The names by which a browser may address it, against sites that point their own name
            at this address. `*` allows any.
        session: As for `Workpool`.
        ports: As for `Workpool`.

    Raises:
        UsageError: `table` is no name of a table.
    """
    insights = Insights(table, session=session, ports=ports)
    pages = Pages(table=table, read_only=read_only)
    bulk = BulkActs()
    reads, acts = ReadPages(insights, pages, bulk), Acts(insights, pages, bulk, read_only=read_only)

    async def failed(request: Request, error: Exception) -> Response:
        return pages.failure(request, error, now=insights.now)

    return Starlette(
        routes=[
            Route("/", reads.overview),
            Route("/pools/{pool}", reads.pool),
            Route("/pools/{pool}/jobs/{job}", reads.job),
            Route("/pools/{pool}/works", reads.works),
            Route("/pools/{pool}/works/{work_id}", reads.work),
            Route("/pools/{pool}/works/{work_id}/again", reads.again),
            Route("/pools/{pool}/works/{work_id}/{part}", reads.payload),
            Route("/pools/{pool}/errors", reads.errors),
            Route("/pools/{pool}/schedules", reads.schedules),
            Route("/pools/{pool}/groups", reads.groups),
            Route("/pools/{pool}/groups/{group}", reads.group),
            Route("/jobs", reads.jobs),
            Route("/health", reads.health),
            Route("/events", refreshes),
            Route("/bulk", reads.bulk_acts),
            Route("/bulk/{act}", reads.bulk_act),
            Route("/bulk/{act}/events", reads.bulk_events),
            *(Route(path, acts.endpoint(act), methods=["POST"]) for path, act in ACTS.items()),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(GuardHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        ],
        exception_handlers=dict.fromkeys(
            (HTTPException, AlreadyEnqueued, NotFound, StoreUnavailable, UsageError), failed
        ),
    )
