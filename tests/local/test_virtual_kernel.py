"""The deterministic kernel: one baton, jumping time, kills, stalls."""

import _thread
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from workpool_aws.local.kernel.chance import ReplayChooser, SeededChooser
from workpool_aws.local.kernel.kernel import Crashed, Killed, LocalCloudError
from workpool_aws.local.kernel.virtual import START, VirtualKernel
from workpool_aws.model.ids import EpochMs

FAR = EpochMs(START + 10**9)

Make = Callable[..., VirtualKernel]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[VirtualKernel] = []

    def make_kernel(**options: Any) -> VirtualKernel:
        kernel = VirtualKernel(**options)
        made.append(kernel)
        return kernel

    yield make_kernel
    for kernel in made:
        kernel.close()


def spawn_counters(kernel: VirtualKernel, *, tasks: int = 4, calls: int = 20) -> list[str]:
    """Tasks that take turns in writing their names down."""
    written: list[str] = []

    def write_of(name: str) -> Callable[[], None]:
        def body() -> None:
            for _ in range(calls):
                kernel.call("write", lambda: written.append(name), writes=True)

        return body

    for number in range(tasks):
        kernel.spawn(f"task-{number}", write_of(f"task-{number}"))
    return written


def trace_of(kernel: VirtualKernel) -> str:
    return "\n".join(str(line) for line in kernel.trace)


def test_same_seed_gives_same_trace_byte_for_byte(make: Make) -> None:
    traces = []
    for _ in range(2):
        kernel = make(seed=7, latency_ms=3)
        spawn_counters(kernel)
        kernel.run(FAR)
        traces.append(trace_of(kernel))

    assert traces[0].encode() == traces[1].encode()
    assert len(traces[0].splitlines()) == 80


def test_different_seeds_give_different_orders(make: Make) -> None:
    orders = set()
    for seed in range(8):
        kernel = make(seed=seed)
        written = spawn_counters(kernel)
        kernel.run(FAR)
        orders.add(tuple(written))

    assert len(orders) == 8


def test_recorded_run_is_replayed(make: Make) -> None:
    chooser = SeededChooser(3)
    original = make(chooser=chooser)
    spawn_counters(original)
    original.run(FAR)

    replay = make(chooser=ReplayChooser(chooser.log))
    spawn_counters(replay)
    replay.run(FAR)

    assert trace_of(replay) == trace_of(original)


def test_task_goes_on_undisturbed_without_choices(make: Make) -> None:
    kernel = make(chooser=ReplayChooser([]))
    written = spawn_counters(kernel, tasks=3, calls=5)

    kernel.run(FAR)

    assert written == ["task-0"] * 5 + ["task-1"] * 5 + ["task-2"] * 5


def test_calls_are_indivisible_and_only_calls_switch(make: Make) -> None:
    kernel = make(seed=1)
    running: list[str] = []
    overlaps: list[str] = []

    def body() -> None:
        for _ in range(50):
            running.append("x")
            if len(running) > 1:
                overlaps.append("between two calls")
            running.pop()
            kernel.step("step")

    for number in range(4):
        kernel.spawn(f"t{number}", body)
    kernel.run(FAR)

    assert overlaps == []


def test_time_jumps_to_next_sleeper(make: Make) -> None:
    kernel = make()
    woken: list[tuple[int, str]] = []

    def sleeper(name: str, ms: int) -> Callable[[], None]:
        def body() -> None:
            kernel.sleep(ms)
            woken.append((kernel.now() - START, name))

        return body

    for name, ms in (("late", 86_400_000), ("early", 5), ("middle", 60_000)):
        kernel.spawn(name, sleeper(name, ms))
    began = time.monotonic()
    kernel.run(FAR)

    assert woken == [(5, "early"), (60_000, "middle"), (86_400_000, "late")]
    assert time.monotonic() - began < 5


def test_run_ends_at_its_limit_and_next_one_goes_on(make: Make) -> None:
    kernel = make()
    woken: list[int] = []

    def body() -> None:
        for _ in range(3):
            kernel.sleep(100)
            woken.append(kernel.now() - START)

    kernel.spawn("t", body)
    kernel.run(EpochMs(START + 200))
    until_then = list(woken)
    kernel.run(FAR)

    assert until_then == [100, 200]
    assert woken == [100, 200, 300]


def test_call_takes_its_latency(make: Make) -> None:
    kernel = make(latency_ms=7)
    spawn_counters(kernel, tasks=1, calls=3)

    kernel.run(FAR)

    assert [line.at - START for line in kernel.trace] == [7, 14, 21]


def test_alarms_go_off_in_order_and_last_ones_after_tasks_of_their_instant(make: Make) -> None:
    kernel = make()
    seen: list[str] = []

    def body() -> None:
        kernel.sleep(50)
        seen.append("task")

    kernel.spawn("t", body)
    at = EpochMs(START + 50)
    kernel.at(at, lambda: seen.append("last"), last=True)
    kernel.at(at, lambda: seen.append("first"))
    kernel.at(EpochMs(START + 40), lambda: seen.append("before"))
    kernel.at(at, lambda: seen.append("canceled")).cancel()
    kernel.run(FAR)

    assert seen == ["before", "first", "task", "last"]


def test_canceled_alarm_does_not_move_time(make: Make) -> None:
    kernel = make()
    kernel.at(EpochMs(START + 500), lambda: None).cancel()

    kernel.run(FAR)

    assert kernel.now() == START


def test_killed_task_dies_at_its_next_call_even_if_it_swallows_first_death(
    make: Make,
) -> None:
    kernel = make()
    seen: list[str] = []

    def body() -> None:
        try:
            kernel.sleep(1_000)
        except Killed:
            seen.append("killed at the sleep")
        try:
            kernel.call("after", lambda: seen.append("applied"), writes=True)
        finally:
            seen.append("finally")

    task = kernel.spawn("t", body)
    kernel.at(EpochMs(START + 10), lambda: kernel.kill(task))
    kernel.run(FAR)

    assert seen == ["killed at the sleep", "finally"]
    assert kernel.now() == START + 10
    assert task.done


def test_ordinary_handlers_do_not_stop_kill(make: Make) -> None:
    kernel = make()
    seen: list[str] = []

    def body() -> None:
        while True:
            try:
                kernel.sleep(1)
            except Exception:  # noqa: BLE001 - as careless user code does
                seen.append("swallowed")

    task = kernel.spawn("t", body)
    kernel.at(EpochMs(START + 5), lambda: kernel.kill(task))
    kernel.run(FAR)

    assert seen == []
    assert task.done


@pytest.mark.parametrize(("applied", "expected"), [(False, [1, 2]), (True, [1, 2, 3])])
def test_planned_crash_strikes_before_or_after_its_call(
    make: Make, applied: bool, expected: list[int]
) -> None:
    kernel = make()
    done: list[int] = []
    raised: list[type[BaseException]] = []

    def body() -> None:
        task = kernel.current()
        assert task is not None
        task.crash_in, task.crash_applied = 3, applied
        try:
            for number in range(1, 10):
                kernel.call(f"call {number}", partial(done.append, number), writes=True)
        except Killed as killed:
            raised.append(type(killed))
            raise

    task = kernel.spawn("t", body)
    kernel.run(FAR)

    assert done == expected
    assert raised == [Crashed]
    assert task.crashed


def test_tasks_own_error_is_raised_outside(make: Make) -> None:
    kernel = make()

    def body() -> None:
        raise ZeroDivisionError("in the simulation")

    kernel.spawn("t", body)

    with pytest.raises(ZeroDivisionError, match="in the simulation"):
        kernel.run(FAR)


def test_error_in_alarm_is_raised_outside_and_tasks_survive_it(make: Make) -> None:
    kernel = make()
    seen: list[str] = []

    def fire() -> None:
        raise ZeroDivisionError("in an alarm")

    def body() -> None:
        kernel.sleep(20)
        seen.append("slept")

    kernel.spawn("t", body)
    kernel.at(EpochMs(START + 10), fire)
    with pytest.raises(ZeroDivisionError, match="in an alarm"):
        kernel.run(FAR)
    kernel.run(FAR)

    assert seen == ["slept"]


def test_calls_from_outside_apply_at_once_and_run_no_task(make: Make) -> None:
    kernel = make()
    written = spawn_counters(kernel, tasks=1, calls=1)

    answer = kernel.call("ask", lambda: len(written), writes=False)

    assert answer == 0
    assert [(line.task, line.label) for line in kernel.trace] == [("-", "ask")]


def test_threads_that_task_starts_call_beside_it(make: Make) -> None:
    kernel = make()
    written: list[int] = []

    def body() -> None:
        threads = [
            threading.Thread(
                target=lambda n=n: kernel.call("foreign", lambda: written.append(n), writes=True)
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kernel.call("own", lambda: written.append(-1), writes=True)

    kernel.spawn("t", body)
    kernel.run(FAR)

    assert sorted(written) == [-1, *range(8)]
    assert written[-1] == -1


def test_task_cannot_let_time_pass_for_all(make: Make) -> None:
    kernel = make()
    errors: list[str] = []

    def body() -> None:
        try:
            kernel.run(FAR)
        except LocalCloudError as error:
            errors.append(str(error))

    kernel.spawn("t", body)
    kernel.run(FAR)

    assert len(errors) == 1


def test_task_that_waits_for_another_is_reported_with_its_stack(make: Make) -> None:
    kernel = make(stall_timeout_s=0.2)
    never = threading.Event()

    def wait_for_another_worker() -> None:
        never.wait(30)

    kernel.spawn("waiting-worker", wait_for_another_worker)
    with pytest.raises(LocalCloudError) as raised:
        kernel.run(FAR)
    never.set()

    assert "waiting-worker" in str(raised.value)
    assert "wait_for_another_worker" in str(raised.value)


def test_stalled_task_is_out_and_others_go_on(make: Make) -> None:
    kernel = make(stall_timeout_s=0.2, chooser=ReplayChooser([]))
    free = threading.Event()
    ended = threading.Event()
    seen: list[str] = []

    def stuck() -> None:
        free.wait(30)
        try:
            kernel.call("too late", lambda: seen.append("stuck"), writes=True)
        finally:
            ended.set()

    kernel.spawn("stuck", stuck)
    kernel.spawn("other", lambda: kernel.call("fine", lambda: seen.append("other"), writes=True))
    with pytest.raises(LocalCloudError, match="stuck"):
        kernel.run(FAR)
    kernel.run(FAR)
    free.set()

    assert ended.wait(10)
    assert seen == ["other"]


def test_computing_for_long_is_no_stall(make: Make) -> None:
    kernel = make(stall_timeout_s=0.1)
    results: list[int] = []

    def compute() -> None:
        until = time.thread_time() + 0.35
        count = 0
        while time.thread_time() < until:
            count += 1
        results.append(count)

    kernel.spawn("computing", compute)
    kernel.run(FAR)

    assert len(results) == 1


def test_code_that_polls_for_what_only_time_brings_comes_to_end(make: Make) -> None:
    kernel = make()
    polls: list[int] = []

    def poll() -> None:
        while kernel.now() < START + 50:
            kernel.call("poll", lambda: polls.append(1), writes=False)

    kernel.spawn("polling", poll)
    kernel.run(FAR)

    assert kernel.now() == START + 50
    assert 1_000 < len(polls) < 1_100


def test_code_that_never_accepts_its_death_is_kept_from_running() -> None:
    kernel = VirtualKernel()
    survived: list[int] = []

    def immortal() -> None:
        while True:
            try:
                kernel.sleep(10)
            except BaseException:  # noqa: BLE001 - as bad as user code gets
                survived.append(1)

    task = kernel.spawn("immortal", immortal)
    kernel.at(EpochMs(START + 25), lambda: kernel.kill(task))
    kernel.spawn("other", lambda: kernel.sleep(100))
    kernel.run(FAR)
    kernel.close()

    assert kernel.now() == START + 100
    assert len(survived) < 2_000


def test_task_waits_for_others(make: Make) -> None:
    kernel = make()
    seen: list[str] = []

    def child(ms: int) -> None:
        kernel.sleep(ms)
        seen.append(f"child {ms}")

    def parent() -> None:
        kernel.join([kernel.spawn(f"c{ms}", partial(child, ms)) for ms in (30, 10, 20)])
        seen.append(f"parent at {kernel.now() - START}")
        kernel.join([])
        seen.append("nothing to wait for")

    kernel.spawn("parent", parent)
    kernel.run(FAR)

    assert seen == ["child 10", "child 20", "child 30", "parent at 30", "nothing to wait for"]


def test_waiting_task_can_be_killed(make: Make) -> None:
    kernel = make()
    ended: list[int] = []

    def parent() -> None:
        try:
            kernel.join([kernel.spawn("child", lambda: kernel.sleep(1_000))])
        finally:
            ended.append(kernel.now() - START)

    task = kernel.spawn("parent", parent)
    kernel.at(EpochMs(START + 5), lambda: kernel.kill(task))
    kernel.run(FAR)

    assert ended == [5]


def test_closing_kills_all_tasks_and_ends_all_threads() -> None:
    before = set(threading.enumerate())
    kernel = VirtualKernel()
    ended: list[str] = []

    def body() -> None:
        try:
            kernel.sleep(10**9)
        except Killed:
            ended.append("killed")
            raise

    for number in range(5):
        kernel.spawn(f"t{number}", body)
    kernel.spawn("never started", lambda: ended.append("started"))
    kernel.run(EpochMs(START + 10))
    kernel.spawn("never started either", lambda: ended.append("started late"))
    kernel.close()

    assert ended == ["started"] + ["killed"] * 5
    assert set(threading.enumerate()) <= before


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that runs this in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupted_run_can_be_closed() -> None:
    kernel = VirtualKernel()

    def body() -> None:
        _thread.interrupt_main()
        while True:
            kernel.step("on and on")

    task = kernel.spawn("t", body)
    with pytest.raises(KeyboardInterrupt):
        kernel.run(FAR)
    kernel.close()

    assert task.done


def test_jump_is_announced_and_may_be_interrupted(make: Make) -> None:
    kernel = make()
    jumps: list[tuple[int, int]] = []
    seen: list[int] = []

    def watch(now: EpochMs, to: EpochMs) -> None:
        jumps.append((now - START, to - START))
        if now == START:
            kernel.at(EpochMs(START + 30), lambda: seen.append(kernel.now() - START))

    kernel.watch_jumps(watch, 1)
    kernel.at(EpochMs(START + 100), lambda: seen.append(kernel.now() - START))
    kernel.run(EpochMs(START + 500))

    assert jumps == [(0, 100), (30, 100), (100, 500)]
    assert seen == [30, 100]


def test_sleeping_outside_lets_world_run_on(make: Make) -> None:
    kernel = make()
    seen: list[int] = []
    kernel.at(EpochMs(START + 40), lambda: seen.append(40))
    kernel.at(EpochMs(START + 60), lambda: seen.append(60))

    kernel.sleep(50)

    assert seen == [40]
    assert kernel.now() == START + 50


def test_calls_are_cheap(make: Make) -> None:
    kernel = make()
    spawn_counters(kernel, tasks=10, calls=1_000)

    began = time.process_time()
    kernel.run(FAR)
    used = time.process_time() - began

    # 10,000 calls take about 0.2 s of one core; ten times as much would make simulations useless.
    assert used < 2


def test_thread_of_process_that_stands_still_begins_when_that_is_over() -> None:
    """It was started just before. Nothing else is ready, and its calls take no time."""
    kernel, seen = VirtualKernel(), list[int]()

    def beside() -> None:
        while True:
            kernel.sleep(100)
            kernel.call("beat", lambda: seen.append(kernel.now() - START), writes=True)

    def body() -> None:
        process = kernel.current()
        assert process is not None
        kernel.spawn("beside", beside, process=process)
        process.still_until = EpochMs(kernel.now() + 1_000)
        kernel.sleep(1_000)

    kernel.spawn("process", body)
    kernel.run(EpochMs(START + 1_150))
    kernel.close()

    assert seen
    assert min(seen) >= 1_000
