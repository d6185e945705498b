"""Values made quickly are those that Python's own frozen dataclasses would be, and nothing writes to one."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, field, is_dataclass, replace
from dataclasses import dataclass as by_python
from datetime import timedelta
from pathlib import Path

import pytest

import workpool_aws
from workpool_aws import insights, local, task_pool
from workpool_aws.adapters.items.capacity import Capacity, Units
from workpool_aws.core.loop.memory import Memory
from workpool_aws.model.rate import RateLimit
from workpool_aws.values import dataclass

ROOT = Path(__file__).parents[2]

FROZEN_BY_PYTHON = """
import dataclasses
from workpool_aws import values
values.dataclass = dataclasses.dataclass
from tests.simulation.sweep import run_of_seed
from workpool_aws.core.loop.memory import Memory
assert Memory.__dataclass_params__.frozen
calls = 0
for seed in (3, 12, 20):
    found = run_of_seed(seed)
    assert found.violation is None, found.report()
    calls += found.calls
print(calls)
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
    """Whole runs under faults, in which Python refuses every write to a value."""
    ran = subprocess.run(
        [sys.executable, "-c", FROZEN_BY_PYTHON],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 300
