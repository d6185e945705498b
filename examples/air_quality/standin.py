"""A stand-in for OpenWeather's air pollution API on loopback. Its readings are synthetic.

It answers in the API's form, marked `"synthetic": true`, and misbehaves in ways that depend on the
hour alone: an error, no answer, a request to wait, and one hour in which it is down.
"""

import json
import math
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit

KEY: Final = "a-key-of-nobody"
_HOUR_S: Final = 3_600
_PATH: Final = "/data/2.5/air_pollution/history"
_SILENT_S: Final = 5.0
RETRY_AFTER_S: Final = 120
OUTAGE: Final = 75
"""The hour, from the first on, for which it is down."""


def components(hour: int) -> dict[str, float]:
    """Return made-up concentrations of an hour since 1970: rush hours, a still night, a bad day."""
    of_day, of_week = hour % 24, hour % 168
    rush = math.exp(-(((of_day - 8) / 2.5) ** 2)) + 0.8 * math.exp(-(((of_day - 18) / 3) ** 2))
    episode = 26 * math.exp(-(((of_week - 96) / 14) ** 2))
    wave = 2.5 * math.sin(hour * 0.7) + 1.5 * math.sin(hour * 2.3)
    fine = max(1.0, 6 + 5 * rush + episode + wave)
    coarse = max(fine + 1, 1.45 * fine + 4 + 6 * rush + 2 * math.sin(hour * 1.1))
    others = {"co": 230.3, "no": 0.4, "no2": 18.2, "o3": 41.5, "so2": 3.1, "nh3": 1.2}
    return others | {"pm2_5": round(fine, 2), "pm10": round(coarse, 2)}


class StandIn(ThreadingHTTPServer):
    """The server. `first`: the time of the first hour that will be asked for."""

    daemon_threads = True

    def __init__(self, first: datetime) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.first = int(first.timestamp()) // _HOUR_S
        self.asked: Counter[int] = Counter()
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def outage(self) -> datetime:
        """Return the hour for which it is down."""
        return datetime.fromtimestamp((self.first + OUTAGE) * _HOUR_S, UTC)


@contextmanager
def running(first: datetime) -> Iterator[StandIn]:
    """Run a stand-in in a thread of its own."""
    with StandIn(first) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        """Answer a request, or misbehave."""
        address = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        if query.get("appid") != KEY:
            self._answer(HTTPStatus.UNAUTHORIZED, {"cod": 401, "message": "Invalid API key."})
        elif address.path != _PATH or not {"lat", "lon", "start", "end"} <= query.keys():
            self._answer(HTTPStatus.BAD_REQUEST, {"cod": "400", "message": "Nothing to geocode"})
        else:
            self._serve(query)

    def _serve(self, query: dict[str, str]) -> None:
        first, last = (int(query[name]) // _HOUR_S for name in ("start", "end"))
        self.server.asked[last] += 1
        nth, again = last - self.server.first, self.server.asked[last] > 1
        down = {"cod": "503", "message": "Service unavailable"}
        if nth == OUTAGE:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, down)
        elif nth % 17 == 5 and not again:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"cod": "500", "message": "Internal"})
        elif nth % 23 == 7 and not again:
            busy = {"cod": 429, "message": "Your account is temporarily blocked"}
            self._answer(HTTPStatus.TOO_MANY_REQUESTS, busy, {"Retry-After": str(RETRY_AFTER_S)})
        elif nth % 37 == 11 and not again:
            self.server.ended.wait(_SILENT_S)
        else:
            hours = [
                {"dt": hour * _HOUR_S, "main": {"aqi": 2}, "components": components(hour)}
                for hour in range(first, last + 1)
            ]
            place = {"lon": float(query["lon"]), "lat": float(query["lat"])}
            self._answer(HTTPStatus.OK, {"coord": place, "list": hours, "synthetic": True})

    def _answer(
        self,
        status: HTTPStatus,
        body: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *_: object) -> None:
        """Log nothing."""
