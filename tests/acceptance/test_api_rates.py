"""A pool's rate limit, as a user meets it [WP-33]: windows of starts, live changes, and the answers of `why`, `config` and `stats`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from workpool_aws import RateLimit, RetryLater, RetryPolicy, UsageError, Workpool
from workpool_aws.local import LocalCloud

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def most_in_window(moments: Sequence[datetime], per: timedelta) -> int:
    return max(sum(at <= each < at + per for each in moments) for at in moments)


def starts_of(cloud: LocalCloud, function_arn: str) -> list[datetime]:
    """Deliveries of a function; in a calm cloud each follows its commit by the same few calls."""
    return [each.started_at for each in cloud.invocations(function_arn)]


def ping(event: object, context: object) -> None:
    pass


def test_rate_limit_spreads_burst_over_windows() -> None:
    with LocalCloud() as cloud:
        ping_arn = cloud.function(ping)
        limit = RateLimit(4, per=10 * SECOND, burst=2)
        pool = cloud.workpool("calls", max_parallelism=50, rate_limit=limit)
        pool.enqueue_action_batch(None, ping_arn, [{} for _ in range(20)])
        cloud.run_until_idle()
        moments = starts_of(cloud, ping_arn)
        assert len(moments) == 20
        assert most_in_window(moments, limit.per) <= 4
        took = moments[-1] - moments[0]
        # After the burst of two, three in ten seconds.
        assert timedelta(seconds=58) < took < timedelta(seconds=64)


def test_retries_count_as_starts() -> None:
    with LocalCloud() as cloud:
        tries: list[int] = []

        def fails(event: object, context: object) -> None:
            tries.append(1)
            raise ValueError("busy")

        fails_arn = cloud.function(fails)
        pool = cloud.workpool("calls", rate_limit=RateLimit(1, per=20 * SECOND))
        policy = RetryPolicy(4, initial_backoff=timedelta(milliseconds=1), base=1)
        pool.enqueue_action(None, fails_arn, {}, retry=policy)
        cloud.run_until_idle()
        moments = starts_of(cloud, fails_arn)
        assert len(moments) == 4
        assert most_in_window(moments, 20 * SECOND) == 1


def test_work_item_that_waits_for_token_says_so() -> None:
    with LocalCloud() as cloud:
        ping_arn = cloud.function(ping)
        pool = cloud.workpool("calls", rate_limit=RateLimit(1, per=MINUTE))
        ids = pool.enqueue_action_batch(None, ping_arn, [{}, {}])
        cloud.advance(10 * SECOND)
        why = pool.why(None, ids[1])
        assert (why.verdict, why.reasons[0].code) == ("waiting", "rate_limited")
        assert "1/1m" in why.reasons[0].text
        until = why.reasons[0].until
        assert until is not None
        assert timedelta(seconds=45) < until - cloud.now < timedelta(seconds=52)
        assert why.next_look == until
        assert pool.stats(None).next_token_at == until
        cloud.advance(MINUTE)
        assert pool.status(None, ids[1]).state == "finished"
        assert pool.stats(None).next_token_at is not None
        cloud.advance(MINUTE)
        assert pool.stats(None).next_token_at is None


def test_pool_rests_until_far_token_and_wakes_for_it() -> None:
    with LocalCloud() as cloud:
        ping_arn = cloud.function(ping)
        hour = timedelta(hours=1)
        pool = cloud.workpool("calls", rate_limit=RateLimit(1, per=hour))
        first = cloud.now
        pool.enqueue_action_batch(None, ping_arn, [{}, {}])
        cloud.advance(timedelta(minutes=3))
        calls = len(cloud._open.kernel.trace)
        pool.enqueue_action(None, ping_arn, {})
        cloud.advance(timedelta(minutes=50))
        # Neither the new work item nor a tick of the watchdog starts a loop for nothing.
        assert len(cloud._open.kernel.trace) - calls < 400
        assert len(cloud.invocations(ping_arn)) == 1
        cloud.run_until_idle(timeout=5 * hour)
        moments = starts_of(cloud, ping_arn)
        assert len(moments) == 3
        assert most_in_window(moments, hour) == 1
        assert moments[2] - first < 2 * hour + timedelta(seconds=15)


def test_rate_limit_changes_live_and_keeps_debt() -> None:
    with LocalCloud() as cloud:
        ping_arn = cloud.function(ping)
        pool = cloud.workpool("calls", rate_limit=RateLimit(6, per=MINUTE, burst=6))
        pool.enqueue_action_batch(None, ping_arn, [{} for _ in range(12)])
        cloud.advance(SECOND)
        assert len(cloud.invocations(ping_arn)) == 6
        config = pool.configure(None, rate_limit=RateLimit(1, per=10 * SECOND))
        assert config.rate_limit == RateLimit(1, per=10 * SECOND)
        cloud.advance(9 * SECOND)
        assert len(cloud.invocations(ping_arn)) == 6
        cloud.advance(15 * SECOND)
        assert len(cloud.invocations(ping_arn)) in {7, 8}
        assert pool.configure(None, rate_limit=None).rate_limit is None
        cloud.advance(3 * SECOND)
        assert len(cloud.invocations(ping_arn)) == 12


def test_override_takes_precedence_until_reset() -> None:
    base, other = RateLimit(100, per=MINUTE), RateLimit(5, per=SECOND, burst=5)
    with LocalCloud() as cloud:
        ping_arn = cloud.function(ping)
        pool = cloud.workpool("calls", rate_limit=base)
        assert pool.config(None).rate_limit == base
        pool.enqueue_action(None, ping_arn, {})
        cloud.run_until_idle()
        elsewhere = cloud.workpool("calls")
        assert elsewhere.config(None).base.rate_limit == base
        lifted = elsewhere.configure(None, rate_limit=None)
        assert (lifted.rate_limit, lifted.override is not None) == (None, True)
        assert lifted.override is not None
        assert lifted.override.lifts_rate_limit
        assert elsewhere.configure(None, rate_limit=other).rate_limit == other
        paused = elsewhere.configure(None, paused=True)
        assert (paused.rate_limit, paused.paused) == (other, True)
        assert elsewhere.configure(None, reset=True).rate_limit == base


def test_retry_later_spends_attempt_and_token() -> None:
    with LocalCloud() as cloud:

        def later(event: object, context: object) -> None:
            raise RetryLater(SECOND)

        pool = cloud.workpool("calls", rate_limit=RateLimit(1, per=30 * SECOND))
        later_arn = cloud.function(pool.action(lambda: later(None, None)), name="later")
        work_id = pool.enqueue_action(None, later_arn, {}, retry=RetryPolicy(3))
        cloud.run_until_idle()
        assert most_in_window(starts_of(cloud, later_arn), 30 * SECOND) == 1
        assert len(pool.status(None, work_id).attempts) == 3


@pytest.mark.parametrize("value", [100, "100/1m", timedelta(seconds=1)])
def test_rate_limit_of_other_type_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="rate_limit must be a RateLimit"):
        Workpool("table", rate_limit=value)  # type: ignore[arg-type]
    with LocalCloud() as cloud, pytest.raises(UsageError, match="rate_limit must be"):
        cloud.workpool("calls").configure(None, rate_limit=value)  # type: ignore[arg-type]


def test_change_without_any_value_is_refused() -> None:
    with LocalCloud() as cloud, pytest.raises(UsageError, match="or else rate_limit, paused"):
        cloud.workpool("calls").configure(None)


def test_hours_with_crashes_take_overs_and_changes_have_no_fuller_window() -> None:
    """Three hours from outside: each start is seen where it is delivered."""
    limits = [RateLimit(10, per=10 * MINUTE, burst=3), RateLimit(6, per=5 * MINUTE)]
    with LocalCloud(seed=20, crash_rate=0.05) as cloud:
        ping_arn = cloud.function(ping)
        pool = cloud.workpool("calls", rate_limit=limits[0])
        began = cloud.now
        changes = [(began, limits[0])]
        for hour in range(3):
            pool.enqueue_action_batch(None, ping_arn, [{} for _ in range(25)])
            if hour:
                limit = limits[hour % 2]
                pool.configure(None, rate_limit=limit)
                changes.append((cloud.now, limit))
            cloud.advance(timedelta(hours=1))
        pool.configure(None, rate_limit=None)
        changes.append((cloud.now, limits[0]))
        moments = starts_of(cloud, ping_arn)
        for (since, limit), (until, _) in itertools.pairwise(changes):
            seen = [at for at in moments if since + SECOND <= at < until]
            # Deliveries follow their commits by a second at most in this cloud.
            assert most_in_window(seen, limit.per - SECOND) <= limit.n
        assert len(moments) > 45
