"""Three hundred works against an oracle: what must come out is worked out beside the pool."""

from collections import Counter
from datetime import timedelta
from random import Random

from workpool_aws import NonRetryableError, RetryPolicy, Work
from workpool_aws.local import LocalCloud

COUNT = 300
LIMIT = 50


def expected(n: int) -> tuple[str, object, int]:
    """Outcome, value or error type, and number of attempts of work n."""
    if n % 97 == 0:
        return ("failed", "NonRetryableError", 1)
    if n % 89 == 0:
        return ("failed", "ValueError", 3)
    if n % 11 == 0:
        return ("success", n * n, 2)
    return ("success", n * n, 1)


def test_three_hundred_works_come_out_as_oracle_says() -> None:
    with LocalCloud(clock="virtual", engine="memory", seed=1) as cloud:
        pool = cloud.workpool("bulk", max_parallelism=LIMIT)

        @pool.action
        def square(work: Work, n: int) -> int:
            if n % 97 == 0:
                raise NonRetryableError(f"never {n}")
            if n % 89 == 0 or (n % 11 == 0 and work.attempt == 1):
                raise ValueError(f"not yet {n}")
            return n * n

        fn = cloud.function(
            square, takes=lambda event: timedelta(milliseconds=500 + event["n"] % 1_000)
        )
        began = cloud.now
        ids = pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(COUNT)], retry=RetryPolicy(max_attempts=3)
        )
        cloud.run_until_idle()

        seen = Counter(each.event["n"] for each in cloud.invocations(fn))
        deviations = []
        for n, work_id in enumerate(ids):
            result = pool.result(None, work_id)
            got = (
                None
                if result is None
                else (
                    result.kind,
                    result.return_value if result.kind == "success" else result.error_type,
                    seen[n],
                )
            )
            if got != expected(n):
                deviations.append((n, got, expected(n)))
        assert len(set(ids)) == COUNT
        assert deviations == []
        assert cloud.max_concurrency(fn) == LIMIT
        ideal = (
            sum(
                (
                    each.ended_at - each.started_at
                    for each in cloud.invocations(fn)
                    if each.ended_at
                ),
                timedelta(),
            )
            / LIMIT
        )
        last = max(each.ended_at for each in cloud.invocations(fn) if each.ended_at)
        assert last - began <= ideal * 1.5 + timedelta(seconds=5)


def test_delays_drawn_by_chance_are_all_kept() -> None:
    seed = 20
    chance = Random(seed)
    with LocalCloud(clock="virtual", engine="memory", seed=seed) as cloud:
        pool = cloud.workpool(max_parallelism=500)
        fn = cloud.function(lambda event, ctx: event["n"], name="echo")
        began = cloud.now
        delays = [timedelta(milliseconds=chance.randrange(225_000)) for _ in range(30)]
        for n, delay in enumerate(delays):
            pool.enqueue_action(None, fn, {"n": n}, run_after=delay)
        cloud.run_until_idle(timeout=timedelta(hours=2))

        lags = {
            each.event["n"]: each.started_at - began - delays[each.event["n"]]
            for each in cloud.invocations(fn)
        }
        assert len(lags) == len(delays), f"seed {seed}"
        assert min(lags.values()) >= timedelta(milliseconds=-1), f"seed {seed}"
        assert max(lags.values()) <= timedelta(seconds=1), f"seed {seed}"
