"""Contexts of traces as other processes give them: kept within bounds, and never a reason to fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.strategies import trace_parents
from workpool_aws.adapters.wire.trace import trace_from_wire, trace_to_wire
from workpool_aws.model.trace import TRACE_STATE, TraceContext

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "parent",
    [
        None,
        7,
        "",
        PARENT[:-1],
        PARENT + "-more",
        PARENT.upper(),
        PARENT.replace("00-", "01-", 1),
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        PARENT + "\n",
    ],
)
def test_read_passes_over_what_is_no_traceparent(parent: object) -> None:
    assert TraceContext.read(parent, "vendor=1") is None


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (None, None),
        (7, None),
        ("", None),
        ("vendor=1", "vendor=1"),
        ("a=1,b=\n", "a=1"),
        ("a=1, b=\x7f", "a=1"),
        ("\N{SNOWMAN}=1", None),
        (" a=1", None),
        ("a=" + "x" * 254, "a=" + "x" * 254),
        ("a=" + "x" * 255, None),
        ("a=1," + "b=" + "x" * 255, "a=1"),
        ("," * 1_000_000, "," * 256),
    ],
)
def test_read_keeps_first_entries_of_tracestate(state: object, kept: str | None) -> None:
    assert TraceContext.read(PARENT, state) == TraceContext(parent=PARENT, state=kept)


@given(trace_parents, st.text() | st.text("a=, \N{SNOWMAN}"))
def test_read_keeps_what_can_be_stored(parent: str, state: str) -> None:
    found = TraceContext.read(parent, state)

    assert found is not None
    assert len(found.parent.encode()) == 55
    assert found.state is None or TRACE_STATE.fullmatch(found.state)
    assert TraceContext.read(found.parent, found.state) == found


@pytest.mark.parametrize(
    "given_context",
    [
        TraceContext(parent=PARENT),
        TraceContext(parent=PARENT, state="vendor=1"),
        TraceContext(parent=PARENT, state="vendor=1").as_link(),
    ],
)
def test_wire_carries_context(given_context: TraceContext) -> None:
    assert trace_from_wire(trace_to_wire(given_context)) == given_context


@pytest.mark.parametrize(
    "value", [None, 7, [], {}, {"traceparent": 7}, {"traceparent": "x", "linked": True}]
)
def test_wire_passes_over_what_is_no_context(value: object) -> None:
    assert trace_from_wire(value) is None


def test_wire_takes_only_true_for_a_link() -> None:
    assert trace_from_wire({"traceparent": PARENT, "linked": "yes"}) == TraceContext(parent=PARENT)
