"""Tasks that no drain waited for run at the interpreter's end, also at that of a child of multiprocessing."""

from __future__ import annotations

import multiprocessing.util
import sys
from typing import Any

import pytest

from workpool_aws import TaskPool
from workpool_aws.errors import TasksFailed
from workpool_aws.task_pool import pool as module

calls = list[tuple[Any, ...]]


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> calls:
    found: calls = []
    monkeypatch.setattr(sys, "excepthook", lambda *given: found.append(given))
    return found


def fail() -> None:
    raise KeyError("lost")


def test_failures_of_tasks_that_nobody_waited_for_are_reported_at_exit(hooked: calls) -> None:
    pool = TaskPool(max_workers=1)
    pool.add(fail)

    module._finish_at_exit()
    module._finish_at_exit()

    ((kind, group, trace),) = hooked
    assert (kind, trace) == (TasksFailed, None)
    assert [str(each) for each in group.exceptions] == ["'lost'"]


@pytest.mark.parametrize("is_child", [True, False])
def test_child_of_multiprocessing_finishes_before_its_pools_end(
    monkeypatch: pytest.MonkeyPatch, *, is_child: bool
) -> None:
    registered: calls = []
    finalized: list[tuple[Any, ...]] = []
    util = multiprocessing.util
    monkeypatch.setattr(util, "register_after_fork", lambda *given: registered.append(given))
    monkeypatch.setattr(
        util, "Finalize", lambda *given, exitpriority: finalized.append((*given, exitpriority))
    )
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object() if is_child else None)

    module._join_multiprocessing()

    at_exit = (None, module._finish_at_exit, 100)
    ((about, after_fork),) = registered
    assert (about, finalized) == (TaskPool, [at_exit] if is_child else [])
    after_fork(TaskPool)
    assert finalized[-1] == at_exit


def test_program_without_multiprocessing_loads_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: calls = []
    monkeypatch.setattr(
        multiprocessing.util, "register_after_fork", lambda *given: registered.append(given)
    )
    monkeypatch.delitem(sys.modules, "multiprocessing.util")

    module._join_multiprocessing()

    assert registered == []
