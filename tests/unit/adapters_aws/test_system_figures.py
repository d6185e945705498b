"""Figures of clock, chance and threads: units, bits, and how many calls run at a time."""

from __future__ import annotations

import threading

import pytest

from workpool_aws.adapters.system import (
    FAN_OUT_WORKERS,
    SystemClock,
    SystemEntropy,
    ThreadFanOut,
    stopwatch_ms,
)
from workpool_aws.process import LambdaProcess


def test_clock_drops_what_is_no_whole_millisecond(monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: 1_800_000_000_123_999_999)
    assert SystemClock().now() == 1_800_000_000_123


def test_stopwatch_keeps_what_is_no_whole_millisecond(monkeypatch):
    monkeypatch.setattr("time.monotonic_ns", lambda: 9_000_000_000_500_000)
    assert stopwatch_ms() == 9_000_000_000.5


def test_shortest_sleep_is_millisecond(monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    for ms in (1, 0):
        SystemClock().sleep(ms)
    assert slept == [0.001]


def test_fraction_has_bits_of_float(monkeypatch):
    asked = []

    def draw(bits):
        asked.append(bits)
        return 1 << (bits - 2)

    monkeypatch.setattr("secrets.randbits", draw)
    assert (SystemEntropy().fraction(), SystemEntropy().bits(7)) == (0.25, 32)
    assert asked == [53, 7]


def test_fan_out_makes_sixteen_calls_at_time():
    meeting = threading.Barrier(FAN_OUT_WORKERS)

    def call(n):
        meeting.wait(timeout=20)
        return n

    assert FAN_OUT_WORKERS == 16
    assert ThreadFanOut()(call, range(16)) == list(range(16))


def test_fan_out_takes_thread_less_than_calls_at_one_time():
    own, meeting = threading.current_thread().name, threading.Barrier(3)

    def name_of(_):
        return threading.current_thread().name

    def meet(n):
        meeting.wait(timeout=20)
        return name_of(n)

    assert ThreadFanOut()(name_of, [1]) == [own]
    assert ThreadFanOut()(name_of, []) == []
    assert sorted(ThreadFanOut()(meet, [1, 2, 3])) == sorted([own, "workpool-1", "workpool-2"])


def test_fan_out_raises_error_of_first_item_that_has_one():
    seconds_first = threading.Event()

    def call(n):
        if n == 1:
            assert seconds_first.wait(20)
        seconds_first.set()
        if n:
            raise KeyError(n)

    with pytest.raises(KeyError, match="1"):
        ThreadFanOut()(call, [0, 1, 2])


def test_calls_that_were_not_begun_are_left_out_when_caller_is_ended():
    """As by a signal, while it makes a call of its own."""
    begun, let_go, done, others = threading.Event(), threading.Event(), [], []
    own = threading.get_ident()

    class Ended(BaseException):
        pass

    def call(n):
        if threading.get_ident() == own:
            assert begun.wait(20)
            raise Ended
        others.append(threading.current_thread())
        done.append(n)
        begun.set()
        assert let_go.wait(20)

    with pytest.raises(Ended):
        ThreadFanOut(max_workers=2)(call, [1, 2, 3])
    let_go.set()
    others[0].join(20)

    assert len(done) == 1


def test_calls_are_made_in_their_own_thread_where_process_can_have_no_other(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    own = threading.get_ident()

    assert ThreadFanOut()(lambda _: threading.get_ident(), range(3)) == [own] * 3


def test_caller_that_makes_calls_itself_is_ended_at_once(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    def call(n):
        made.append(n)
        raise KeyboardInterrupt

    made = []
    monkeypatch.setattr("threading.Thread.start", refuse)
    with pytest.raises(KeyboardInterrupt):
        ThreadFanOut()(call, range(3))
    assert made == [0]


@pytest.mark.parametrize("fails", [False, True])
def test_alarm_ends_fan_out_wherever_its_calls_stand(fails):
    """A call in the thread of the alarm would take its error for one of its own."""
    begun, let_go, own = [], threading.Event(), threading.get_ident()

    class TooLong(Exception):
        pass

    def call(n):
        begun.append(n)
        assert threading.get_ident() != own
        if fails and n == 0:
            raise ValueError(n)
        assert let_go.wait(20)

    with pytest.raises(TooLong), LambdaProcess().interrupted_after(60, TooLong):
        ThreadFanOut(max_workers=2)(call, range(9))
    let_go.set()

    assert len(begun) <= 3
