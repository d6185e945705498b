"""The ASGI middleware, in real FastAPI and Starlette applications, through httpx."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests.kit.gates import WAIT_S, Gate, fail
from workpool_aws import TaskPool, TasksFailed, UsageError
from workpool_aws.task_pool import TaskPoolMiddleware

events: list[str] = []


@pytest.fixture(autouse=True)
def fresh_events():
    events.clear()


def get(app, *paths, raises=False):
    """The answers of requests made at one time."""

    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=raises)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await asyncio.gather(*[client.get(path) for path in paths])

    return asyncio.run(ask())


def starlette_app(endpoint, **options):
    app = Starlette(routes=[Route("/{name}", endpoint)])
    app.add_middleware(TaskPoolMiddleware, **options)
    return app


def test_fastapi_tasks_of_sync_and_async_endpoints_end_before_answer():
    app = FastAPI()
    app.add_middleware(TaskPoolMiddleware)
    pools = []

    @app.get("/sync")
    def sync(request: Request):
        pools.append(request.state.task_pool)
        request.state.task_pool.add(partial(events.append, "sync"))
        return {"ran": list(events)}

    @app.get("/async")
    async def asynchronous(request: Request):
        async def task():
            await asyncio.sleep(0)
            events.append("async")

        pools.append(request.state.task_pool)
        request.state.task_pool.add(task)
        return {"ran": "later"}

    assert [answer.status_code for answer in get(app, "/sync", "/async")] == [200, 200]
    assert sorted(events) == ["async", "sync"]
    assert pools[0] is not pools[1]
    assert all(pool.is_closed and pool.stats().workers == 0 for pool in pools)


@pytest.mark.peer("TP09")
def test_answer_goes_out_when_its_tasks_are_over():
    gate, sent = Gate(), []

    async def app(scope, receive, send):
        scope["state"]["task_pool"].add(gate)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answer"})

    async def send(message):
        sent.append((message["type"], gate.ended.is_set()))

    async def run():
        answering = asyncio.create_task(TaskPoolMiddleware(app)({"type": "http"}, None, send))
        await asyncio.to_thread(gate.wait_begun)
        assert sent == []
        gate.open.set()
        await answering

    asyncio.run(run())
    assert sent == [("http.response.start", True), ("http.response.body", True)]


def test_stream_goes_out_as_it_comes_but_for_its_end():
    gate, sent = Gate(), []

    async def endpoint(request):
        async def parts():
            yield b"first"
            request.state.task_pool.add(gate)
            gate.wait_begun()
            events.append(f"sent by now: {[message.get('body') for message in sent]}")
            gate.open.set()
            yield b"second"

        return StreamingResponse(parts())

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.Event().wait()

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "headers": [],
        "query_string": b"",
        "root_path": "",
        "asgi": {"spec_version": "2.4"},
    }
    asyncio.run(starlette_app(endpoint)(scope, receive, send))
    assert events == ["sent by now: [None, b'first']"]
    assert [message.get("body") for message in sent] == [None, b"first", b"second", b""]
    assert gate.ended.is_set()


def test_failing_tasks_make_answer_error():
    async def endpoint(request):
        request.state.task_pool.add(partial(fail, ValueError("of a task")))
        return PlainTextResponse("fine")

    app = starlette_app(endpoint)
    assert [answer.status_code for answer in get(app, "/x")] == [500]
    with pytest.raises(TasksFailed):
        get(app, "/x", raises=True)


def test_answer_goes_out_with_on_error():
    async def endpoint(request):
        request.state.task_pool.add(partial(fail, ValueError("of a task")))
        return PlainTextResponse("fine")

    app = starlette_app(
        endpoint, pool=lambda: TaskPool(on_error=lambda failure: events.append(failure.name))
    )
    assert [answer.text for answer in get(app, "/x")] == ["fine"]
    assert events == ["fail"]


@pytest.mark.peer("TP09")
def test_tasks_end_also_when_endpoint_raises(capsys):
    async def endpoint(request):
        request.state.task_pool.add(partial(events.append, "ran"), partial(fail, ValueError()))
        raise LookupError("the endpoint's")

    with pytest.raises(LookupError, match="the endpoint's") as raised:
        get(starlette_app(endpoint), "/x", raises=True)
    assert events == ["ran"]
    assert raised.value.__notes__ == ["background tasks failed as well: fail"]
    assert '"task_failed"' in capsys.readouterr().out


def test_tasks_of_starlettes_background_tasks_are_drained_too():
    async def endpoint(request):
        return PlainTextResponse(
            "fine",
            background=BackgroundTask(request.state.task_pool.add, partial(events.append, "ran")),
        )

    assert [answer.text for answer in get(starlette_app(endpoint), "/x")] == ["fine"]
    assert events == ["ran"]


def test_pool_for_all_requests_bounds_them_together_and_stays_open():
    lock, together = threading.Lock(), threading.Barrier(2)
    running, most = 0, 0
    pool = TaskPool(max_workers=2)

    def task():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(WAIT_S)
        with lock:
            running -= 1

    async def endpoint(request):
        request.state.task_pool.add(task, task)
        return PlainTextResponse("fine")

    app = starlette_app(endpoint, pool=pool)
    assert [answer.status_code for answer in get(app, *["/x"] * 50)] == [200] * 50
    assert (most, pool.stats().completed, pool.is_closed) == (2, 100, False)
    pool.done()


def test_canceled_request_waits_for_its_tasks():
    gate = Gate()

    async def app(scope, receive, send):
        scope["state"]["task_pool"].add(gate)
        await send({"type": "http.response.body", "body": b"answer"})

    async def send(message):
        events.append("sent")

    async def run():
        answering = asyncio.create_task(TaskPoolMiddleware(app)({"type": "http"}, None, send))
        await asyncio.to_thread(gate.wait_begun)
        answering.cancel()
        await asyncio.sleep(0)
        assert not answering.done()
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await answering

    asyncio.run(run())
    assert gate.ended.is_set()
    assert events == []


def test_websocket_drains_at_its_end_and_other_scopes_pass():
    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            scope["state"]["task_pool"].add(partial(events.append, "ran"))
        await send({"type": scope["type"]})

    async def send(message):
        events.append(message["type"])

    for kind in ("websocket", "lifespan"):
        scope = {"type": kind}
        asyncio.run(TaskPoolMiddleware(app)(scope, None, send))
    assert sorted(events) == ["lifespan", "ran", "websocket"]
    assert scope == {"type": "lifespan"}


def test_answer_without_body_keeps_its_start():
    async def app(scope, receive, send):
        await send({"type": "http.response.start"})

    async def send(message):
        events.append(message["type"])

    asyncio.run(TaskPoolMiddleware(app)({"type": "http"}, None, send))
    assert events == ["http.response.start"]


def test_pool_that_is_none_is_refused():
    with pytest.raises(UsageError, match=r"^pool must be a TaskPool or a callable"):
        TaskPoolMiddleware(lambda *_: None, pool="pool")


@pytest.mark.parametrize("made", [None, "pool", 0])
def test_maker_that_makes_no_pool_is_refused_with_what_it_made(made):
    async def app(scope, receive, send):
        events.append("called")

    with pytest.raises(UsageError) as refused:
        asyncio.run(TaskPoolMiddleware(app, pool=lambda: made)({"type": "http"}, None, None))
    assert refused.value.field == "pool"
    assert events == []


@pytest.mark.parametrize("kind", ["http.response.body", "http.response.zerocopysend"])
def test_middleware_waits_before_last_part_of_any_kind(kind):
    gate, sent = Gate(), []

    async def app(scope, receive, send):
        scope["state"]["task_pool"].add(gate)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": kind, "more_body": True})
        sent.append("the first part is out")
        gate.open.set()
        await send({"type": kind})

    async def send(message):
        sent.append((message["type"], gate.ended.is_set()))

    asyncio.run(TaskPoolMiddleware(app)({"type": "http"}, None, send))
    assert [entry for entry in sent if entry != ("http.response.start", False)] == [
        (kind, False),
        "the first part is out",
        (kind, True),
    ]


def test_websocket_whose_client_goes_away_waits_for_its_tasks():
    gate = Gate()

    async def app(scope, receive, send):
        scope["state"]["task_pool"].add(gate)
        await asyncio.Event().wait()

    async def run():
        serving = asyncio.create_task(TaskPoolMiddleware(app)({"type": "websocket"}, None, None))
        await asyncio.to_thread(gate.wait_begun)
        for _ in range(3):  # the second and third strike while it waits
            serving.cancel()
            for _ in range(20):
                await asyncio.sleep(0)
        assert not serving.done()
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(run())
    assert gate.ended.is_set()
