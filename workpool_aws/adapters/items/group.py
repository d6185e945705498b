"""The fields of a stored group, and the end of a member in a notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items import forms
from workpool_aws.adapters.items.attributes import TTL_ATTRIBUTE
from workpool_aws.adapters.items.field import Field
from workpool_aws.adapters.items.spec import SPEC_FIELDS, flatten_spec, spec_of
from workpool_aws.core import limits
from workpool_aws.model.group import GroupItem
from workpool_aws.model.names import GROUP
from workpool_aws.model.payload import Chunked
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import GroupEnd

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GROUP_END", "GROUP_FIELDS", "MEMBER_OUTCOMES", "flatten_group", "group_of"]

_BY_LETTER: Final = {outcome.value[0]: outcome for outcome in Outcome}


def _encode_end(end: GroupEnd) -> str:
    text = f"{end.outcome.value[0]}:{end.group}"
    _decode_end(text)
    return text


def _decode_end(value: object) -> GroupEnd:
    letter, _, group = value.partition(":") if isinstance(value, str) else ("", "", "")
    if letter not in _BY_LETTER or GROUP.fullmatch(group) is None:
        raise ValueError("the end of a member of a group expected")
    return GroupEnd(group, _BY_LETTER[letter])


def _outcomes(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) > limits.GROUP_OUTCOMES_BYTES_MAX:
        raise ValueError("two bits for each member of a group expected")
    return value


GROUP_END: Final = forms.FieldCodec("the end of a member of a group", _encode_end, _decode_end)
"""Initial of the outcome, `:`, and the id of the group."""
MEMBER_OUTCOMES: Final = forms.FieldCodec("outcomes of members", _outcomes, _outcomes)

_OWN_FIELDS: Final[Mapping[str, Field]] = {
    "total": Field("n", forms.COUNT),
    "born": Field("bn", forms.TEXT),
    "digest": Field("dg", forms.TEXT),
    "created_at": Field("enq", forms.WORK_MOMENT),
    "due_at": Field("due", forms.WORK_MOMENT),
    "stored": Field("sd", forms.FLAG, absent=False),
    "outcomes": Field("o", MEMBER_OUTCOMES),
    "version": Field("v", forms.GENERATION),
    "finished_at": Field("fin", forms.WORK_MOMENT, absent=None),
    "follow_up": Field("fu", forms.ULID, absent=None),
    "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
}
GROUP_FIELDS: Final[Mapping[str, Field]] = {**SPEC_FIELDS, **_OWN_FIELDS}


def flatten_group(item: GroupItem) -> Mapping[str, object]:
    """Returns the values of a group's fields."""
    own = {name: getattr(item, name) for name in _OWN_FIELDS}
    return {**flatten_spec(item.spec), **own}


def group_of(values: Mapping[str, Any]) -> GroupItem:
    """Returns the group of these names and values.

    Raises ValueError as `spec_of` does, and for more members than a group can have.
    """
    spec = spec_of(values)
    if isinstance(spec.args, Chunked) or isinstance(spec.context, Chunked):
        raise ValueError("a group has no chunks")
    if values["total"] > limits.GROUP_MAX:
        raise ValueError(f"a group of at most {limits.GROUP_MAX} members expected")
    own = {name: values[name] for name in _OWN_FIELDS}
    return GroupItem(pool=values["pool"], id=values["id"], spec=spec, **own)
