"""Writes the further ends that a notice names as a list of texts, `id:start:outcome`.

The outcome is its first letter, or nothing.
"""

from __future__ import annotations

import re
from typing import Final

from workpool_aws.adapters.items.forms import FieldCodec, work_id
from workpool_aws.core import limits
from workpool_aws.model.ids import WorkId
from workpool_aws.model.loop import ReportedEnd
from workpool_aws.model.spec import Outcome

__all__ = ["REPORTED_ENDS"]

_TEXT: Final = re.compile(r"([0-9A-Z]{26}):([0-9]{1,10}):([sfc]?)", re.ASCII)
_OUTCOMES: Final = {outcome.value[0]: outcome for outcome in Outcome}


class _ReportedEnds:
    """A list of `id:start:outcome`."""

    @classmethod
    def encode(cls, ends: tuple[ReportedEnd, ...]) -> list[str]:
        texts = [
            f"{end.work_id}:{end.start}:{'' if end.outcome is None else end.outcome.value[0]}"
            for end in ends
        ]
        cls.decode(texts)
        return texts

    @staticmethod
    def decode(value: object) -> tuple[ReportedEnd, ...]:
        if not isinstance(value, list) or len(value) >= limits.RUN_STARTS_MAX:
            raise ValueError("a list of ends expected")
        ends = []
        for text in value:
            found = _TEXT.fullmatch(text) if isinstance(text, str) else None
            if found is None or int(found[2]) >= limits.STORED_STARTS_BELOW:
                raise ValueError("the end of a start expected")
            outcome = _OUTCOMES.get(found[3])
            ends.append(ReportedEnd(WorkId(work_id(found[1])), int(found[2]), outcome))
        return tuple(ends)


REPORTED_ENDS: Final = FieldCodec("a list of ends", _ReportedEnds.encode, _ReportedEnds.decode)
