"""Events of a pool as a whole: its limits and settings, its deployment, its watchdog and its statistics."""

from __future__ import annotations

from logging import DEBUG, ERROR, INFO, WARNING

from workpool_aws.model.events.event import Event


class RegistrationDenied(Event, level=WARNING):
    """A caller may not register its pool.

    The watchdog finds the pool's work only if its deployment names the pool.
    """

    error: str


class CancelAllAsked(Event, level=WARNING):
    """A caller canceled everything that a pool had.

    The loop now cancels the work items one by one.
    """

    epoch: int
    by: str


class SetAside(Event, level=ERROR):
    """A damaged or foreign item was skipped."""

    partition: str
    sort: str
    reason: str


class ControlRepaired(Event, level=ERROR):
    """A control item of a pool was forged or damaged, and was repaired."""

    item: str
    """status, ledger, config or registry."""
    reason: str
    lost: str
    """The part that could not be repaired."""


class Surveyed(Event, level=DEBUG):
    """The watchdog measured how full a pool is.

    Only where metrics are enabled, and not of an idle pool.
    """

    pending: int
    running: int
    limit: int
    oldest_pending_s: float | None


class ScheduleFired(Event, level=INFO):
    """Occurrences of a schedule fell due, and were enqueued or counted."""

    schedule: str
    enqueued: int
    missed: int
    skipped: int
    lag_ms: int
    """From the earliest of them to now."""


class GroupEnqueued(Event, level=INFO):
    """A caller stored all members of a group."""

    group: str
    total: int


class GroupFinished(Event, level=INFO):
    """All members of a group are over, and its callback is owed, if one is wanted."""

    group: str
    succeeded: int
    failed: int
    canceled: int


class GroupCanceled(Event, level=INFO):
    """A caller canceled the members of a group that had not started."""

    group: str
    canceled: int


class ScheduleChanged(Event, level=INFO):
    """A person or program made, changed, paused, resumed or removed a schedule."""

    schedule: str
    change: str
    by: str


class ScheduleAlternates(Event, level=WARNING):
    """A schedule is declared by one owner after another."""

    schedule: str
    owner: str | None
    other: str | None
    """The owner before."""


class SchedulesNotDeclared(Event, level=WARNING):
    """The watchdog could not make a schedule that the deployment declares, or remove one.

    The next tick tries again. `pool` is empty if no pool could be read.
    """

    error: str


class ScheduleRepaired(Event, level=WARNING):
    """A schedule whose next occurrence was overdue had no tick, and has one again."""

    schedule: str
    late_ms: int


class WatchdogActed(Event, level=WARNING):
    """The watchdog found a pool that should be at work and was not, or something that lay out of the sight of its loop."""

    reason: str


class HeartbeatsDue(Event, level=INFO):
    """The watchdog starts a loop to look at work items that send heartbeats."""


class ConfigAlternates(Event, level=WARNING):
    """A program gave this pool another base limit than the one before it: a new release did, or two programs overwrite each other."""

    ours: int
    theirs: int
    theirs_by: str
    our_rate: str | None = None
    """Rate limit that this program gives. `None` means none."""
    their_rate: str | None = None


class BaseIgnored(Event, level=WARNING):
    """A program gave this pool a base limit, but the deployment's takes precedence."""

    ours: int
    deployed: int


class OptionsUnknown(Event, level=WARNING):
    """A worker enqueued in a pool of which this program made no `Workpool`.

    Its default policy is the library's.
    """


class StatsTaken(Event, level=INFO, name="stats", always_logged=True):
    """A caller had the statistics of a pool logged."""

    window_ms: int
    pending: int
    scheduled: int
    at_least: bool
    running: int
    oldest_pending_s: float | None
    executions: int
    error_rate: float | None
    permanent_failure_rate: float | None
    start_lag_p50_ms: int | None
    start_lag_p95_ms: int | None


class JobStatsTaken(Event, level=INFO, name="job_stats", always_logged=True):
    """A caller had the statistics of a pool logged by job. This is one of the jobs."""

    job: str
    window_ms: int
    pending: int
    scheduled: int
    running: int
    oldest_pending_s: float | None
    executions: int
    error_rate: float | None
    permanent_failure_rate: float | None


class DeploymentRecorded(Event, level=INFO):
    """The watchdog recorded the deployment that its environment names: the table had another.

    `pool` is empty.
    """

    loop_arn: str


class DeploymentReplaced(Event, level=WARNING):
    """The watchdog found another deployment's loop recorded, and recorded its own.

    The other will not overwrite it for an hour.
    """

    loop_arn: str
    replaced: str


class DeploymentNotRecorded(Event, level=WARNING):
    """The watchdog could not record the deployment, or the limit that it gives a pool.

    The next tick tries again.
    """

    error: str


class LimitDeployed(Event, level=INFO):
    """The deployment gave this pool other limits, or gives it none any more."""

    max_parallelism: int | None
    rate_limit: str | None = None


class LimitsDenied(Event, level=WARNING):
    """This process may not read a function's configuration, so Lambda's maxima count.

    A lost start is found after hours.
    """

    target: str
    grant: str
    """The actions that this process's role lacks, on that function."""
    error: str
