"""Makes the effects of a pass: those that come before its commit, and those that follow it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.chunks import overdue_expiries
from workpool_aws.core.loop.effects import Expire, Point, Results, Tidy
from workpool_aws.core.loop.plan import spent_pointers
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import let_expire
from workpool_aws.flow.loop.bulk_cancel import cancel_works
from workpool_aws.flow.loop.callbacks import deliver_callbacks
from workpool_aws.flow.loop.recover import recover
from workpool_aws.flow.loop.start import begin
from workpool_aws.flow.visibility import put_pointer
from workpool_aws.model.payload import Chunked, Inline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workpool_aws.core.loop.effects import Begun, Start
    from workpool_aws.core.loop.plan import PassPlan
    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.ports import Ports

__all__ = ["apply_after", "apply_before", "clean_up"]


def apply_before(ports: Ports, effects: Iterable[Point | Expire]) -> None:
    """Makes effects that the coming commit relies on, one after the other [WP-3].

    Raises StoreUnavailable: the pass is not committed then, so the entry or callback that asked for
    the effect stays in the ledger.
    """
    for effect in effects:
        match effect:
            case Point():
                put_pointer(ports, effect.pool, effect.work_id, effect.at)
            case Expire():
                let_expire(ports.store, overdue_expiries(effect.work))
            case _:
                assert_never(effect)


def apply_after(session: LoopSession, plan: PassPlan) -> Results:
    """Makes the starts, recoveries and deliveries of a committed plan, and deletes spent pointers.

    Never raises: a result says what is not certain.
    """
    ports = session.ports
    begun = _begin_each(session, plan.starts)
    recovered = ports.fan_out(lambda lost: recover(ports, lost), plan.recovers)
    sent = session.memory.sent.union(each.key for each in begun if each.sent)
    ports.fan_out(lambda tidy: _tidy(ports, tidy), spent_pointers(plan, sent))
    return Results(
        begun=tuple(begun),
        recovered={lost.key: entry for lost, entry in zip(plan.recovers, recovered, strict=True)},
        callbacks=deliver_callbacks(ports, plan.callbacks),
    )


def _begin_each(session: LoopSession, starts: Sequence[Start]) -> list[Begun]:
    """Makes many starts at a time, but few of those that read and send arguments in chunks."""
    small = [start for start in starts if isinstance(start.work.spec.args, Inline)]
    large = [start for start in starts if isinstance(start.work.spec.args, Chunked)]
    begin_one = partial(begin, session.ports, session.token, session.secret)
    begun = session.ports.fan_out(begin_one, small, limits.SMALL_AT_ONCE)
    return [*begun, *session.ports.fan_out(begin_one, large)]


def clean_up(session: LoopSession, plan: PassPlan) -> None:
    """Deletes notices that the committed ledger stands for, and cancels what is to be canceled.

    Raises StoreUnavailable: the next pass meets what is left.
    """
    for forget in plan.callbacks.forgets:
        session.ports.store.delete(forget.ref)
    cancel_works(session, [cancel.work for cancel in plan.cancels], session.memory.config)


def _tidy(ports: Ports, tidy: Tidy) -> None:
    with suppress(StoreUnavailable):
        ports.store.delete(tidy.ref)
