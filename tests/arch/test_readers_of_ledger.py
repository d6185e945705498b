"""Slots of a ledger are counted by readers of its pages alone [WP-43]."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "workpool_aws"
READS = re.compile(r"\bLedgerRef\([a-z]")
SLOTS = re.compile(r"\.(entries|pages|head_slots)\b")
ALONE = {"flow/ledger.py", "core/loop/guest.py"}
"""The one that reads pages, and one that leaves a ledger with pages alone."""
WITH_PAGES = re.compile(r"\bimport (read_ledger|whole)\b")


def test_module_that_reads_item_of_ledger_and_counts_slots_reads_pages() -> None:
    """The item's cursors, epoch, callbacks and tally are whole without them."""
    readers = {
        str(path.relative_to(PACKAGE)): text
        for path in sorted(PACKAGE.rglob("*.py"))
        if READS.search(text := path.read_text(encoding="utf-8"))
    }
    counting = [
        name
        for name, text in readers.items()
        if SLOTS.search(text) and not WITH_PAGES.search(text) and name not in ALONE
    ]

    assert {"flow/loop/session.py", "flow/watchdog/watch.py", "flow/pool/kick.py"} < set(readers)
    assert counting == []
