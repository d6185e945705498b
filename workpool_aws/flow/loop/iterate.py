"""Runs the loop, pass after pass.

It ends when there is nothing to do, another invocation is the holder, or its Lambda's time is up. A
crash after a commit leaves unconfirmed entries, which the next holder checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.pace import Pace, PassResult, Pause, after_failure, decide_pause
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.loop.rest import hand_over, rest
from workpool_aws.flow.loop.run_pass import run_pass
from workpool_aws.flow.loop.session import Fenced, LoopSession, acquire_session
from workpool_aws.flow.pool.kick import running_in, win_wake
from workpool_aws.model import events
from workpool_aws.model.refs import LedgerRef, StatusRef
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.messages import LoopRequest
    from workpool_aws.ports import Ports

__all__ = ["run_loop"]


def run_loop(ports: Ports, request: LoopRequest, remaining_ms: Callable[[], int]) -> None:
    """Serves one request: runs the loop of its generation, if the status names that one.

    This invocation must also become the holder. A far wake first wins a generation. A request of
    any other generation, or for a pool without a status, changes nothing.

    Returns when the loop rests, has handed over or was fenced. Never raises for trouble with AWS:
    it ends, its lease expires, and the watchdog starts another. `remaining_ms`: time left of this
    Lambda invocation.
    """
    generation = request.generation
    try:
        if generation is None:
            won = win_wake(ports, request.pool, remaining_ms())
            if won is None:
                return
            generation, status = won
            seen: object = ports.store.get(LedgerRef(request.pool))
        else:
            # A request is a hint that many roles can send. The status names the generation [WP-2].
            refs: tuple[StatusRef | LedgerRef, ...]
            refs = StatusRef(request.pool), LedgerRef(request.pool)
            named, seen = ports.fan_out(ports.store.get, refs)
            status = running_in(generation, named)
            if status is None:
                ports.telemetry.emit(events.LoopFenced(pool=request.pool, generation=generation))
                return
        session = acquire_session(
            ports, request.pool, generation, remaining_ms, status=status, seen=seen
        )
        if session is None:
            ports.telemetry.emit(events.LoopFenced(pool=request.pool, generation=generation))
            return
        _Run(session).until_end()
    except Fenced:
        ports.telemetry.emit(events.LoopFenced(pool=request.pool, generation=generation or 0))
    except StoreUnavailable as error:
        _report_end(ports, request.pool, generation, str(error))
    except Exception as error:
        # A defect, of ours or of an item. It is logged before Lambda counts it as a failure, or the
        # pool that stands still would not be known.
        _report_end(ports, request.pool, generation, f"{type(error).__name__}: {error}")
        raise


def _report_end(ports: Ports, pool: str, generation: int | None, error: str) -> None:
    ended = events.LoopEnded(pool=pool, generation=generation or 0, error=error)
    ports.telemetry.emit(ended)


@dataclass(frozen=True, slots=True)
class _Run:
    """The passes of one session, and the pauses between them."""

    session: LoopSession

    def until_end(self) -> None:
        """Makes passes until the loop rests or hands over. Raises Fenced, StoreUnavailable."""
        session, clock = self.session, self.session.ports.clock
        pace = Pace(active_at=clock.now(), changed_at=clock.now())
        while True:
            began = clock.now()
            if began >= session.ends_at:
                hand_over(session)
                return
            session.renew_lease(began)
            try:
                if pace.failures:
                    # Its commit may have gone through, and the look at it have failed, too.
                    session.reload()
                done = run_pass(session, began)
            except StoreUnavailable as error:
                pause = self._after_failure(pace, error)
            else:
                pause = self._after_pass(pace, done, began)
                if pause.wait_ms is None and not rest(session, done):
                    return
            pace = pause.pace
            clock.sleep(
                max(limits.PASS_FLOOR_MS - (clock.now() - began), 1)
                if pause.wait_ms is None
                else pause.wait_ms
            )

    def _after_failure(self, pace: Pace, error: StoreUnavailable) -> Pause:
        """Returns the pause after a pass without an answer.

        The next pass finds its effects in the table. Raises the error after too many in a row.
        """
        pause = after_failure(pace)
        if pause.wait_ms is None:
            raise error
        session = self.session
        session.ports.telemetry.emit(
            events.PassFailed(pool=session.pool, generation=session.generation, error=str(error))
        )
        return pause

    def _after_pass(self, pace: Pace, done: PassResult, began: EpochMs) -> Pause:
        session = self.session
        now = session.ports.clock.now()
        pause = decide_pause(pace, done, session.memory, began=began, now=now)
        if pause.slowed:
            session.ports.telemetry.emit(
                events.NoProgress(
                    pool=session.pool, generation=session.generation, passes=pause.pace.stalled
                )
            )
        return pause
