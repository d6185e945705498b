"""Shows text and values from outside as plain text, on terminals, in logs and in messages.

No character of the output moves a cursor, reorders its neighbours, or is invisible: such a
character is written as its escape, as in a Python string. That includes the joiners of some scripts
and emoji, since they could hide text from a reader of logs.
"""

from __future__ import annotations

import re
import reprlib
from typing import TYPE_CHECKING, Final, TypeVar
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "NOTHING",
    "Words",
    "answer_or",
    "as_line",
    "as_text",
    "counted",
    "kind_of",
    "many",
    "shown",
    "type_name",
]

T = TypeVar("T")

_SHOWN_MAX: Final = 200
_NAME_MAX: Final = 60
_ITEMS_MAX: Final = 50
_LEVELS_MAX: Final = 6
_VALUES_MAX: Final = 4 * _ITEMS_MAX
_DIGITS_MAX: Final = 300
_MARKS_MAX: Final = 4
"""Combining marks on one letter. More would run into the lines above and below."""

_NEWLINE: Final = re.compile(r"\r\n|\r")
_UNSEEN: Final = re.compile(
    "["
    # fillers, which are letters or marks and have no ink
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0"
    "\U000e0100-\U000e01ef"  # variation selectors that no font has, and that carry hidden bytes
    "]"
)
_SELECTORS: Final = re.compile("(?<=[\ufe00-\ufe0f])[\ufe00-\ufe0f]|^[\ufe00-\ufe0f]")


class Words(str):
    """Text that `shown` leaves without quotes, since it describes a value instead of being one."""

    __slots__ = ()


NOTHING: Final = Words("nothing")
"""The value of an option that was not given, in messages."""


def as_text(text: str, *, limit: int | None = None, indent: int = 0) -> str:
    """Return foreign text on as many lines as it has.

    Lines after the first begin with `indent` spaces, so that none looks like ours.

    At most `limit` characters of `text` are shown, with an ellipsis for the rest. `None` means all
    of them.
    """
    cut = _cut(text, limit)
    lines = _NEWLINE.sub("\n", cut).expandtabs(4).split("\n")
    return ("\n" + " " * indent).join(_spelled(line) for line in lines)


def counted(count: int, *, more: bool) -> str:
    """Return a count, of which it is said if there are `more` than were counted."""
    return f"at least {count}" if more else str(count)


def many(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it needs one.

    >>> many(1, "read unit"), many(2, "read unit")
    ('1 read unit', '2 read units')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def as_line(text: str, *, limit: int | None = None) -> str:
    """Return foreign text on one line, each run of white space as one space.

    `limit` is as for `as_text`.
    """
    # Four times the limit is enough to fill it, unless the text is mostly white space.
    first = text if limit is None else text[: 4 * limit + 1]
    line = _spelled(" ".join(first.split()))
    if limit is None:
        return line
    return _cut(line, limit) if len(first) == len(text) else _cut(line + "…", limit)


def shown(value: object, *, limit: int = _SHOWN_MAX) -> str:
    """Return a value as messages quote it, by its `repr` on one line of about `limit` characters.

    A failing `repr` is replaced.
    """
    if type(value) is Words:
        return as_line(value, limit=limit)
    try:
        text = str.__str__(_Short().repr(value))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - its error must not replace ours
        text = f"<{type_name(value)} whose repr raises {type_name(error)}>"
    line = _spelled(" ".join(text[: 4 * limit + 1].splitlines()))
    if len(line) <= limit and len(text) <= 4 * limit:
        return line
    return f"{line[:limit]}… ({type_name(value)})"


def type_name(value: object) -> str:
    """Return the name of a value's class on one short line, even if its metaclass hides it."""
    # Not `type(value).__name__`, which a metaclass may answer.
    name = type.__dict__["__name__"].__get__(type(value))
    return as_line(str.__str__(name), limit=_NAME_MAX)


def kind_of(value: object) -> Words:
    """Return the class of a value that may be secret, and nothing of its contents."""
    return Words("None" if value is None else f"a value of type {type_name(value)}")


def answer_or(default: T, ask: Callable[[], T]) -> T:
    """Return the answer of a user's code, or the default if that code raises anything.

    For errors and callables that are being described, since a property of theirs may do anything.
    """
    try:
        return ask()
    except BaseException:  # noqa: BLE001 - its error must not replace the one that is described
        return default


class _Short(reprlib.Repr):
    """As `repr`, but of large containers and texts only the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = _LEVELS_MAX
        self._left = _VALUES_MAX
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = (
            self.maxdeque
        ) = self.maxarray = _ITEMS_MAX

    def repr1(self, x: object, level: int) -> str:
        # A few lists that contain each other many times unfold to more than memory can hold.
        self._left -= 1
        if self._left < 0:
            return "..."
        # By the exact class, since a subclass has a `repr` of its own.
        if type(x) in {str, bytes}:
            return self._beginning(x)
        if type(x) is int:
            return (
                repr(x)
                if x.bit_length() <= _DIGITS_MAX * 3
                else f"<an int of {x.bit_length()} bits>"
            )
        if type(x) is dict:
            return self._dict(x, level)
        if type(x) in {list, tuple, set, frozenset}:
            return super().repr1(x, level)
        return repr(x)

    @staticmethod
    def _beginning(x: object) -> str:
        if not isinstance(x, str | bytes) or len(x) <= 4 * _SHOWN_MAX:
            return repr(x)
        return repr(x[: 4 * _SHOWN_MAX])

    def _dict(self, x: dict[object, object], level: int) -> str:
        # In its own order, which reprlib does not keep.
        if x and level <= 0:
            return "{...}"
        return f"{{{', '.join(self._pairs(x, level - 1))}}}"

    def _pairs(self, x: dict[object, object], level: int) -> Iterator[str]:
        for index, (key, value) in enumerate(x.items()):
            if index == _ITEMS_MAX:
                yield "..."
                return
            yield f"{self.repr1(key, level)}: {self.repr1(value, level)}"


def _cut(text: str, limit: int | None) -> str:
    if limit is None or len(text) <= limit:
        return text
    return f"{text[: max(0, limit - 1)]}…"


def _spelled(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line
    marks, shown = 0, list[str]()
    for one in _SELECTORS.sub(_escape_match, _UNSEEN.sub(_escape_match, line)):
        marks = marks + 1 if category(one) in _MARKS else 0
        if marks <= _MARKS_MAX and one.isprintable():
            shown.append(one)
        elif marks <= _MARKS_MAX and one.isspace() and one not in _BREAKS:
            shown.append(" ")
        else:
            shown.append(_escape(one))
    return "".join(shown)


_MARKS: Final = frozenset({"Mn", "Me"})
_BREAKS: Final = frozenset("\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029\n\r\t")


def _escape(one: str) -> str:
    return (
        one.encode("ascii", "backslashreplace").decode()
        if not one.isascii()
        else f"\\x{ord(one):02x}"
    )


def _escape_match(match: re.Match[str]) -> str:
    return _escape(match[0])
