"""The calls of a random program and the runs of its user code: all that is known outside of the library."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from workpool_aws import NonRetryableError, RetryLater, RetryPolicy, Snooze
from workpool_aws.local import LocalCloud

__all__ = ["Body", "Course", "History", "Received", "Wish"]

Course = Literal["running", "returned", "raised", "snoozed", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One call that enqueues, of which its argument `number` tells the user code."""

    number: int
    pool: str
    does: str
    """Behaviour of the user code, as `cast.Cast.body` names it."""
    options: Mapping[str, Any]
    asked_at: int

    @property
    def attempts_max(self) -> int:
        """Attempts that its retry policy has."""
        retry = self.options.get("retry")
        if isinstance(retry, RetryPolicy):
            return retry.max_attempts
        return RetryPolicy().max_attempts if retry else 1


@dataclass(slots=True, kw_only=True)
class Body:
    """One run of user code."""

    work_id: str
    wish: Wish
    began_at: int
    ended_at: float = math.inf
    """The cloud's time, as all others; a process that stands still has not ended."""
    course: Course = "running"


@dataclass(frozen=True, slots=True)
class Received:
    """One run of a callback handler."""

    work_id: str
    kind: str


@dataclass(slots=True)
class History:
    """One program's."""

    cloud: LocalCloud
    wishes: dict[int, Wish] = field(default_factory=dict)
    """By number."""
    named: dict[str, list[tuple[int, Wish]]] = field(default_factory=lambda: defaultdict(list))
    """The calls that answered with each work item, in order, and the times of their answers."""
    bodies: list[Body] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    touched: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Further calls about a work item: "cancel", "replace", "redrive"."""
    canceled: list[tuple[str, str, int]] = field(default_factory=list)
    """Answers to `cancel`: work item, answer, time of the answer."""
    limits: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    """Limits of each pool: the time from which one may be in force, and the limit."""
    ended: dict[str, str] = field(default_factory=dict)
    """Outcomes that were seen once."""
    rolled_back: set[int] = field(default_factory=set)
    """Numbers of enqueues of a transaction that was given up."""
    spawned: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Work items that a mutation put into its transactions, one for each of its runs."""
    groups: list[tuple[str, str, int]] = field(default_factory=list)
    """Pool, id and number of members."""
    doubts: int = 0
    """Calls without a certain answer."""
    problems: list[str] = field(default_factory=list)
    """Broken promises that were met while the program ran."""
    log: list[str] = field(default_factory=list)

    @property
    def now(self) -> int:
        """The cloud's time in milliseconds."""
        return round(self.cloud.now.timestamp() * 1000)

    def note(self, text: str) -> None:
        """Adds a line for people."""
        self.log.append(f"{self.now % 10_000_000 / 1000:9.3f} {text}")

    def wish(self, pool: str, does: str, options: Mapping[str, Any]) -> Wish:
        """Returns the wish that the coming call states."""
        wish = Wish(
            number=len(self.wishes) + 1, pool=pool, does=does, options=options, asked_at=self.now
        )
        self.wishes[wish.number] = wish
        return wish

    def acknowledge(self, work_id: str, wish: Wish) -> None:
        """Notes an answered enqueue."""
        self.named[work_id].append((self.now, wish))

    def forget(self, ids: Iterable[str]) -> set[int]:
        """Takes back what was noted of enqueues that were not applied, and returns their numbers."""
        return {wish.number for work_id in ids for _, wish in self.named.pop(work_id)}

    def limit(self, pool: str, limit: int) -> None:
        """Notes a limit that may be in force from now on."""
        self.limits[pool].append((self.now, limit))

    def limit_within(self, pool: str, since: int, until: int) -> int:
        """Returns the highest limit that may have been in force in this time."""
        found = self.limits[pool]
        ends = [at for at, _ in found[1:]] + [math.inf]
        return max(
            limit
            for (at, limit), end in zip(found, ends, strict=True)
            if at <= until and end >= since
        )

    def runs_of(self, work_id: str) -> list[Body]:
        """Returns the runs of its code so far, in order."""
        return [body for body in self.bodies if body.work_id == work_id]

    def hear(self, work_id: str, kind: str) -> None:
        """Notes a run of a callback handler."""
        self.received.append(Received(work_id, kind))

    @contextmanager
    def running(self, work_id: str, number: int) -> Iterator[Body]:
        """Notes a run of user code, and how it ends."""
        body = Body(work_id=work_id, wish=self.wishes[number], began_at=self.now)
        self.bodies.append(body)
        try:
            yield body
        except (Snooze, RetryLater, NonRetryableError, Exception) as error:
            body.course = "snoozed" if isinstance(error, Snooze) else "raised"
            raise
        except BaseException:
            body.course = "lost"
            raise
        else:
            body.course = "returned"
        finally:
            body.ended_at = self.now

    def watch(self) -> None:
        """Compares each outcome with the one that was seen first [WP-6]. Costs the cloud no time."""
        for _, works in self.cloud._read_works():
            for work in works:
                if work.outcome is None:
                    continue
                before = self.ended.setdefault(work.id, work.outcome)
                if before != work.outcome:
                    self.problems.append(f"[WP-6] {work.id} was {before}, now {work.outcome}")

    def completions(self) -> Counter[str]:
        """Returns the number of ends that the library told of each work item."""
        return Counter(
            event.work_id for event in self.cloud.events if type(event).__name__ == "Completed"
        )
