"""Collects what a transaction reads and does in users' tables, and names what was refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.guests.actions import GuestAction, place_id, read_action
from workpool_aws.adapters.guests.values import from_typed, to_typed_map
from workpool_aws.adapters.items.attributes import PARTITION_KEY
from workpool_aws.adapters.items.keys import place_of
from workpool_aws.errors import FailedAction, UsageError
from workpool_aws.model.actions import GuestItem, GuestPlace, GuestVerb
from workpool_aws.model.names import TABLE, TABLE_ARN
from workpool_aws.text import NOTHING, Words, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.adapters.guests.reads import GuestRead
    from workpool_aws.model.actions import Guest

__all__ = ["GuestDraft", "check_guest_table", "guest_place", "read_places"]

_WORDS: Final = {
    GuestVerb.PUT: "put",
    GuestVerb.UPDATE: "update",
    GuestVerb.DELETE: "delete",
    GuestVerb.CHECK: "check",
}


def guest_place(table: object, key: object, *, own_table: str) -> GuestPlace:
    """Returns the place of a user's item. Raises UsageError for one of the library's own."""
    name = check_guest_table(table)
    typed = to_typed_map(key, "key")
    if not typed:
        raise UsageError("key", NOTHING, "the key of an item")
    _refuse_own(name, typed, "key", own_table=own_table)
    return GuestPlace(table=name, key=typed)


def read_places(places: object) -> list[tuple[object, object]]:
    """Returns pairs of a table and a key. Raises UsageError for anything else."""
    if not isinstance(places, Iterable) or isinstance(places, str | bytes | Mapping):
        raise UsageError("places", kind_of(places), "pairs of a table and a key")
    found: list[tuple[object, object]] = []
    for index, each in enumerate(places):
        match each:
            case [table, key]:
                found.append((table, key))
            case _:
                raise UsageError(f"places[{index}]", kind_of(each), "a table and a key")
    return found


def check_guest_table(table: object) -> str:
    """Returns the name or ARN of a table. Raises UsageError for anything else."""
    if isinstance(table, str) and (TABLE.fullmatch(table) or TABLE_ARN.fullmatch(table)):
        return table
    raise UsageError("table", kind_of(table), "the name or ARN of a DynamoDB table")


def _refuse_own(table: str, typed: Mapping[str, Any], field: str, *, own_table: str) -> None:
    """Raises UsageError for an item of the library in the pool's own table."""
    partition = typed.get(PARTITION_KEY, {}).get("S")
    if table.rpartition("/")[2] != own_table.rpartition("/")[2] or partition is None:
        return
    try:
        place_of(partition)
    except ValueError:
        return
    raise UsageError(field, Words("an item of the library"), "that of an item of yours")


class GuestDraft:
    """The actions on users' items of one transaction, in the order in which they were given."""

    def __init__(self, own_table: str) -> None:
        self._own_table = own_table
        self._actions: list[GuestAction] = []
        self._reads: dict[tuple[str, str], GuestRead] = {}
        self._keys: dict[str, tuple[str, ...]] = {}

    def add(self, action: GuestAction) -> None:
        """Adds an action.

        Raises UsageError for a second action on one item, as far as the keys are known.
        """
        if action.item is not None:
            _refuse_own(action.table, action.item, "item", own_table=self._own_table)
        self._actions.append(action)
        try:
            if action.key is not None:
                self._learn(GuestPlace(table=action.table, key=action.key))
            self._by_place()
        except UsageError:
            self._actions.pop()
            raise

    def read(self, place: GuestPlace) -> GuestRead | None:
        """Returns what was read at a place before. `None` means that nothing was."""
        return self._reads.get(place_id(place))

    def note_read(self, read: GuestRead) -> None:
        """Adds a read, which the commit checks."""
        self._learn(read.place)
        self._reads[place_id(read.place)] = read

    @property
    def size_bytes(self) -> int:
        """About the bytes that the actions store."""
        return sum(each.size_bytes for each in self._actions)

    def guests(self) -> tuple[Guest, ...]:
        """Returns the actions, and the checks of items that are only read."""
        return tuple(action.guest(read) for action, read in self._joined())

    def failed(
        self, found: Mapping[int, GuestItem], failed: Sequence[bool]
    ) -> tuple[tuple[FailedAction, ...], bool]:
        """Returns the refused ones among the actions of `guests`, and True if only reads are stale.

        `found`: items as they stood, by the place of their action.
        """
        refused: list[FailedAction] = []
        stale = True
        for index, (action, read) in enumerate(self._joined()):
            if not failed[index]:
                continue
            item = found.get(index)
            changed = read is not None and read.has_changed(item)
            stale = stale and changed
            refused.append(self._failed_action(index, action, item, changed=changed))
        return tuple(refused), stale and bool(refused)

    def _failed_action(
        self, index: int, action: GuestAction, item: GuestItem | None, *, changed: bool
    ) -> FailedAction:
        only_read = action.verb is GuestVerb.CHECK and action.guard.given is None
        return FailedAction(
            index=index,
            table=action.table,
            key=from_typed(self._key_of(action) or action.item or {}),
            action="get" if only_read else _WORDS[action.verb],
            condition=None if changed else action.guard.given,
            item=None if item is None else from_typed(item.attributes),
        )

    def _learn(self, place: GuestPlace) -> None:
        names = tuple(sorted(place.key))
        known = self._keys.setdefault(place.table, names)
        if known != names:
            allowed = f"of the attributes {', '.join(known)}, as in the call before"
            raise UsageError("key", Words(f"one of the attributes {', '.join(names)}"), allowed)

    def _key_of(self, action: GuestAction) -> Mapping[str, Any] | None:
        if action.key is not None or action.table not in self._keys:
            return action.key
        return action.with_key(self._keys[action.table])

    def _by_place(self) -> dict[tuple[str, str], GuestAction]:
        found: dict[tuple[str, str], GuestAction] = {}
        for action in self._actions:
            key = self._key_of(action)
            if key is None:
                continue
            place = place_id(GuestPlace(table=action.table, key=key))
            if place in found:
                got = Words(f"a second action on one item of {action.table!r}")
                raise UsageError("key", got, "that of another item: give one action all conditions")
            found[place] = action
        return found

    def _joined(self) -> list[tuple[GuestAction, GuestRead | None]]:
        by_place = self._by_place()
        reads = {id(action): self._reads.get(place) for place, action in by_place.items()}
        alone = [read for place, read in self._reads.items() if place not in by_place]
        return [
            *((action, reads.get(id(action))) for action in self._actions),
            *((read_action(read), read) for read in alone),
        ]
