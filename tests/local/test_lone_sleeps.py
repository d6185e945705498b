"""A task that sleeps while no other could act passes the time by itself, and the order stays."""

from workpool_aws.local.kernel.virtual import START, VirtualKernel
from workpool_aws.model.ids import EpochMs


def test_sleep_lets_what_is_due_come_first() -> None:
    kernel = VirtualKernel()
    seen: list[tuple[str, int]] = []

    def note(what: str) -> None:
        seen.append((what, kernel.now() - START))

    def body() -> None:
        for _ in range(3):
            kernel.sleep(10)
            note("task")

    kernel.at(EpochMs(START + 10), lambda: note("same instant"))
    kernel.at(EpochMs(START + 15), lambda: note("between"))
    kernel.at(EpochMs(START + 30), lambda: note("last"), last=True)
    kernel.at(EpochMs(START + 25), lambda: note("canceled")).cancel()
    kernel.spawn("t", body)
    kernel.run(EpochMs(START + 100))
    kernel.close()

    assert seen == [
        ("same instant", 10),
        ("task", 10),
        ("between", 15),
        ("task", 20),
        ("task", 30),
        ("last", 30),
    ]


def test_others_run_meanwhile() -> None:
    kernel = VirtualKernel()
    seen: list[tuple[str, int]] = []

    def sleeper(name: str, ms: int) -> None:
        for _ in range(2):
            kernel.sleep(ms)
            seen.append((name, kernel.now() - START))

    kernel.spawn("slow", lambda: sleeper("slow", 50))
    kernel.spawn("quick", lambda: sleeper("quick", 20))
    kernel.run(EpochMs(START + 100))
    kernel.close()

    assert seen == [("quick", 20), ("quick", 40), ("slow", 50), ("slow", 100)]


def test_run_ends_before_sleep_that_is_longer() -> None:
    kernel = VirtualKernel()
    seen: list[int] = []

    def body() -> None:
        kernel.sleep(50)
        seen.append(kernel.now() - START)

    kernel.spawn("t", body)
    kernel.run(EpochMs(START + 49))
    before = list(seen)
    kernel.run(EpochMs(START + 50))
    kernel.close()

    assert (before, seen) == ([], [50])


def test_watch_is_asked_where_multiple_is_passed_and_may_set_alarm_on_way() -> None:
    kernel = VirtualKernel()
    asked: list[tuple[int, int]] = []
    seen: list[tuple[str, int]] = []

    def watch(now: EpochMs, to: EpochMs) -> None:
        asked.append((now - START, to - START))
        if now - START == 900:
            kernel.at(EpochMs(START + 1_000), lambda: seen.append(("alarm", kernel.now() - START)))

    def body() -> None:
        for _ in range(4):
            kernel.sleep(300)
            seen.append(("task", kernel.now() - START))

    kernel.watch_jumps(watch, 1_000)
    kernel.spawn("t", body)
    kernel.run(EpochMs(START + 1_200))
    kernel.close()

    assert asked == [(900, 1_200)]
    assert seen == [("task", 300), ("task", 600), ("task", 900), ("alarm", 1_000), ("task", 1_200)]


def test_call_that_takes_no_time_lets_what_is_due_come_first() -> None:
    kernel = VirtualKernel()
    seen: list[str] = []

    def body() -> None:
        kernel.call("first", lambda: seen.append("first"), writes=False)
        kernel.at(kernel.now(), lambda: seen.append("due"))
        kernel.call("second", lambda: seen.append("second"), writes=False)

    kernel.spawn("t", body)
    kernel.run(EpochMs(START + 10))
    kernel.close()

    assert seen == ["first", "due", "second"]
    assert kernel.now() == START
    assert [line.label for line in kernel.trace] == ["first", "second"]


def test_call_that_takes_no_time_lets_another_task_act() -> None:
    kernel = VirtualKernel()
    seen: list[str] = []

    def body() -> None:
        kernel.call("first", lambda: seen.append("first"), writes=False)
        other = kernel.spawn("other", lambda: seen.append("other"))
        kernel.join([other])
        kernel.call("second", lambda: seen.append("second"), writes=False)

    kernel.spawn("t", body)
    kernel.run(EpochMs(START + 10))
    kernel.close()

    assert seen == ["first", "other", "second"]


def test_interrupted_task_stops_at_its_next_call_though_it_is_alone() -> None:
    kernel = VirtualKernel()
    seen: list[str] = []

    def body() -> None:
        task = kernel.current()
        assert task is not None
        kernel.call("first", lambda: seen.append("first"), writes=False)
        kernel.interrupt(task, TimeoutError())
        try:
            kernel.call("second", lambda: seen.append("second"), writes=False)
        except TimeoutError:
            seen.append("interrupted")

    kernel.spawn("t", body)
    kernel.run(EpochMs(START + 10))
    kernel.close()

    assert seen == ["first", "interrupted"]


def test_sleep_of_less_than_no_time_does_not_turn_the_clock_back() -> None:
    kernel = VirtualKernel()
    seen: list[int] = []

    def body() -> None:
        kernel.sleep(5)
        kernel.sleep(-3)
        seen.append(kernel.now() - START)

    kernel.spawn("t", body)
    kernel.run(EpochMs(START + 10))
    kernel.close()

    assert seen == [5]
