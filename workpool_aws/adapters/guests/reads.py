"""Items that a transaction read, and the check at its commit that they are as it saw them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workpool_aws.adapters.guests.values import from_typed
from workpool_aws.errors import UsageError

if TYPE_CHECKING:
    from workpool_aws.adapters.guests.expressions import Placeholders
    from workpool_aws.adapters.guests.values import Typed
    from workpool_aws.model.actions import GuestItem, GuestPlace

__all__ = ["GuestRead", "ReadItem"]


class ReadItem(Mapping[str, Any]):
    """An item that a transaction read. It notes which attributes were looked at, also missing ones.

    The commit applies nothing if one of these has changed. Iteration looks at all attributes that
    are there; one that another writer adds is then not noticed.
    """

    __slots__ = ("_looked", "_values")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._looked: set[str] = set()

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - as the user stored it
        """Return the value of an attribute."""
        self._looked.add(name)
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        """True if the item has the attribute."""
        if isinstance(name, str):
            self._looked.add(name)
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of all attributes."""
        self._looked.update(self._values)
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of attributes."""
        self._looked.update(self._values)
        return len(self._values)

    def __repr__(self) -> str:
        return f"<item with {', '.join(self._values)}>"

    @property
    def looked_at(self) -> frozenset[str]:
        """The names of the attributes that were looked at."""
        return frozenset(self._looked)


@dataclass(slots=True)
class GuestRead:
    """One read of a transaction."""

    place: GuestPlace
    found: Mapping[str, Typed] | None
    version: str | None = None
    """An attribute that counts as looked at. `None` means no further one."""
    item: ReadItem | None = field(init=False)

    def __post_init__(self) -> None:
        self.item = None if self.found is None else ReadItem(from_typed(self.found))

    def watch(self, version: str | None) -> None:
        """Has an attribute count as looked at. `None` adds none.

        Raises UsageError for a second one, since one that changes with each write is enough.
        """
        if version is None:
            return
        if self.version not in {None, version}:
            raise UsageError("version", version, f"{self.version!r}, as in the read before")
        self.version = version

    @property
    def watched(self) -> list[str]:
        """The names of the attributes that must not have changed, in order."""
        looked = frozenset[str]() if self.item is None else self.item.looked_at
        return sorted(looked | ({self.version} if self.version is not None else set()))

    def check(self, into: Placeholders) -> str:
        """Returns the condition that the item is as it was seen."""
        key = into.name(min(self.place.key))
        if self.found is None:
            return f"attribute_not_exists({key})"
        parts = [f"attribute_exists({key})"]
        for name in self.watched:
            if name in self.found:
                parts.append(f"{into.name(name)} = {into.value(self.found[name])}")
            else:
                parts.append(f"attribute_not_exists({into.name(name)})")
        return " AND ".join(parts)

    def has_changed(self, current: GuestItem | None) -> bool:
        """True if the item is not as it was seen."""
        if self.found is None or current is None:
            return (self.found is None) != (current is None)
        now = current.attributes
        return any(_plain(now.get(name)) != _plain(self.found.get(name)) for name in self.watched)


def _plain(typed: Typed | None) -> object:
    """Returns a value in which the order of a set does not count."""
    if typed is None:
        return None
    ((kind, value),) = typed.items()
    match kind:
        case "SS" | "NS" | "BS":
            return kind, frozenset(value)
        case "M":
            return kind, {name: _plain(each) for name, each in value.items()}
        case "L":
            return kind, [_plain(each) for each in value]
        case _:
            return kind, value
