"""The schedule, for the deployment and for the run on this machine."""

from datetime import timedelta
from typing import Final

from workpool_aws import RetryPolicy, ScheduleOptions

POOL: Final = "air"
NAME: Final = "hourly"
JOB: Final = "fetch_hour"

HOURLY: Final[ScheduleOptions] = {
    # Five past, so that the source has the hour by then.
    "cron": "5 * * * *",
    "timezone": "Europe/London",
    # The source answers for past hours, too: after downtime each hour is fetched.
    "catch_up": "all",
    # Half an hour of trouble is bridged. The source's own `Retry-After` replaces a delay.
    "retry": RetryPolicy(max_attempts=6, initial_backoff=timedelta(minutes=1)),
}
