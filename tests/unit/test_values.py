"""Values made quickly are those that Python's own frozen dataclasses would be, and nothing writes to one."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, field, fields, is_dataclass
from dataclasses import dataclass as by_python
from dataclasses import replace as replace_by_python
from datetime import timedelta
from pathlib import Path

import pytest

import workpool_aws
from workpool_aws import insights, local, task_pool, values
from workpool_aws.adapters.items.capacity import Capacity, Units
from workpool_aws.core.loop.memory import Memory
from workpool_aws.model.rate import RateLimit
from workpool_aws.values import dataclass, replace

ROOT = Path(__file__).parents[2]

FROZEN_BY_PYTHON = """
import dataclasses
from workpool_aws import values
values.dataclass = dataclasses.dataclass
values.replace = dataclasses.replace
from tests.simulation.sweep import run_of_seed
from workpool_aws.core.loop.memory import Memory
assert Memory.__dataclass_params__.frozen
found = run_of_seed(12)
assert found.violation is None, found.report()
print(found.calls)
"""


@dataclass(frozen=True, slots=True)
class Quick:
    """As the library's own."""

    name: str
    places: tuple[int, ...] = ()
    seen: list[str] = field(default_factory=list, compare=False)


@by_python(frozen=True, slots=True)
class Slow:
    """As Python makes them."""

    name: str
    places: tuple[int, ...] = ()
    seen: list[str] = field(default_factory=list, compare=False)


@pytest.mark.parametrize("kind", [Quick, Slow])
def test_value_is_equal_hashed_and_shown_by_its_fields(kind):
    one, same, other = kind("a", (1,)), kind("a", (1,), ["x"]), kind("a", (2,))
    assert one == same != other
    assert hash(one) == hash(same) == hash(("a", (1,)))
    assert repr(one) == f"{kind.__name__}(name='a', places=(1,), seen=[])"
    assert replace(one, name="b") == kind("b", (1,))
    assert kind.__match_args__ == ("name", "places", "seen")


def test_value_takes_no_field_that_it_does_not_have():
    with pytest.raises(AttributeError):
        Quick("a").nmae = "b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed(Quick):
    """With fields by position before fields by name, of which one is declared between."""

    size: int
    _: str = ""


@dataclass(frozen=True, slots=True)
class Single:
    """Of one field."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Open:
    """Without slots, so that it would take any name."""

    name: str
    size: int = 1


@dataclass(frozen=True, slots=True)
class Checked:
    """Which refuses some values."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low above high")


@dataclass(slots=True)
class Counted:
    """With a field that it makes itself."""

    name: str
    size: int = 1
    made: list[str] = field(init=False, default_factory=list)


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (Quick("a", (1,), ["x"]), {}),
        (Quick("a", (1,), ["x"]), {"name": "b"}),
        (Quick("a", (1,), ["x"]), {"seen": [], "places": ()}),
        (Slow("a", (1,), ["x"]), {"name": "b"}),
        (Mixed("a", (1,), ["x"], size=3), {"size": 4, "name": "b"}),
        (Single(("a", "b")), {}),
        (Single(("a", "b")), {"names": ("c",)}),
        (Open("a"), {"size": 2}),
        (Checked(1, 2), {"low": 2}),
        (Counted("a"), {"size": 2}),
    ],
    ids=repr,
)
def test_copy_is_the_one_that_python_makes(value, changes):
    before = repr(value)
    copy, wanted = replace(value, **changes), replace_by_python(value, **changes)
    assert type(copy) is type(value)
    for each in fields(value):
        assert getattr(copy, each.name) == getattr(wanted, each.name), each.name
    assert copy == wanted
    assert copy is not value
    assert repr(value) == before


def test_copy_holds_the_same_objects():
    seen = ["x"]
    assert replace(Quick("a", (1,), seen), name="b").seen is seen


@pytest.mark.parametrize("value", [Quick("a"), Slow("a"), Single(()), Open("a"), Checked(1, 2)])
def test_copy_takes_no_field_that_the_value_does_not_have(value):
    with pytest.raises((AttributeError, TypeError), match="nmae"):
        replace(value, nmae="b")


def test_copy_is_checked_where_its_kind_checks_values():
    with pytest.raises(ValueError, match="low above high"):
        replace(Checked(1, 2), low=3)


def test_copy_is_made_by_a_kind_that_makes_its_values_itself():
    @values.dataclass(slots=True, init=False)
    class Converting:
        number: int
        note: str

        def __init__(self, number, note):
            self.number, self.note = int(number), note

    assert values.replace(Converting("3", "x"), number="7") == Converting(7, "x")


def test_copy_of_a_memory_of_a_loop_is_made_quickly():
    """By position, and not field by field."""
    assert values._copier(Memory) is not None


def test_public_value_is_frozen_by_python():
    with pytest.raises(FrozenInstanceError):
        RateLimit(1, per=timedelta(minutes=1)).n = 2


@pytest.mark.parametrize("module", [workpool_aws, insights, local, task_pool])
def test_no_public_value_is_one_of_those_made_quickly(module):
    public = [getattr(module, name) for name in module.__all__]
    kinds = [kind for kind in public if is_dataclass(kind)]
    assert [kind.__name__ for kind in kinds if kind.__dataclass_params__.unsafe_hash] == []


def test_value_that_a_cloud_hands_out_is_frozen_by_python():
    assert Capacity.__dataclass_params__.frozen
    assert Units.__dataclass_params__.frozen


def test_value_that_is_no_frozen_one_has_no_hash():
    @dataclass(slots=True)
    class Open:
        name: str

    with pytest.raises(TypeError, match="unhashable"):
        hash(Open("a"))


def test_memory_of_a_loop_is_made_quickly():
    """Frozen by Python, a value of so many fields takes several times as long."""
    assert not Memory.__dataclass_params__.frozen


def test_no_step_writes_to_a_value():
    """A whole run under faults, in which Python refuses every write to a value."""
    ran = subprocess.run(
        [sys.executable, "-c", FROZEN_BY_PYTHON],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 300
