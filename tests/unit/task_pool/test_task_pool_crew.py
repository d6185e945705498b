"""A crew calls back as many resting threads as are wanted, and hires no more than it lacks."""

from __future__ import annotations

from contextlib import nullcontext

from workpool_aws.executor.crew import Crew
from workpool_aws.executor.threads import WorkerThread


def resting() -> WorkerThread:
    worker = WorkerThread()
    worker.bell.acquire()
    return worker


def test_crew_calls_those_that_rest_before_it_hires() -> None:
    served: list[WorkerThread] = []
    crew = Crew(4, idle_s=None, name="t", serve=served.append, opened=nullcontext())
    first, second = resting(), resting()
    crew._idle, crew.count = [first, second], 2

    crew.call_up(1)
    assert (crew._idle, crew.count) == ([first], 2)
    assert (second.called, first.called) == (True, False)
    crew.call_up(0)
    assert crew._idle == [first]
    crew.call_up(2)
    assert (crew._idle, crew.count, first.called) == ([], 3, True)
    crew.call_up(9)
    assert crew.count == 4
    for worker in list(crew._alive):
        assert worker.thread is not None
        worker.thread.join()
    assert len(served) == 2
