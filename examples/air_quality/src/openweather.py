"""Asks OpenWeather's air pollution API for the particulates of one hour.

https://openweathermap.org/api/air-pollution, "Historical air pollution data". The key goes into the
address, as the API wants it, so no error or log of this module shows an address.
"""

import json
import logging
import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlencode

import boto3
import urllib3

from workpool_aws import NonRetryableError, RetryLater

HOUR: Final = timedelta(hours=1)
_SOURCE: Final = "https://api.openweathermap.org"
_HISTORY: Final = "/data/2.5/air_pollution/history"
_ANSWER_BYTES_MAX: Final = 100_000
_CONNECT_S: Final = 3.0
_READ_S: Final = 10.0
_NOT_YET: Final = timedelta(minutes=5)
_ASKED_TO_WAIT_MAX: Final = timedelta(hours=1)
"""A source that asks for a longer pause is asked again after this one."""
_CONCENTRATION_MAX: Final = 100_000.0


class SourceDown(Exception):
    """The source did not answer, or answered that it cannot. Another attempt may succeed."""


class Place(NamedTuple):
    """A place on the map."""

    name: str
    latitude: float
    longitude: float


LONDON: Final = Place("London", 51.5074, -0.1278)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Particulates in an hour, in micrograms per cubic metre. `None` means that one was not measured."""

    hour: datetime
    """The end of the hour, in UTC."""
    pm2_5: float | None
    pm10: float | None
    synthetic: bool = False
    """True if a stand-in made it up."""


def hour_before(moment: datetime) -> datetime:
    """Return the end of the last whole hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def fetch(place: Place, hour: datetime) -> Reading:
    """Return the reading of the hour that ends at `hour`.

    Raises:
        RetryLater: The source asks to wait, or does not have the hour yet.
        SourceDown: It gave no answer, or none that can be read.
        NonRetryableError: It refuses the request, or the key.
    """
    query = {
        "lat": place.latitude,
        "lon": place.longitude,
        "start": int((hour - HOUR).timestamp()),
        "end": int(hour.timestamp()),
        "appid": key(),
    }
    status, headers, body = _get(f"{_HISTORY}?{urlencode(query)}")
    if status != HTTPStatus.OK:
        raise _refusal(status, headers.get("Retry-After"))
    return _read(body, hour)


@cache
def key() -> str:
    """Return the API's key: OPENWEATHER_KEY, or the SSM parameter that OPENWEATHER_KEY_PARAMETER names.

    Raises:
        NonRetryableError: Neither variable is set.
    """
    if given := os.environ.get("OPENWEATHER_KEY"):
        return given
    name = os.environ.get("OPENWEATHER_KEY_PARAMETER")
    if not name:
        raise NonRetryableError("OPENWEATHER_KEY or OPENWEATHER_KEY_PARAMETER must be set")
    found = boto3.client("ssm").get_parameter(Name=name, WithDecryption=True)
    return str(found["Parameter"]["Value"])


@cache
def _pool() -> urllib3.PoolManager:
    # urllib3 logs addresses at level DEBUG, and ours contain the key.
    logging.getLogger("urllib3.connectionpool").addFilter(
        lambda record: _HISTORY not in record.getMessage()
    )
    return urllib3.PoolManager(retries=False)


def _get(path: str) -> tuple[int, urllib3.HTTPHeaderDict, bytes]:
    source = os.environ.get("OPENWEATHER_URL", _SOURCE)
    read_s = float(os.environ.get("OPENWEATHER_TIMEOUT_S", _READ_S))
    try:
        answer = _pool().request(
            "GET",
            source + path,
            headers={"Accept": "application/json"},
            timeout=urllib3.Timeout(connect=min(_CONNECT_S, read_s), read=read_s),
            redirect=False,
            preload_content=False,
        )
        try:
            body = answer.read(_ANSWER_BYTES_MAX + 1, decode_content=True)
        finally:
            answer.release_conn()
    except urllib3.exceptions.HTTPError as error:
        # `from None`: the text of the error has the address, and with it the key.
        raise SourceDown(f"no answer from OpenWeather: {type(error).__name__}") from None
    if len(body) > _ANSWER_BYTES_MAX:
        raise SourceDown(f"OpenWeather answered with more than {_ANSWER_BYTES_MAX} bytes")
    return answer.status, answer.headers, body


def _refusal(status: int, retry_after: str | None) -> Exception:
    busy = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if not busy:
        if status == HTTPStatus.UNAUTHORIZED:
            key.cache_clear()  # a new one may be in place by the next occurrence
            return NonRetryableError("OpenWeather refuses the key")
        return NonRetryableError(f"OpenWeather refuses the request: {status}")
    pause = asked_to_wait(retry_after, datetime.now(UTC))
    if pause is not None:
        return RetryLater(pause, f"OpenWeather answered {status}, and asks to wait {pause}")
    return SourceDown(f"OpenWeather answered {status}")


def asked_to_wait(retry_after: str | None, now: datetime) -> timedelta | None:
    """Return the pause that a `Retry-After` asks for, in either of its forms; `None` means none."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        pause = timedelta(seconds=min(int(text), _ASKED_TO_WAIT_MAX.total_seconds()))
    else:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        pause = until.replace(tzinfo=until.tzinfo or UTC) - now
    return min(max(pause, timedelta(0)), _ASKED_TO_WAIT_MAX)


def _read(body: bytes, hour: datetime) -> Reading:
    """Return the latest reading of the hour in an answer."""
    try:
        answer = json.loads(body)
        found = {
            datetime.fromtimestamp(each["dt"], UTC): each["components"] for each in answer["list"]
        }
        times = [at for at in found if hour - HOUR < at <= hour]
        if not times:
            raise RetryLater(_NOT_YET, f"OpenWeather has no reading of {hour:%H:%M} yet")
        parts = found[max(times)]
        return Reading(
            hour=hour,
            pm2_5=_concentration(parts.get("pm2_5")),
            pm10=_concentration(parts.get("pm10")),
            synthetic=answer.get("synthetic") is True,
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise SourceDown(f"OpenWeather's answer cannot be read: {type(error).__name__}") from None


def _concentration(value: object) -> float | None:
    """Return a concentration; `None` stands for a value that is none, such as -9999."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= _CONCENTRATION_MAX else None
