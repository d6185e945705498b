"""Cancels a work: one conditional write (one transaction, if it has chunks), and an answer that says what it came to."""

from __future__ import annotations

from workpool_aws.core.cancel import CancelAnswer, CancelWrite, decide_cancel, is_own_cancel
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow import status
from workpool_aws.flow.chunks import write_with
from workpool_aws.model import facts
from workpool_aws.model.ids import WorkId
from workpool_aws.model.work import Work
from workpool_aws.ports import ConditionFailed, Ports

__all__ = ["cancel"]

_TRIES = 8
"""A work can change under a canceller's hands: started, retried, started again. Each time it is judged anew."""


def cancel(ports: Ports, pool: str, work_id: WorkId) -> CancelAnswer:
    """Keep the work from starting (again); the answer is what holds from now on.

    Raises StoreUnavailable: it may or may not be canceled; asking again does no harm.
    """
    work = status.load(ports, pool, [work_id])[0]
    token = ports.entropy.token()
    for _ in range(_TRIES):
        decision = decide_cancel(work, token=token, now=ports.clock.now())
        if isinstance(decision, CancelAnswer):
            return decision
        try:
            write_with(ports.store, decision.write, decision.beside)
        except ConditionFailed as met:
            work = met.current if isinstance(met.current, Work) else None
            if work is not None and is_own_cancel(work, token):
                return _told(ports, pool, work_id, decision)
        else:
            return _told(ports, pool, work_id, decision)
    raise StoreUnavailable(f"work {work_id} kept changing")


def _told(ports: Ports, pool: str, work_id: WorkId, decision: CancelWrite) -> CancelAnswer:
    ports.telemetry.tell(facts.CancelAsked(pool=pool, work_id=work_id, answer=decision.answer))
    return decision.answer
