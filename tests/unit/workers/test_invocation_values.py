"""Outside an invocation nothing is noted about one."""

from __future__ import annotations

from contextvars import Context, ContextVar

from workpool_aws import invocation


def test_values_of_invocation_are_none_outside_of_one() -> None:
    values = {name: each for name, each in vars(invocation).items() if isinstance(each, ContextVar)}

    assert {"begun", "raised", "progress"} <= {*values}
    # A context of its own: the surroundings may have some.
    assert {name: Context().run(each.get) for name, each in values.items()} == dict.fromkeys(values)
