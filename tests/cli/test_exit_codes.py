"""Exit codes are what docs/operations.md and scripts rely on; an unknown pool shows near names."""

from __future__ import annotations

import pytest

from workpool_aws.cli import codes
from workpool_aws.cli.codes import UnknownPool


def test_exit_codes_are_those_of_documentation() -> None:
    found = {name: getattr(codes, name) for name in codes.__all__ if name.isupper()}

    assert found == {"FAILED": 1, "USAGE": 2, "UNFIT": 3, "DECLINED": 4, "INTERRUPTED": 130}


@pytest.mark.parametrize(
    ("count", "end"),
    [(0, "it has none yet"), (1, "it has p0"), (5, "it has p0, p1, p2, p3, p4")],
)
def test_unknown_pool_names_up_to_five_others(count: int, end: str) -> None:
    error = UnknownPool("mail", "jobs", [f"p{number}" for number in range(count)])

    assert str(error) == f"no pool mail is known in table jobs; {end}"


def test_unknown_pool_cuts_longer_list() -> None:
    error = UnknownPool("mail", "jobs", [f"p{number}" for number in range(6)])

    assert str(error).endswith("; it has p0, p1, p2, p3, p4, …")


def test_unknown_pool_suggests_up_to_five_near_names() -> None:
    near = [f"mail-{letter}" for letter in "abcdef"]

    error = UnknownPool("mail-x", "jobs", near)

    assert str(error).count("mail-") == 6
    assert "; did you mean mail-" in str(error)
