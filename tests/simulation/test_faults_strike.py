"""Each fault of the simulated cloud does what its name says, no more often than it may, and leaves a line in the trace."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.records import NOW, a_work, an_id
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.errors import UsageError
from workpool_aws.local import LocalCloud
from workpool_aws.local.engines.direct import SteppingStore
from workpool_aws.local.faults.faults import (
    CallThrottled,
    CallUnanswered,
    Fault,
    Faults,
    NoFaults,
    answered_as,
)
from workpool_aws.local.faults.seeded import SeededFaults
from workpool_aws.local.kernel.chance import ReplayChooser
from workpool_aws.local.kernel.virtual import START, VirtualKernel
from workpool_aws.local.services.schedules import EmulatedSchedule, Schedules
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.writes import Put

FAR = EpochMs(START + 3_600_000)
STRIKES = 1
PASSES = 0
NOTHING: dict[str, str] = {}


@dataclass
class Scene:
    """One process that makes calls, under faults by order.

    `choices` are the answers to every question of chance, in order.
    """

    kernel: VirtualKernel
    faults: SeededFaults
    applied_ms: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def call(
        self, label: str, *, writes: bool, answer: Callable[[], str] = lambda: "answer"
    ) -> None:
        """Run a process that makes one call, and everything that follows."""

        def apply() -> str:
            self.applied_ms.append(self.kernel.now() - START)
            return answer()

        def body() -> None:
            try:
                self.told.append(self.kernel.call(label, apply, writes=writes))
            except (CallThrottled, CallUnanswered, KeyError) as error:
                self.told.append(type(error).__name__)

        self.kernel.spawn("process", body)
        self.kernel.run(FAR)

    @property
    def notes(self) -> list[str]:
        return [line.label for line in self.kernel.trace if line.label.startswith("**")]


MakeScene = Callable[..., Scene]


@pytest.fixture
def make() -> Iterator[MakeScene]:
    kernels: list[VirtualKernel] = []

    def make_scene(
        *kinds: Fault, choices: tuple[int, ...] = (), budget: int = 1, **plan: Any
    ) -> Scene:
        chooser = ReplayChooser(choices)
        faults = SeededFaults(
            Faults(rates=dict.fromkeys(kinds, 1.0), budget=budget, **plan), chooser, "loop"
        )
        kernel = VirtualKernel(chooser=chooser, faults=faults)
        faults.attach(kernel)
        kernels.append(kernel)
        return Scene(kernel, faults)

    yield make_scene
    for kernel in kernels:
        kernel.close()


@pytest.mark.parametrize(
    ("kind", "choices", "applied_ms", "told"),
    [
        (Fault.CRASH_BEFORE, (STRIKES,), [], []),
        (Fault.CRASH_AFTER, (STRIKES,), [0], []),
        (Fault.FROZEN, (STRIKES, 2), [70_000], ["answer"]),
        (Fault.STANDS_STILL, (STRIKES, 2), [70_000], ["answer"]),
        (Fault.STANDS_STILL, (PASSES, STRIKES, 1), [0], ["answer"]),
        (Fault.CUT_OFF, (STRIKES, 0, 0, 1), [], ["CallUnanswered"]),
        (Fault.CUT_OFF, (STRIKES, 0, 0, 2), [3_000], ["answer"]),
        (Fault.THROTTLED, (STRIKES, 0, 1), [60], ["answer"]),
        (Fault.THROTTLED, (STRIKES, 1), [], ["CallThrottled"]),
        (Fault.SERVER_ERROR, (STRIKES, 0, 1), [60], ["answer"]),
        (Fault.SERVER_ERROR, (STRIKES, 1), [], ["CallUnanswered"]),
        (Fault.CONFLICT, (STRIKES, 0, 1), [60], ["answer"]),
        (Fault.CONFLICT, (STRIKES, 1), [], ["CallThrottled"]),
        (Fault.WRITE_LOST, (STRIKES, 0, 2), [3_000], ["answer"]),
        (Fault.WRITE_LOST, (STRIKES, 1), [], ["CallUnanswered"]),
        (Fault.WRITE_LATE, (STRIKES, 3, 0, 1), [45_000], ["CallUnanswered"]),
        (Fault.WRITE_LATE, (STRIKES, 4, 0, 0, 0), [0, 90_000], ["answer"]),
        (Fault.WRITE_LATE, (STRIKES, 0, 1), [500], []),
        (Fault.ANSWER_LOST, (STRIKES, 1), [0], ["CallUnanswered"]),
        (Fault.ANSWER_LOST, (STRIKES, 0, 1), [0, 60], ["answer"]),
    ],
)
def test_fault_at_write(
    make: MakeScene, kind: Fault, choices: tuple[int, ...], applied_ms: list[int], told: list[str]
) -> None:
    scene = make(kind, choices=choices)

    scene.call("put WorkItem 1", writes=True)

    assert scene.applied_ms == applied_ms
    assert scene.told == told
    assert scene.faults.struck == [kind]
    assert scene.notes[0] == f"** {kind}: put WorkItem 1"


def test_standstill_is_of_all_threads_of_process(make: MakeScene) -> None:
    scene = make(Fault.STANDS_STILL, choices=(STRIKES, 1))
    awake: list[int] = []

    def wait() -> None:
        for _ in range(3):
            scene.kernel.sleep(5_000)
            awake.append(scene.kernel.now() - START)

    def begin() -> None:
        task = scene.kernel.current()
        assert task is not None
        scene.kernel.spawn("thread", wait, process=task)
        scene.kernel.sleep(7_000)
        scene.kernel.call("put WorkItem 1", lambda: None, writes=True)

    scene.kernel.spawn("process", begin)
    scene.kernel.run(FAR)

    assert awake == [5_000, 25_000, 30_000]


def test_cut_off_is_of_one_process(make: MakeScene) -> None:
    scene = make(Fault.CUT_OFF, choices=(STRIKES, 2, 1))

    scene.call("put WorkItem 1", writes=True)
    scene.call("put WorkItem 2", writes=True)

    assert scene.told == ["CallUnanswered", "answer"]


@pytest.mark.parametrize(
    "kind", [Fault.CONFLICT, Fault.WRITE_LOST, Fault.WRITE_LATE, Fault.ANSWER_LOST]
)
def test_faults_of_writes_leave_reads_alone(make: MakeScene, kind: Fault) -> None:
    scene = make(kind, choices=(STRIKES,))

    scene.call("get WorkItem 1", writes=False)

    assert scene.told == ["answer"]
    assert scene.faults.struck == []


def test_read_meets_failing_service_too(make: MakeScene) -> None:
    scene = make(Fault.SERVER_ERROR, choices=(STRIKES, 1))

    scene.call("get WorkItem 1", writes=False)

    assert scene.told == ["CallUnanswered"]


def test_invoke_conflicts_with_nothing(make: MakeScene) -> None:
    scene = make(Fault.CONFLICT, choices=(STRIKES,))

    scene.call("invoke worker 1", writes=True)

    assert scene.told == ["answer"]


def test_invoke_is_sent_once(make: MakeScene) -> None:
    scene = make(Fault.WRITE_LOST, choices=(STRIKES,))

    scene.call("invoke worker 1", writes=True)

    assert scene.applied_ms == []
    assert scene.told == ["CallUnanswered"]


def test_repeated_transaction_is_applied_once(make: MakeScene) -> None:
    scene = make(Fault.ANSWER_LOST, choices=(STRIKES, 0, 1))

    scene.call("transact 2", writes=True)

    assert scene.applied_ms == [0]
    assert scene.told == ["answer"]


def test_refusal_is_answer(make: MakeScene) -> None:
    scene = make()

    scene.call("put WorkItem 1", writes=True, answer=lambda: NOTHING["refused"])

    assert scene.told == ["KeyError"]


def test_budget_is_most_that_strikes(make: MakeScene) -> None:
    scene = make(Fault.FROZEN, budget=2, choices=(STRIKES, 0) * 5)

    for _ in range(4):
        scene.call("get LoopStatus a", writes=False)

    assert scene.faults.struck == [Fault.FROZEN] * 2


def test_faults_end(make: MakeScene) -> None:
    scene = make(Fault.FROZEN, budget=9, choices=(STRIKES, 2) * 5, until=timedelta(seconds=30))

    for _ in range(3):
        scene.call("get LoopStatus a", writes=False)

    assert scene.applied_ms == [70_000] * 3


def test_faults_strike_where_they_are_aimed(make: MakeScene) -> None:
    scene = make(Fault.CRASH_BEFORE, aim="put WorkItem", choices=(STRIKES,) * 5)

    scene.call("put Notice 1", writes=True)
    scene.call("put WorkItem 1", writes=True)

    assert scene.told == ["answer"]
    assert scene.notes == ["** crash before: put WorkItem 1"]


@pytest.mark.parametrize(
    ("kind", "choices", "delays"),
    [
        (Fault.EVENT_LOST, (STRIKES,), ()),
        (Fault.EVENT_TWICE, (STRIKES, 3), (0, 20_000)),
        (Fault.EVENT_LATE, (STRIKES, 4), (75_000,)),
        (Fault.LOOP_LOST, (), (0,)),
        (Fault.EVENT_LOST, (PASSES,), (0,)),
    ],
)
def test_fault_of_event(
    make: MakeScene, kind: Fault, choices: tuple[int, ...], delays: tuple[int, ...]
) -> None:
    assert make(kind, choices=choices).faults.event_delays("worker") == delays


def test_loop_event_is_lost_as_such_and_no_other(make: MakeScene) -> None:
    assert make(Fault.LOOP_LOST, choices=(STRIKES,)).faults.event_delays("loop") == ()


@pytest.mark.parametrize(
    ("kind", "choices", "delays"),
    [
        (Fault.RECORD_LOST, (STRIKES,), ()),
        (Fault.RECORD_TWICE, (STRIKES, 0), (0, 1_000)),
        (Fault.RECORD_LATE, (STRIKES, 1), (20_000,)),
    ],
)
def test_fault_of_destination(
    make: MakeScene, kind: Fault, choices: tuple[int, ...], delays: tuple[int, ...]
) -> None:
    assert make(kind, choices=choices).faults.record_delays("worker") == delays


@pytest.mark.parametrize(
    ("kind", "choices", "delays"),
    [
        (Fault.WAKE_NEVER, (STRIKES,), ()),
        (Fault.WAKE_TWICE, (STRIKES,), (0, 7_000)),
        (Fault.WAKE_LATE, (STRIKES, 2), (60_000,)),
    ],
)
def test_fault_of_schedule(
    make: MakeScene, kind: Fault, choices: tuple[int, ...], delays: tuple[int, ...]
) -> None:
    assert make(kind, choices=choices).faults.wake_delays("pool") == delays


@pytest.mark.parametrize("replaced", [True, False])
def test_schedule_fires_after_its_deletion(make: MakeScene, replaced: bool) -> None:
    scene = make(Fault.WAKE_DELETED, choices=(STRIKES,))
    sent: list[str] = []
    schedules = Schedules(
        scene.kernel,
        ReplayChooser(()),
        "exact",
        lambda _, payload: sent.append(payload),
        scene.faults,
    )
    first = EmulatedSchedule(
        group="g", name="pool", at=EpochMs(START + 60_000), target="loop", payload="first"
    )
    schedules.put(first)

    if replaced:
        schedules.put(replace(first, at=EpochMs(START + 90_000), payload="second"))
    else:
        schedules.drop("g", "pool")
    scene.kernel.run(FAR)

    assert sent == (["first", "second"] if replaced else ["first"])


def test_items_of_torn_batch_are_read_one_by_one() -> None:
    memory, labels = MemoryStore(lambda: NOW), list[str]()
    works = [a_work(id=an_id(n=n)) for n in (1, 2)]
    for work in works:
        memory.write(Put(work))

    def call(label: str, apply: Callable[[], Any], *, writes: bool) -> Any:
        labels.append(label)
        return apply()

    found = SteppingStore(call, memory, torn_batches=True).get_many(
        [WorkRef(work.pool, work.id) for work in works]
    )

    assert list(found.values()) == works
    assert labels == ["get one of 2"] * 2


def test_tick_is_dropped(make: MakeScene) -> None:
    faults = make(Fault.TICK_DROPPED, choices=(STRIKES,)).faults

    assert [faults.tick_comes() for _ in range(2)] == [False, True]


def test_each_process_keeps_its_own_clock(make: MakeScene) -> None:
    scene = make(skewed_clocks=True, choices=(1, 0, 2))
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        scene.kernel.spawn(
            "process",
            lambda: seen.append((scene.faults.clock_offset_ms(), scene.faults.clock_offset_ms())),
        )
    scene.kernel.run(FAR)

    assert sorted(seen) == [(-2_000, -2_000), (0, 0)]
    assert scene.faults.clock_offset_ms() == 0


def test_run_without_faults_does_all_once_and_in_time() -> None:
    faults = NoFaults()

    assert [faults.event_delays("f"), faults.record_delays("f"), faults.wake_delays("f")] == [
        (0,)
    ] * 3
    assert faults.tick_comes()
    assert faults.clock_offset_ms() == 0


def test_port_names_trouble_in_its_own_words() -> None:
    with (
        pytest.raises(KeyError, match="busy"),
        answered_as(throttled=KeyError, unanswered=LookupError),
    ):
        raise CallThrottled("busy")
    with (
        pytest.raises(LookupError, match="silent"),
        answered_as(throttled=KeyError, unanswered=LookupError),
    ):
        raise CallUnanswered("silent")


@pytest.mark.parametrize(
    "plan", [{"rates": {Fault.FROZEN: 1.5}}, {"budget": -1}, {"jitter_ms": -1}]
)
def test_plan_that_makes_no_sense_is_refused(plan: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Faults(**plan)


@pytest.mark.parametrize("options", [{"engine": "moto"}, {"engine": "memory", "clock": "real"}])
def test_faults_need_virtual_time_and_memory(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="faults"):
        LocalCloud(faults=Faults(), **options)
