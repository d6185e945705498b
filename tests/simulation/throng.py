"""Simulates a group of thousands whose workers, loops and counters are killed [WP-19].

    python -m tests.simulation.throng --members 5000 --seed 17

The exit code is 1 if a member was not counted, or the group was not followed exactly once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from workpool_aws import OnCompleteEvent, RetryPolicy
from workpool_aws.local import LocalCloud

__all__ = ["Throng", "main", "simulated"]

_CRASH_RATE = 0.01
_PARALLELISM = 200


@dataclass(frozen=True, slots=True)
class Throng:
    """The end of a group."""

    members: int
    succeeded: int
    failed: int
    followed: int
    """Runs of its callback that came to their end."""
    killed: int
    """Processes of the library and of jobs that died."""

    @property
    def is_right(self) -> bool:
        """True if each member was counted, and the group followed once."""
        return self.succeeded + self.failed == self.members and self.followed == 1


def simulated(members: int, *, seed: int) -> Throng:
    """Runs one group to its end, while one process in a hundred dies at some call."""
    followed = 0
    with LocalCloud(engine="memory", seed=seed, crash_rate=_CRASH_RATE) as cloud:
        pool = cloud.workpool("throng", max_parallelism=_PARALLELISM)

        @pool.action
        def job(n: int) -> int:
            if n % 50 == 0:
                raise ValueError(n)
            return n

        @pool.on_complete
        def over(event: OnCompleteEvent) -> None:
            nonlocal followed
            followed += 1

        job_arn, over_arn = cloud.function(job), cloud.function(over)
        group = pool.enqueue_group(
            None,
            job_arn,
            [{"n": n} for n in range(members)],
            retry=RetryPolicy(max_attempts=2),
            on_complete=over_arn,
        )
        cloud.run_until_idle()
        found = pool.group(None, group)
        own = (cloud.loop_arn, cloud.completion_arn, job_arn, over_arn)
        ends = [each for arn in own for each in cloud.invocations(arn)]
        killed = sum("exit status" in (each.error or "") for each in ends)
    return Throng(members, found.succeeded, found.failed, followed, killed)


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, and say what it came to."""
    parser = argparse.ArgumentParser(prog="throng", description="A group of thousands, with kills.")
    parser.add_argument("--members", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=17)
    asked = parser.parse_args(argv)
    found = simulated(asked.members, seed=asked.seed)
    sys.stdout.write(f"{found}\n")
    return int(not found.is_right)


if __name__ == "__main__":
    sys.exit(main())
