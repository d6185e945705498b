"""The executor's lock and its inbox, step by step: what is added is queued once, and adding never waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.kit.gates import Caller, Gate
from workpool_aws.executor.entrance import Entrance


class Queue:
    """Takes note of what is queued, refuses some of it, and holds the entrance that it belongs to."""

    def __init__(self) -> None:
        self.queued: list[object] = []
        self.unable: list[tuple[object, str]] = []
        self.refused: set[str] = set()
        self.was_mine: list[bool] = []
        self.entrance = Entrance(self._queue, self._tell)

    def _queue(self, added: Any) -> None:
        self.was_mine.append(self.entrance.is_mine)
        if added in self.refused:
            raise RuntimeError(f"no thread for {added}")
        self.queued.append(added)

    def _tell(self, added: Any, error: RuntimeError) -> None:
        self.unable.append((added, str(error)))

    def put(self, *names: Any) -> None:
        for name in names:
            self.entrance.put(name)

    def take_back(self, name: Any) -> bool:
        return self.entrance.take_back(name)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@contextmanager
def held_elsewhere(queue: Queue) -> Iterator[None]:
    """Another thread changes the executor meanwhile, and lets go at the end."""
    gate = Gate()

    def change() -> None:
        with queue.entrance.settling, queue.entrance.lock:
            gate()

    holder = Caller(change)
    gate.wait_begun()
    try:
        yield
    finally:
        gate.open.set()
        assert holder.result() is None


def test_task_that_is_put_is_queued_at_once_under_lock(queue: Queue) -> None:
    queue.put("a", "b")

    assert (queue.queued, queue.was_mine) == (["a", "b"], [True, True])
    assert not queue.entrance.lock.locked()
    with held_elsewhere(queue):
        assert not queue.entrance.is_mine


def test_task_put_under_anothers_lock_is_queued_by_that_thread(
    queue: Queue,
) -> None:
    with held_elsewhere(queue):
        assert Caller(lambda: queue.put("a", "b")).result() is None
        assert queue.queued == []

    assert queue.queued == ["a", "b"]


def test_task_put_by_holder_is_queued_when_it_takes_in_or_leaves(queue: Queue) -> None:
    entrance = queue.entrance
    with entrance.settling, entrance.lock:
        queue.put("a")
        before = list(queue.queued)
        entrance.take_in()
        taken_in = list(queue.queued)
        queue.put("b")
        put_later = list(queue.queued)

    assert (before, taken_in, put_later, queue.queued) == ([], ["a"], ["a"], ["a", "b"])


def test_thread_that_changes_executor_knows_it_and_another_does_not(queue: Queue) -> None:
    entrance, elsewhere = queue.entrance, []
    before = entrance.is_mine
    with entrance.settling:
        about_to = entrance.is_mine
        with entrance.lock:
            holding = entrance.is_mine
            Caller(lambda: elsewhere.append(entrance.is_mine)).result()
            with entrance.settling:
                nested = entrance.is_mine
            after_nested = entrance.is_mine

    assert (before, about_to, holding, nested, after_nested) == (False, False, True, True, True)
    assert elsewhere == [False]


@pytest.mark.parametrize("nested", [0, 1, 2])
def test_thread_that_has_let_go_as_often_as_it_began_changes_nothing_any_more(
    queue: Queue, nested: int
) -> None:
    entrance = queue.entrance
    for _ in range(nested):
        entrance.begin()
    for _ in range(nested or 1):
        entrance.end()

    with entrance.lock:  # as if another thread held it
        assert not entrance.is_mine


def test_lock_is_let_go_in_block_and_taken_again(queue: Queue) -> None:
    entrance = queue.entrance
    with entrance.settling, entrance.lock:
        queue.put("before")
        with entrance.opened:
            on_entry = list(queue.queued)
            with held_elsewhere(queue):
                others_turn = entrance.is_mine
            assert entrance.lock.acquire(blocking=False)
            queue.put("within")
            entrance.lock.release()
        again = entrance.is_mine
        on_exit = list(queue.queued)

    assert (on_entry, others_turn, again) == (["before"], False, True)
    assert on_exit == ["before", "within"]
    assert not entrance.lock.locked()


def test_task_not_queued_yet_can_be_taken_back_once(queue: Queue) -> None:
    with held_elsewhere(queue):
        queue.put("a", "b")
        answers = [queue.take_back(name) for name in ("a", "a", "never put")]

    assert (answers, queue.queued) == ([True, False, False], ["b"])


def test_task_taken_back_while_taken_in_is_passed_over(queue: Queue) -> None:
    class Emptied(deque[Any]):
        def popleft(self) -> Any:
            self.clear()
            raise IndexError("pop from an empty deque")

    queue.entrance._inbox = Emptied()

    queue.put("a")

    assert queue.queued == []


def test_caller_learns_that_nothing_can_run_its_own_tasks_alone(queue: Queue) -> None:
    queue.refused = {"theirs", "mine"}
    with queue.entrance.lock:
        queue.put("theirs", "fine")

    with pytest.raises(RuntimeError, match="no thread for mine"):
        queue.put("mine")

    assert queue.unable == [("theirs", "no thread for theirs")]
    assert queue.queued == ["fine"]
    assert not queue.entrance.lock.locked()


def test_seal_takes_in_what_is_there_and_nothing_later(queue: Queue) -> None:
    entrance = queue.entrance
    with entrance.lock:
        queue.put("early")
        first = entrance.is_sealed, entrance.seal(), entrance.is_sealed
        queue.put("late")
        entrance.take_in()
        second = entrance.seal()
    entrance.settle()

    assert (first, second, queue.queued) == ((False, True, True), False, ["early"])
    assert queue.take_back("late")


def test_seal_on_empty_inbox_says_so(queue: Queue) -> None:
    with queue.entrance.lock:
        assert queue.entrance.seal() is False

    queue.put("late")

    assert queue.queued == []
