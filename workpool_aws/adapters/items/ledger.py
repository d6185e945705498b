"""Stores a ledger and its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items import forms, job_tallies, ledger_forms, rates
from workpool_aws.adapters.items.attributes import TTL_ATTRIBUTE
from workpool_aws.adapters.items.field import Field
from workpool_aws.model.loop import Ledger
from workpool_aws.model.pages import Slots

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LEDGER_FIELDS", "PAGE_FIELDS", "flatten_ledger", "ledger_of"]

LEDGER_FIELDS: Final = {
    "holder": Field("h", forms.TEXT),
    "generation": Field("g", forms.GENERATION),
    "version": Field("v", forms.GENERATION),
    "entries": Field("en", ledger_forms.SLOTS),
    "shards": Field("sh", ledger_forms.SHARD_MARKS),
    "callbacks": Field("cb", ledger_forms.OWED, absent=()),
    "committed_by": Field("by", forms.TEXT, absent=None),
    "tally": Field("ta", ledger_forms.TALLY, absent=None),
    "jobs": Field("tj", job_tallies.JOB_TALLIES, absent=None),
    "epoch": Field("ep", forms.COUNT, absent=0),
    "beats": Field("hb", forms.FLAG, absent=False),
    "rate": Field("rt", rates.RATE_SPENT, absent=None),
}
PAGE_FIELDS: Final = {
    "entries": Field("en", ledger_forms.PAGE_SLOTS),
    "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS),
}


def flatten_ledger(ledger: Ledger) -> Mapping[str, object]:
    """Return the values of a ledger's fields.

    Slots that one of its pages stands for are not among those of the item.
    """
    paged = {key for page in ledger.pages for key in page.standing()}
    head = {key: entry for key, entry in ledger.entries.items() if key not in paged}
    values = {name: getattr(ledger, name) for name in LEDGER_FIELDS}
    return {**values, "entries": Slots(head, ledger.pages)}


def ledger_of(values: dict[str, Any]) -> Ledger:
    """Return the ledger of these values. Its pages are not read."""
    slots: Slots = values["entries"]
    return Ledger(**{**values, "entries": slots.head, "pages": slots.pages})
