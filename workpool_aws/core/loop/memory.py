"""Memory of a holder between two passes.

A pass reads it, and puts another in its place. The next holder rebuilds all of it from the table.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.rate import landed_by, spent_after
from workpool_aws.core.loop.runs import JobPace, SentRun, learned
from workpool_aws.core.loop.shards import Load
from workpool_aws.model.ids import time_of
from workpool_aws.model.loop import ShardCursors
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.core.loop.ahead import Ahead
    from workpool_aws.core.loop.bulk_cancel import BulkCancel
    from workpool_aws.core.loop.settle import Notices, Settled
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import (
        Config,
        Entry,
        EntryKey,
        GuestStarts,
        Ledger,
        LoopStatus,
        PendingCallback,
    )
    from workpool_aws.model.rate import RateSpent

__all__ = ["Inputs", "Memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Reads with which a pass begins."""

    now: EpochMs
    """Time at which it began."""
    config: Config | None
    """A second or two old at most; `None` means that the pool has none."""
    config_read_at: EpochMs | None
    bulk_cancel: BulkCancel | None
    """Progress of a bulk cancel; `None` means that none is under way."""
    deep: bool
    """True if it reads back over the buffer [WP-3]."""
    notices: tuple[Notices, ...]
    """By shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of one holder: the ledger, and findings of its passes that the ledger does not have."""

    ledger: Ledger
    """The ledger as last committed, with the deadlines and cursors that passes have moved since."""
    unconfirmed: frozenset[EntryKey] = frozenset()
    """Entries whose work item must be read before anything is concluded from them."""
    checked: Mapping[EntryKey, str] = field(default_factory=dict)
    """Requests for a check that were served: the key of the notice, by entry."""
    sent: frozenset[EntryKey] = frozenset()
    """Starts that this invocation has sent to Lambda, or tried to. None of them is sent twice."""
    callbacks: tuple[PendingCallback, ...] = ()
    """The ledger's pending callbacks, with the results of deliveries since its commit."""
    bulk_cancel: BulkCancel | None = None
    """Progress of a bulk cancel; `None` means that none is under way."""
    config: Config | None = None
    """The config as last read; `None` means that the pool has none."""
    config_read_at: EpochMs | None = None
    """Time of that read; `None` means that the config must be read again."""
    deep_read_at: EpochMs | None = None
    """Time of the last deep pass; `None` means that there was none."""
    shards: int = 1
    """Number of shards for new work items, as the status has it."""
    shards_read: int = 1
    """Number of shards that a pass reads. The status never has fewer."""
    spent: RateSpent | None = None
    """Tokens that starts have spent, by this holder's clock. `None` means that none are."""
    load: Load = field(default_factory=Load)
    """Starts by which the number of shards is chosen."""
    paces: Mapping[str, JobPace] = field(default_factory=dict)
    """Pace of each job, by its label."""
    runs: Mapping[EntryKey, SentRun] = field(default_factory=dict)
    """Runs that this holder has sent, by their first start."""
    lags_ms: tuple[int, ...] = ()
    """Lags of starts by a guest, which no commit has counted yet."""
    crowded: bool = False
    """True if the last pass that read due work items left some that found no slot."""
    ahead: Ahead | None = None
    """Due work items that found no slot; `None` means that none is known."""

    @staticmethod
    def of(
        ledger: Ledger, status: LoopStatus | None = None, spent: RateSpent | None = None
    ) -> Memory:
        """Returns the memory of a new holder, which trusts the table alone.

        `status`: as read before; `None` means that it is the pool's first. `spent`: tokens of the
        ledger's rate, as this holder counts them.
        """
        kept = len(ledger.shards)
        shards, read = (1, kept) if status is None else (status.shards, status.shards_read or kept)
        memory = Memory(ledger=ledger, shards=shards, shards_read=max(shards, read), spent=spent)
        return memory.following(None if status is None else status.guest).adopting(ledger)

    @property
    def marks(self) -> tuple[ShardCursors, ...]:
        """Cursors of the shards that a pass reads. One that the ledger lacks begins at the start."""
        marks = self.ledger.shards[: self.shards_read]
        lacking = self.shards_read - len(marks)
        return (*marks, *(ShardCursors(),) * lacking) if lacking else marks

    @property
    def entries(self) -> Mapping[EntryKey, Entry]:
        """Starts in flight, as last committed or confirmed since."""
        return self.ledger.entries

    def following(self, guest: GuestStarts | None) -> Memory:
        """Returns the memory of a new holder whose ledger has the starts of a guest.

        They are looked at as those of any holder before, but not sent again [WP-44]. `guest`: as
        the status names it; it may be of another generation.
        """
        if guest is None or guest.generation != self.ledger.generation:
            return self
        lags = (max(0, guest.at - time_of(key.work_id)) for key in self.entries)
        sent = frozenset(self.entries)
        return replace(self, sent=sent, unconfirmed=sent, lags_ms=tuple(lags))

    def config_is_old(self, now: EpochMs) -> bool:
        """True if the config must be read again.

        An older one than this holder's would be harmless: a change of it bumps the ledger's
        version, so that no pass commits by the config before [WP-13].
        """
        kept_ms = limits.CONFIG_EVERY_MS if self.entries else limits.CONFIG_QUIET_EVERY_MS
        return self.config_read_at is None or now - self.config_read_at >= kept_ms

    def deep_read_is_due(self, now: EpochMs) -> bool:
        """True if a pass must read back over the buffer [WP-3]."""
        return self.deep_read_at is None or now - self.deep_read_at >= limits.DEEP_EVERY_MS

    @property
    def awaits_notices(self) -> bool:
        """True if a notice may change anything: a start is in flight, or a callback is pending."""
        return bool(self.entries or self.callbacks)

    def having_read(self, inputs: Inputs, settled: Settled) -> Memory:
        """Returns the memory of a pass that has read its inputs, whether or not it is committed.

        Each notice that asks for a check is served once.
        """
        fresh = {key for key, at in settled.asked.items() if self.checked.get(key) != at}
        rate = None if inputs.config is None else inputs.config.rate
        spent = spent_after(self.spent, rate, inputs.now)
        paces = learned(self.paces, settled, self.entries, inputs.now)
        config_is_known = inputs.config_read_at == self.config_read_at
        is_known = config_is_known and spent is self.spent and paces is self.paces
        if is_known and not (fresh or inputs.deep):
            return self  # as in most passes of a quiet pool
        return replace(
            self,
            spent=spent,
            config=inputs.config,
            config_read_at=inputs.config_read_at,
            deep_read_at=inputs.now if inputs.deep else self.deep_read_at,
            unconfirmed=self.unconfirmed | fresh,
            paces=paces,
        )

    def adopting(self, ledger: Ledger) -> Memory:
        """Returns the memory after a read of the ledger, which is trusted in every part.

        A finding may have been in memory only. The cursors of this ledger lie before its record, so
        a pass meets that again.
        """
        not_confirmed = {key for key, entry in ledger.entries.items() if not entry.confirmed}
        known = self.unconfirmed.intersection(ledger.entries)
        return replace(
            self,
            ledger=ledger,
            callbacks=ledger.callbacks,
            checked={},
            unconfirmed=known | (not_confirmed - self.sent),
            config_read_at=None,
            ahead=None,
        )

    def reading(self, shards: int) -> Memory:
        """Returns the memory of a pass that reads so many shards."""
        return self if shards == self.shards_read else replace(self, shards_read=shards)

    def having_landed(self, ledger: Ledger, now: EpochMs) -> Memory:
        """Returns the memory once a commit of this holder is known to have landed by `now`."""
        if ledger.rate is None or ledger.rate == self.ledger.rate:
            return self
        return replace(self, spent=landed_by(ledger.rate, now))

    def in_next_generation(self, ledger: Ledger) -> Memory:
        """Returns the memory under the next generation, which begins as a new holder does.

        It still knows what it has sent.
        """
        return replace(self, unconfirmed=frozenset(), deep_read_at=None).adopting(ledger)
