"""Keeps readings in DynamoDB, one item for each place and hour, for a week."""

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import boto3
from boto3.dynamodb.conditions import Key
from openweather import Reading

WEEK: Final = timedelta(days=7)
_KEPT: Final = timedelta(days=8)
"""DynamoDB removes an item some time after this. Reads leave out what is older than a week."""


def _table() -> Any:
    return boto3.resource("dynamodb").Table(os.environ.get("READINGS_TABLE", "air-readings"))


def keep(place: str, reading: Reading) -> None:
    """Store the reading of an hour. A second one of the same hour replaces it."""
    item = {
        "place": place,
        "hour": _spelled(reading.hour),
        "pm2_5": _stored(reading.pm2_5),
        "pm10": _stored(reading.pm10),
        "synthetic": reading.synthetic,
        "expires_at": int((reading.hour + _KEPT).timestamp()),
    }
    _table().put_item(Item=item)


def week(place: str, until: datetime) -> list[Reading]:
    """Return the readings of the week up to a time, the earliest first."""
    span = Key("hour").between(_spelled(until - WEEK), _spelled(until))
    # A week is far below the size of one page of a query.
    found = _table().query(KeyConditionExpression=Key("place").eq(place) & span)
    return [_read(item) for item in found["Items"]]


def _spelled(hour: datetime) -> str:
    return hour.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _stored(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _read(item: dict[str, Any]) -> Reading:
    pm2_5, pm10 = item["pm2_5"], item["pm10"]
    return Reading(
        hour=datetime.strptime(item["hour"], "%Y-%m-%dT%H:%M%z"),
        pm2_5=None if pm2_5 is None else float(pm2_5),
        pm10=None if pm10 is None else float(pm10),
        synthetic=item["synthetic"],
    )
