"""Mutants of the ledger's pages: each slot in one is counted, and none is ever changed [WP-43]."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import one_edit

__all__ = ["PAGE_GUARDS"]

PAGE_GUARDS: Final = (
    one_edit(
        "pages: written before they are named",
        "WP-43",
        "flow.loop.session:LoopSession._lay_out",
        "ports.store.write(Put(page))",
        "None",
    ),
    one_edit(
        "pages: each has a name of its own",
        "WP-43",
        "flow.loop.session:LoopSession._lay_out",
        "ports.entropy.token()",
        "'page'",
    ),
    one_edit(
        "pages: a free slot is gone",
        "WP-43",
        "core.loop.pages:_left_of",
        "found is not entry and found != entry",
        "found is not None and found != entry",
    ),
    one_edit(
        "pages: a slot with another deadline is gone",
        "WP-43",
        "core.loop.pages:_left_of",
        "found is not entry and found != entry",
        "found is None",
    ),
    one_edit(
        "pages: written again before they expire",
        "WP-43",
        "core.loop.pages:_left_of",
        "now // 1000 > page.expires_at - limits.LEDGER_PAGE_KEPT_S // 2",
        "False",
    ),
    one_edit(
        "pages: one that is missing is damage",
        "WP-43",
        "core.loop.pages:assembled",
        "item is None or len(item.entries) != page.count",
        "False",
    ),
    one_edit(
        "pages: a start has one slot",
        "WP-43",
        "core.loop.pages:assembled",
        "len(entries) != len(head.entries) + sum(page.left for page in pages)",
        "False",
    ),
    one_edit(
        "pages: read by the next holder",
        "WP-1",
        "flow.loop.session:_Holder.take",
        "whole(store, found)",
        "found",
    ),
    one_edit(
        "pages: no take by commit beside them",
        "WP-1",
        "flow.loop.session:_Holder.taken_by_commit",
        "(seen.entries and not sent) or seen.pages or seen.callbacks",
        "(seen.entries and not sent) or seen.callbacks",
    ),
    one_edit(
        "pages: read after another's write",
        "WP-1",
        "flow.loop.session:LoopSession._adopt",
        "whole(self.ports.store, found)",
        "found",
    ),
    one_edit(
        "pages: read by the watchdog",
        "WP-22",
        "flow.watchdog.watch:_PoolCheck.reason",
        "read_ledger(self.store, self.pool)",
        "self.store.get(LedgerRef(self.pool))",
    ),
)
