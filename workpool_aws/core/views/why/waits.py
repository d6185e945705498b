"""Reasons for which a pending work item has not started, apart from the state of the loop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.lifecycle import has_expired
from workpool_aws.core.loop.admit import Reason, Refusal, headroom_of, limit_of
from workpool_aws.core.loop.bulk_cancel import bulk_cancel_to_make
from workpool_aws.core.loop.rate import tokens_of
from workpool_aws.core.loop.rate_left import counted_now
from workpool_aws.core.loop.settle import deep_low, slots_taken
from workpool_aws.core.views.instants import stamp
from workpool_aws.core.views.why.answer import error_text, label_of, reason
from workpool_aws.model.ids import EpochMs, shard_of
from workpool_aws.model.loop import DEFAULT_AUTHOR, Config, EntryKey
from workpool_aws.model.refs import Unreadable, readable
from workpool_aws.model.work import AttemptEnd, State
from workpool_aws.text import many

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.core.views.why.answer import PoolRecords, WhyReason
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.rate import RateSpent
    from workpool_aws.model.work import WorkItem

__all__ = [
    "admission_reason",
    "chosen_reason",
    "due_reasons",
    "expiry_reasons",
    "last_error",
    "place_reasons",
    "slot_holders",
    "waits_since",
]


def due_reasons(work: WorkItem, now: EpochMs) -> list[WhyReason]:
    """Returns the reasons that lie in the work item itself: its time, and refusals by Lambda."""
    found = []
    if work.refused_since is not None:
        found.append(
            reason(
                "function_refused",
                f"Lambda refuses to invoke {label_of(work.spec)} since "
                f"{stamp(work.refused_since)}{last_error(work)}.",
                "Deploy the function, or allow the loop to invoke it. After two minutes of "
                "refusals it fails as not_invocable.",
                since=work.refused_since,
            )
        )
    if work.due_at > now:
        found.append(
            reason(
                "not_due",
                f"It is due at {stamp(work.due_at)}: {_cause(work)}.",
                "The due time.",
                since=waits_since(work),
                until=work.due_at,
            )
        )
    return found


def expiry_reasons(work: WorkItem, now: EpochMs) -> list[WhyReason]:
    """Returns the expiry of a work item that must start in time, if it has one."""
    at = work.start_before
    if at is None:
        return []
    if has_expired(work, now):
        text = f"It was to start before {stamp(at)}, so it does not start any more."
        change = "The loop ends it as expired in a pass."
        return [reason("expires", text, change, since=at, blocks=True)]
    change = "A start before that time."
    return [reason("expires", f"It expires at {stamp(at)}.", change, until=at)]


def waits_since(work: WorkItem) -> EpochMs:
    """Returns the time since which a pending work item waits to be due."""
    return work.history[-1].ended_at if work.starts and work.history else work.enqueued_at


def _cause(work: WorkItem) -> str:
    """Returns the cause of a later due time."""
    last = work.history[-1] if work.starts and work.history else None
    if last is None:
        return "it was enqueued for a later time" if work.starts == 0 else "it was requeued"
    match last.outcome:
        case AttemptEnd.SNOOZED:
            return f"its code snoozed attempt {last.number}"
        case AttemptEnd.NEVER_DELIVERED:
            starts = "start was" if work.undelivered == 1 else f"{work.undelivered} starts were"
            return f"its last {starts} never delivered{last_error(work)}"
        case AttemptEnd.FAILED | AttemptEnd.CANCELED | AttemptEnd.SUCCESS:
            return f"the delay after attempt {last.number}, which failed{last_error(work)}"
        case _:
            assert_never(last.outcome)


def last_error(work: WorkItem) -> str:
    """Returns the error of the latest attempt in parentheses; nothing for none."""
    last = work.history[-1] if work.history else None
    text = "" if last is None else error_text(last.error_type, last.error)
    return f" ({text.removeprefix(': ')})" if text else ""


def admission_reason(
    work: WorkItem,
    records: PoolRecords,
    holders: Mapping[WorkId, WorkItem],
    *,
    now: EpochMs,
) -> WhyReason | None:
    """Returns the limit that keeps a work item from starting; `None` means that none does.

    The loop's own admission decides. A limit that is likely to have changed by the due time does
    not count before it.
    """
    return _Admission(work, records, now).reason(holders)


@dataclass(frozen=True, slots=True)
class _Admission:
    """The loop's admission of one work item."""

    work: WorkItem
    records: PoolRecords
    now: EpochMs

    def reason(self, holders: Mapping[WorkId, WorkItem]) -> WhyReason | None:
        """Returns the limit that refuses it; `holders` are some of the work items that hold slots."""
        if isinstance(self.records.config, Unreadable):
            return reason(
                "config_damaged",
                "The config item of the pool is damaged, so nothing starts.",
                "Set the limit again: `workpool limit N`, or `configure`.",
                blocks=True,
            )
        refusal = self.refusal()
        if refusal is None:
            return None
        match refusal.reason:
            case Reason.PAUSED:
                return None if self.records.config is None else self._paused(self.records.config)
            case Reason.SLOTS_TAKEN:
                return None if self.work.due_at > self.now else self._slots_taken(holders)
            case Reason.RATE_LIMITED:
                return self._rate_limited()
            case Reason.CANCELING:
                return (
                    None
                    if self.work.due_at > self.now
                    else reason(
                        "canceling",
                        "A cancel_all is under way. Nothing starts until the loop has canceled all "
                        "older work items that are due.",
                        "The end of the bulk cancel, about a thousand work items a second.",
                        since=None if self.records.config is None else self.records.config.epoch_at,
                    )
                )
            case _:
                assert_never(refusal.reason)

    def refusal(self) -> Refusal | None:
        """Returns the loop's refusal; `None` means that it admits the work item."""
        config, ledger = readable(self.records.config), readable(self.records.ledger)
        canceling = None if ledger is None else bulk_cancel_to_make(None, config, ledger)
        taken = 0 if ledger is None else slots_taken(ledger.entries)
        room = headroom_of(
            config, in_flight=taken, bulk_cancel=canceling, now=self.now, spent=self._spent()
        )
        after = room.admit(self.work)
        return after if isinstance(after, Refusal) else None

    def _spent(self) -> RateSpent | None:
        """Returns the tokens that are spent, as the loop of now counts them."""
        status, ledger = readable(self.records.status), readable(self.records.ledger)
        return counted_now(ledger, status)

    def _rate_limited(self) -> WhyReason | None:
        config = readable(self.records.config)
        rate = None if config is None else config.rate
        tokens = tokens_of(rate, self._spent(), self.now)
        if tokens is None or self.work.due_at > self.now:
            return None
        return reason(
            "rate_limited",
            f"The rate limit of {rate} lets no start through before {stamp(tokens.next_at)}.",
            "The time of the next start, or a higher limit: `workpool rate N/WINDOW`. Work items "
            "that were due earlier come first.",
            since=self.work.due_at,
            until=tokens.next_at,
        )

    @staticmethod
    def _paused(config: Config) -> WhyReason:
        by, at = config.override_by, config.override_at
        if config.override_paused:
            act = "The pool is paused"
            change = "Resume it: `workpool resume`, or `configure(paused=False)`."
        elif config.override_parallelism == 0:
            act = "An override sets the limit of the pool to 0"
            change = "Raise it: `workpool limit N`, or drop it: `workpool limit --reset`."
        else:
            deployed = config.deployed_parallelism is not None
            by = (
                "the deployment"
                if deployed
                else None
                if config.base_by == DEFAULT_AUTHOR
                else config.base_by
            )
            at = config.deployed_at if deployed else config.base_at
            act = "The limit of the pool is 0"
            change = "Raise it where it is set, or override it: `workpool limit N`."
        author = f", set by {by}" if by else ""
        when = "" if at is None else f" since {stamp(at)}"
        return reason(
            "paused", f"{act}{when}{author}. Nothing starts.", change, since=at, blocks=True
        )

    def _slots_taken(self, holders: Mapping[WorkId, WorkItem]) -> WhyReason:
        ledger = readable(self.records.ledger)
        entries = {} if ledger is None else ledger.entries
        names = Counter(label_of(each.spec) for each in holders.values())
        listed = ", ".join(f"{count} of {name}" for name, count in names.most_common())
        some = (
            "" if len(holders) == len(entries) else f", of the first {len(holders)} by their time"
        )
        by = f"{some}: {listed}" if listed else ""
        limit = limit_of(readable(self.records.config))
        return reason(
            "slots_taken",
            f"{slots_taken(entries)} of {many(limit, 'slot')} {'is' if slots_taken(entries) == 1 else 'are'} taken{by}.",
            "The end of a running work item, or a higher limit: `workpool limit N`. Work items that "
            "were due earlier come first.",
            since=self.work.due_at,
            work_ids=tuple(holders),
        )


def slot_holders(work: WorkItem, records: PoolRecords, now: EpochMs) -> tuple[EntryKey, ...]:
    """Returns some of the starts that hold the slots which a due work item lacks, in their order.

    It is empty unless slots are what it lacks.
    """
    ledger = readable(records.ledger)
    is_due = work.state is State.PENDING and work.due_at <= now
    if ledger is None or not is_due or isinstance(records.config, Unreadable):
        return ()
    if EntryKey(work.id, work.starts + 1) in ledger.entries:
        return ()
    refusal = _Admission(work, records, now).refusal()
    if refusal is None or refusal.reason is not Reason.SLOTS_TAKEN:
        return ()
    by_deadline = sorted(ledger.entries, key=lambda key: (ledger.entries[key].deadline, key))
    return tuple(by_deadline[: limits.WHY_HOLDERS_MAX])


def chosen_reason(work: WorkItem, records: PoolRecords) -> WhyReason | None:
    """Returns the slot that the loop has committed to a pending work item; `None` means none."""
    ledger = readable(records.ledger)
    entry = None if ledger is None else ledger.entries.get(EntryKey(work.id, work.starts + 1))
    if entry is None:
        return None
    at = EpochMs(entry.deadline + limits.RECOVERY_MARGIN_MS)
    return reason(
        "chosen",
        f"The loop has committed a slot to it, and no code of {label_of(work.spec)} has begun. The "
        f"start is on its way, in Lambda's queue, or lost. It is recovered after {stamp(at)}.",
        "The begin of its code, as soon as Lambda has the concurrency for it. If it stays so, "
        "`workpool doctor` examines the function.",
        until=at,
    )


def place_reasons(work: WorkItem, records: PoolRecords) -> list[WhyReason]:
    """Returns the reasons that lie in the place of a work item that the loop has not chosen."""
    if isinstance(records.ledger, Unreadable):
        return [
            reason(
                "ledger_damaged",
                "The ledger of the pool is damaged, so it is not known which work items hold slots.",
                "The next loop rebuilds it. The watchdog starts one within a minute.",
            )
        ]
    ledger = records.ledger
    if ledger is None:
        return []
    shard = shard_of(work.id)
    if work.starts or shard >= len(ledger.shards):
        return []
    cursors = ledger.shards[shard]
    if work.id >= deep_low(cursors.work_cursor, cursors.deep_at):
        return []
    return [
        reason(
            "out_of_sight",
            "Its place in time lies before the reads of the loop. The loop finds it only by a "
            "further pointer, and this answer does not look for one.",
            "The watchdog looks for such work items once an hour.",
        )
    ]
