"""Runs the example on this machine: a LocalCloud, the stand-in for the API, and the page on loopback.

A week passes in some seconds. From then on an hour takes some seconds, until it is interrupted.
"""

import argparse
import base64
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import boto3
import standin

from workpool_aws.local import LocalCloud

SRC: Final = Path(__file__).parent / "src"
WEEK_H: Final = 168
_HOUR: Final = timedelta(hours=1)
_STEP: Final = timedelta(minutes=15)
_LATENCY: Final = timedelta(milliseconds=5)
_ANSWER_S_MAX: Final = 60.0

Answer = Mapping[str, Any]


class Site(ThreadingHTTPServer):
    """Serves a handler of a function URL.

    Its threads pass requests on to the thread that owns the cloud, which calls `answer_waiting`.
    """

    daemon_threads = True

    def __init__(self, handle: Callable[[dict[str, Any]], Answer], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Request)
        self._handle = handle
        self.waiting: queue.Queue[tuple[dict[str, Any], queue.Queue[Answer]]] = queue.Queue()

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.server_port}/"

    def answer_waiting(self, within_s: float = 0.0) -> None:
        """Answer all requests that are there, and those that come within a time."""
        until = time.monotonic() + within_s
        while True:
            try:
                event, answers = self.waiting.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return
            answers.put(self._handle(event))


class _Request(BaseHTTPRequestHandler):
    server: Site
    timeout = 5

    def do_GET(self) -> None:
        """Answer as a function URL does."""
        self._pass_on()

    def do_POST(self) -> None:
        """Answer as a function URL does."""
        self._pass_on()

    def _pass_on(self) -> None:
        event = {
            "version": "2.0",
            "rawPath": self.path.partition("?")[0],
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "requestContext": {"http": {"method": self.command}},
        }
        answers: queue.Queue[Answer] = queue.Queue()
        self.server.waiting.put((event, answers))
        answer = answers.get(timeout=_ANSWER_S_MAX)
        body = base64.b64decode(answer["body"])
        self.send_response(HTTPStatus(answer["statusCode"]))
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Run:
    """The example in a LocalCloud, with its page."""

    def __init__(self, cloud: LocalCloud, source: standin.StandIn, port: int = 0) -> None:
        self.cloud = cloud
        self.source = source
        os.environ |= {
            "OPENWEATHER_URL": source.url,
            "OPENWEATHER_KEY": standin.KEY,
            "OPENWEATHER_TIMEOUT_S": "0.5",
            "AIR_REFRESH_S": "5",
        }
        sys.path.insert(0, str(SRC))
        import air  # noqa: PLC0415 - it reads the variables
        import page  # noqa: PLC0415
        import plan  # noqa: PLC0415
        import readings  # noqa: PLC0415

        self.readings = readings
        boto3.resource("dynamodb").create_table(
            TableName="air-readings",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "place", "KeyType": "HASH"},
                {"AttributeName": "hour", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("place", "hour")
            ],
        )
        cloud.function(air.handler, name="fetch-hour")
        air.pool.schedule(None, plan.NAME, air.fetch_hour, {}, **plan.HOURLY)
        self.site = Site(partial(self._handle, page.handler), port)

    def _handle(self, handler: Callable[..., Answer], event: dict[str, Any]) -> Answer:
        event["requestContext"]["timeEpoch"] = int(self.cloud.now.timestamp() * 1000)
        return handler(event, None)

    def pass_hours(self, count: float) -> None:
        """Let time pass, and answer the page's readers meanwhile."""
        until = self.cloud.now + count * _HOUR
        while self.cloud.now < until:
            self.cloud.advance(min(_STEP, until - self.cloud.now))
            self.site.answer_waiting()

    def missing(self, hours: int) -> list[datetime]:
        """Return those of the first hours that were not fetched."""
        first = self.cloud.now.replace(minute=0, second=0, microsecond=0) - (hours - 1) * _HOUR
        found = {each.hour for each in self.readings.week("London", self.cloud.now)}
        return [at for at in (first + n * _HOUR for n in range(hours)) if at not in found]


@contextmanager
def started(port: int = 0) -> Iterator[Run]:
    """Start everything, with the page on a port; 0 takes a free one."""
    with ExitStack() as stack:
        cloud = stack.enter_context(LocalCloud(call_latency=_LATENCY))
        source = stack.enter_context(standin.running(first=cloud.now))
        run = Run(cloud, source, port)
        stack.enter_context(run.site)
        thread = threading.Thread(target=run.site.serve_forever, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(run.site.shutdown)
        yield run


def main(words: list[str] | None = None) -> int:
    """Run the command: 0, or 1 if an hour is missing that the source had."""
    parser = argparse.ArgumentParser(description="A week of London's air on this machine.")
    parser.add_argument("--port", type=int, default=0, help="of the page (default: a free one)")
    parser.add_argument("--exit-when-done", action="store_true", help="exit once a week is there")
    parser.add_argument(
        "--hour-takes", type=float, default=5.0, help="seconds, after the week (default: 5)"
    )
    given = parser.parse_args(words)
    began = time.monotonic()
    with started(given.port) as run:
        print(f"The page: {run.site.url}", flush=True)
        print("A stand-in for OpenWeather answers here. Its readings are synthetic.", flush=True)
        for day in range(1, 8):
            run.pass_hours(WEEK_H / 7)
            print(f"{day} of 7 days, {time.monotonic() - began:.0f} s", flush=True)
        run.pass_hours(0.75)  # the last hour is due at five past, and may be retried
        missing = run.missing(WEEK_H)
        print(f"The week is there: {WEEK_H - len(missing)} hours.", end=" ")
        print(f"The source was down for {', '.join(f'{at:%a %H:%M}' for at in missing)}.")
        if given.exit_when_done:
            return 0 if missing == [run.source.outage()] else 1
        print("An interrupt ends it.", flush=True)
        while True:
            run.site.answer_waiting(given.hour_takes / 60)
            run.pass_hours(1 / 60)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
