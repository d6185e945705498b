"""The command `workpool why`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workpool_aws.cli.codes import UNFIT
from workpool_aws.cli.output import cell, iso, moment
from workpool_aws.cli.target import target_of

if TYPE_CHECKING:
    import argparse

    from workpool_aws import Why
    from workpool_aws.core.payload import JsonValue

__all__ = ["run_why"]


def run_why(options: argparse.Namespace) -> int:
    """`workpool why ID`."""
    target = target_of(options)
    why = target.pool.why(None, options.id)
    if target.output.as_json:
        target.output.json(_Answer(why).as_json())
    else:
        group = [] if why.group is None else [("group", why.group)]
        key = (
            []
            if why.unique_key is None
            else [("unique key", cell(why.unique_key)), ("key held by", why.key_holder or "-")]
        )
        target.output.fields([*_Answer(why).fields(), *group, *key])
    return UNFIT if why.verdict == "unknown" else 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer of `why`, as the command shows it."""

    why: Why

    def fields(self) -> list[tuple[str, str]]:
        """For people."""
        why = self.why
        return [
            ("id", why.work_id),
            ("verdict", why.verdict),
            ("since", moment(why.since)),
            ("next look", moment(why.next_look)),
            *(
                pair
                for number, reason in enumerate(why.reasons, start=1)
                for pair in (
                    (f"reason {number}", f"{reason.text} [{reason.code}]"),
                    ("  changes by", reason.change),
                )
            ),
        ]

    def as_json(self) -> JsonValue:
        """For programs."""
        why = self.why
        return {
            "work_id": why.work_id,
            "verdict": why.verdict,
            "since": iso(why.since),
            "next_look": iso(why.next_look),
            "group": why.group,
            "unique_key": why.unique_key,
            "key_holder": why.key_holder,
            "reasons": [
                {
                    "code": reason.code,
                    "text": reason.text,
                    "change": reason.change,
                    "since": iso(reason.since),
                    "until": iso(reason.until),
                    "blocks": reason.blocks,
                    "work_ids": [*reason.work_ids],
                }
                for reason in why.reasons
            ],
        }
