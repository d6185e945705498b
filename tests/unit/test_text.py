"""Text of others, shown as text: nothing moves a cursor, reorders its surroundings, or hides."""

from __future__ import annotations

import tracemalloc
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workpool_aws.errors import NotFound, PayloadTooLarge, StoreUnavailable, UsageError
from workpool_aws.text import NOTHING, Words, as_line, as_text, shown

HOSTILE = [
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "a\x00b\x7f\x85",
    "abc\u202edef\u2066x\u2069",
    "zero\u200b\u200c\u200d\ufeff\u2060width",
    "line\u2028and\u2029paragraph",
    "lone \ud800 and \udfff",
    "tags \U000e0041\U000e0042\U000e007f",
    "selectors \ufe00\ufe01\ufe02\U000e0100",
    "fillers \u3164\uffa0\u115f\u1160\u2800\u034f",
    "z" + "\u0310" * 500,
    "noncharacter \ufffe\U0010ffff private \ue000",
    "row\nforged\rrow\r\nthird\tcell\x0b\x0c",
    "soft\xadhyphen \u061c",
]


def is_safe(text, *, newlines=False):
    for one in text:
        if newlines and one == "\n":
            continue
        assert unicodedata.category(one) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}, hex(
            ord(one)
        )
    assert not any(one in text for one in "\u3164\uffa0\u115f\u1160\u2800\u034f\U000e0100")
    text.encode()
    return True


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_does_not_come_through(text):
    assert is_safe(as_line(text))
    assert is_safe(as_text(text), newlines=True)
    assert is_safe(shown(text))
    assert is_safe(str(UsageError(f"name_{text}", text, text)))
    assert is_safe(str(PayloadTooLarge(text, 2, 1)))
    assert is_safe(str(NotFound(text)))
    assert is_safe(str(StoreUnavailable(text)))


@given(st.text(st.characters()))
def test_shown_text_is_text(text):
    assert is_safe(as_line(text, limit=50))
    assert len(as_line(text, limit=50)) <= 50
    assert is_safe(as_text(text, indent=2), newlines=True)


@given(
    st.one_of(
        st.text(),
        st.binary(),
        st.lists(st.text()),
        st.dictionaries(st.text(), st.floats()),
        st.integers(),
        st.none(),
    )
)
def test_short_printable_value_is_shown_as_python_would(value):
    if (
        len(repr(value)) <= 200
        and repr(value).isprintable()
        and not any(mark in repr(value) for mark in "\u2800\u3164\uffa0\u034f")
    ):
        if any(unicodedata.category(one).startswith("M") for one in repr(value)):
            return
        assert shown(value) == repr(value)


@pytest.mark.parametrize(
    "mark", ["\u0301", "\u0591", "\u0651", "\u0e47", "\u0f74", "\u20dd", "\U0001e8d0"], ids=ascii
)
def test_marks_do_not_pile_up_on_letter_of_any_script(mark: str) -> None:
    """They would run into the lines above and below."""
    assert as_line("a" + mark * 30).count(mark) == as_text("a" + mark * 30).count(mark) == 4
    assert as_line(("a" + mark * 4) * 3) == ("a" + mark * 4) * 3


@pytest.mark.parametrize(
    "text", ["plain", "Grüße, 世界, مرحبا", "a b", "❤️", "e\u0301", "", "{}[]()'\""]
)
def test_ordinary_text_stays_as_it_is(text):
    assert as_line(text) == as_text(text) == text


def test_each_hostile_character_is_spelled_by_its_code():
    assert (
        as_line("a\x1b[1mb\u202ec\x9b\U000e0041\ud800")
        == "a\\x1b[1mb\\u202ec\\x9b\\U000e0041\\ud800"
    )


def test_lines_after_first_are_indented():
    assert (
        as_text("one\ntwo\r\nthree\rfour\tfive", indent=4)
        == "one\n    two\n    three\n    four    five"
    )


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("abcdef", 4, "abc…"),
        ("abcd", 4, "abcd"),
        ("a" * 10**7, 3, "aa…"),
        (" " * 999, 3, "…"),
        ("a b\n c", 9, "a b c"),
    ],
)
def test_cut_text_says_so(text, limit, cut):
    assert as_line(text, limit=limit) == cut


def test_text_is_cut_before_it_is_spelled():
    assert as_text("\x1b" * 10, limit=3) == "\\x1b\\x1b…"


class Raises:
    def __init__(self, error):
        self.error = error

    def __repr__(self):
        raise self.error


class Says:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


class Nested:
    def __repr__(self):
        return repr(self)


class HostileName(type):
    @property
    def __name__(cls):
        raise RuntimeError


class Named(metaclass=HostileName):
    def __repr__(self):
        return "x" * 999


class Subclass(str):
    __slots__ = ()

    def __getitem__(self, _):
        raise RuntimeError

    def __len__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), SystemExit(), GeneratorExit(), RecursionError(), BaseException()]
)
def test_repr_that_raises_is_named(error):
    value, name = Raises(error), type(error).__name__
    assert shown(value) == f"<Raises whose repr raises {name}>"
    assert (
        str(UsageError("x", value, "an int"))
        == f"x must be an int; got <Raises whose repr raises {name}>"
    )


def test_interrupt_is_no_answer():
    with pytest.raises(KeyboardInterrupt):
        shown(Raises(KeyboardInterrupt()))


def test_repr_that_returns_no_text_is_named():
    assert shown(Says(5)) == "<Says whose repr raises TypeError>"


def test_repr_without_end_is_named():
    assert shown(Nested()) == "<Nested whose repr raises RecursionError>"


@pytest.mark.parametrize(
    "value",
    [
        Named(),
        Says(Subclass("abc")),
        Subclass("abc"),
        [Raises(ValueError())],
        {"a": Raises(ValueError())},
    ],
    ids=range(5),
)
def test_value_is_shown_despite_any_behaviour(value):
    assert 0 < len(shown(value)) < 300


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**7,
        b"x" * 10**7,
        list(range(10**5)),
        tuple(range(10**5)),
        set(range(10**5)),
        dict.fromkeys(range(10**5)),
        10**20_000,
        [["x" * 10**6] * 50] * 50,
    ],
    ids=["str", "bytes", "list", "tuple", "set", "dict", "int", "nested"],
)
def test_huge_value_is_looked_at_from_its_beginning_alone(value):
    tracemalloc.start()
    try:
        assert len(shown(value)) < 280
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "make",
    [
        lambda inner: [inner] * 50,
        lambda inner: (inner,) * 50,
        lambda inner: dict.fromkeys(range(50), inner),
    ],
)
def test_value_that_unfolds_without_end_is_shown(make):
    value = "x"
    for _ in range(30):
        value = make(value)
    assert len(shown(value)) < 280


def test_huge_repr_is_cut():
    assert len(shown(Says("y" * 10**7))) < 280


def test_value_that_contains_itself_is_shown():
    loop = []
    loop.append(loop)
    knot = {}
    knot["x"] = knot
    assert len(shown(loop)) < 280
    assert len(shown(knot)) < 280


def test_cut_value_names_its_class():
    assert shown("x" * 500) == f"'{'x' * 199}… (str)"


def test_dict_keeps_its_order():
    assert shown({"b": 1, "a": [2, {"c": ()}]}) == "{'b': 1, 'a': [2, {'c': ()}]}"


@pytest.mark.parametrize("text", ["one\ntwo", "\x1b[31m", "\u202e"])
def test_repr_is_shown_as_one_harmless_line(text):
    assert is_safe(shown(Says(text)))


def test_words_describe_and_are_not_quoted():
    assert str(UsageError("--table", NOTHING, "given")) == "--table must be given; got nothing"
    assert shown(Words("an int of 5 bits")) == "an int of 5 bits"
    assert is_safe(shown(Words("\x1bx")))


@pytest.mark.parametrize(
    "error",
    [
        NotFound("x" * 10**6),
        StoreUnavailable("x" * 10**6),
        UsageError("x" * 10**6, "x" * 10**6, "x" * 10**6),
    ],
)
def test_every_message_is_bounded(error):
    assert len(str(error)) < 5_000
