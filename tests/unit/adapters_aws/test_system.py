"""The process's clock, chance and threads."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from workpool_aws.adapters.system import (
    FAN_OUT_WORKERS,
    SerialFanOut,
    SystemClock,
    SystemEntropy,
    ThreadFanOut,
)

SOME_DAY_OF_2024 = 1_704_067_200_000
SOME_DAY_OF_2100 = 4_102_444_800_000

FAN_OUTS = pytest.mark.parametrize(
    "fan_out",
    [ThreadFanOut(), ThreadFanOut(max_workers=2), SerialFanOut()],
    ids=["16", "2", "serial"],
)


def test_clock_counts_epoch_milliseconds():
    assert SOME_DAY_OF_2024 < SystemClock().now() < SOME_DAY_OF_2100


def test_sleep_of_zero_or_less_returns_at_once(monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    for ms in (-5, 0, 1500):
        SystemClock().sleep(ms)
    assert slept == [1.5]


def test_chance_stays_in_its_bounds():
    entropy = SystemEntropy()
    assert all(0 <= entropy.bits(3) < 8 for _ in range(200))
    assert {entropy.bits(1) for _ in range(200)} == {0, 1}
    assert all(0 <= entropy.fraction() < 1 for _ in range(200))


@pytest.mark.parametrize(("drawn", "fraction"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_fraction_is_what_is_drawn_of_all_that_could_be(monkeypatch, drawn, fraction):
    """All bits set is the largest fraction, which is below 1 by the last bit."""
    monkeypatch.setattr(
        "secrets.randbits", lambda bits: min(int(drawn * (1 << bits)), (1 << bits) - 1)
    )
    assert SystemEntropy().fraction() == pytest.approx(fraction, abs=1e-12)
    assert SystemEntropy().fraction() < 1


def test_tokens_are_short_and_never_same():
    tokens = {SystemEntropy().token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {16}


@FAN_OUTS
def test_results_come_in_order_of_items(fan_out):
    assert fan_out(lambda n: n * n, range(50)) == [n * n for n in range(50)]
    assert fan_out(str, []) == []
    assert fan_out(str, [7]) == ["7"]


@FAN_OUTS
def test_fan_out_ends_all_calls_before_it_raises_first_error(fan_out):
    ended = []

    def call(n):
        if n in (3, 5):
            raise ValueError(n)
        ended.append(n)

    with pytest.raises(ValueError, match=r"^3$"):
        fan_out(call, range(8))
    assert sorted(ended) == [0, 1, 2, 4, 6, 7]


@pytest.mark.parametrize(("at_once", "calls"), [(None, FAN_OUT_WORKERS), (40, 40), (3, 3)])
def test_calls_run_at_one_time_up_to_limit(at_once, calls):
    meeting = threading.Barrier(calls)
    meet = ThreadFanOut()(lambda _: meeting.wait(timeout=10), range(calls), at_once)
    assert sorted(meet) == list(range(calls))


def test_calls_are_made_here_where_no_thread_can_be_had(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert ThreadFanOut()(lambda _: threading.get_ident(), "abc") == [threading.get_ident()] * 3


def test_call_that_was_not_begun_is_not_made_behind_the_back_of_a_caller_that_is_ended(monkeypatch):
    begun, go_on, join = [], threading.Event(), threading.Thread.join
    before = {*threading.enumerate()}

    def call(n):
        begun.append(n)
        go_on.wait(10)

    def end(_thread):
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", end)
    monkeypatch.setattr("workpool_aws.adapters.system.may_be_interrupted", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        ThreadFanOut()(call, range(9), 2)
    go_on.set()
    for thread in {*threading.enumerate()} - before:
        join(thread, 10)

    assert len(begun) <= 2


def test_fan_out_of_one_needs_no_thread():
    assert ThreadFanOut()(lambda _: threading.get_ident(), ["only"]) == [threading.get_ident()]


def test_context_goes_into_threads_and_changes_stay_there():
    name = ContextVar("name", default="none")
    name.set("ours")

    def call(n):
        seen = name.get()
        name.set(str(n))
        return seen

    assert ThreadFanOut()(call, range(4)) == ["ours"] * 4
    assert name.get() == "ours"


def test_calls_may_fan_out_themselves():
    fan_out = ThreadFanOut(max_workers=2)
    assert fan_out(lambda n: sum(fan_out(lambda m: m, range(n))), range(6)) == [0, 0, 1, 3, 6, 10]


def test_end_of_process_passes_serial_fan_out_at_once():
    reached = []

    def call(n):
        reached.append(n)
        raise SystemExit

    with pytest.raises(SystemExit):
        SerialFanOut()(call, range(3))
    assert reached == [0]
