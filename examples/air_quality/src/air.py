"""The job that the schedule enqueues each hour."""

import os
from datetime import UTC

import openweather
import plan
import readings
from ulid import ULID

from workpool_aws import Work, Workpool

pool = Workpool(os.environ.get("WORKPOOL_TABLE", "air-quality"), plan.POOL, max_parallelism=2)


@pool.action(name=plan.JOB)
def fetch_hour(work: Work) -> dict[str, float | None]:
    """Fetch the last hour before this work item was due, and keep it.

    The time in its id is the time at which it was first due. An attempt that is made later, and an
    occurrence that is made up for after downtime, fetch the hour that was theirs.
    """
    due = ULID.from_str(work.work_id).datetime.astimezone(UTC)
    hour = openweather.hour_before(due)
    reading = openweather.fetch(openweather.LONDON, hour)
    readings.keep(openweather.LONDON.name, reading)
    return {"pm2_5": reading.pm2_5, "pm10": reading.pm10}


handler = fetch_hour
