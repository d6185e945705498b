"""Interruptions of a pool may add to it.

They are finalizers, signal handlers, and threads that hold a lock that these want.

Each scene runs in a process of its own, which shows its threads and ends if it hangs.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PREAMBLE = """
import faulthandler, gc, os, signal, sys, threading
from functools import partial

faulthandler.dump_traceback_later(60, exit=True)

from workpool_aws import TaskPool, TasksFailed, UsageError
from workpool_aws.errors import TaskPoolClosed

ran = []


class Late:
    # In a cycle, so that only the collector ends it: anywhere.
    def __init__(self, pool_of, number):
        self.me, self.pool_of, self.number = self, pool_of, number

    def __del__(self):
        self.pool_of().add(partial(ran.append, self.number))
"""

FINALIZERS = """
pool = TaskPool(max_workers=4, idle_timeout=0)
numbers = iter(range(10**9))


def litter(count):
    for n in range(count):
        gc.set_threshold(1 + n % 29)  # so that it runs at each of the places in turn
        Late(lambda: pool, next(numbers))
        pool.add(lambda: Late(lambda: pool, next(numbers)))
        pool.stats()


gc.set_threshold(1)
threads = [threading.Thread(target=litter, args=(150,)) for _ in range(3)]
for thread in threads:
    thread.start()
litter(150)
for thread in threads:
    thread.join()
gc.set_threshold(0)
gc.collect()
pool.drain()
gc.collect()
pool.done()
print(len(ran), len(set(ran)), next(numbers), pool.stats().workers)
"""

SHARED = """
made = 0


def litter(count):
    global made
    for _ in range(count):
        made += 1
        gc.set_threshold(1 + made % 29)
        Late(TaskPool.shared, made)
        TaskPool.shared().add(list)
        if not made % 7:
            TaskPool.shared().done()


gc.set_threshold(1)
litter(600)
gc.set_threshold(0)
gc.collect()
TaskPool.shared().done()
from workpool_aws.executor.executor import unfinished

for crew in unfinished():
    crew.drain()
print(len(ran), len(set(ran)), made)
"""

SIGNALS = """
pool = TaskPool(max_workers=2, idle_timeout=0)
handled = 0
refused = 0


def handle(number, frame):
    global handled, refused
    handled += 1
    pool.add(partial(ran.append, handled))
    pool.stats()
    if handled % 3:
        return
    try:
        pool.drain()
    except UsageError:
        refused += 1


signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0004, 0.0004)
while handled < 600:
    pool.add(int, int)
    pool.drain()
signal.setitimer(signal.ITIMER_REAL, 0)
pool.done()
print(len(ran) == handled, sorted(ran) == list(range(1, handled + 1)))
"""

LOCKS = """
# A finalizer that wants a lock whose holder adds: as a logging handler that ships lines by the pool.
pool = TaskPool(max_workers=2, idle_timeout=0)
lock = threading.RLock()


class Logs:
    def __init__(self):
        self.me = self

    def __del__(self):
        # In a thread whose start is still waited for, by one that may hold the lock: CPython's own deadlock.
        if threading.get_ident() not in threading._active:
            return
        if not lock.acquire(timeout=30):
            faulthandler.dump_traceback()
            os._exit(3)
        ran.append(1)
        lock.release()


def ship(count):
    for n in range(count):
        gc.set_threshold(3 + n % 5)
        with lock:
            pool.add(list)
        Logs()
        pool.add(list)


sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=ship, args=(1_500,)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
gc.set_threshold(0)
pool.done()
print(pool.stats().completed)
"""


def output_of(scene: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + scene],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_finalizers_add_wherever_collector_runs():
    ran, different, made, workers = map(int, output_of(FINALIZERS).split())

    assert (ran, different) == (made, made)
    assert made >= 1_200
    assert workers == 0


def test_finalizers_find_shared_pool_wherever_collector_runs():
    ran, different, made = map(int, output_of(SHARED).split())

    assert (ran, different, made) == (600, 600, 600)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this platform")
def test_signal_handlers_add_wherever_they_strike():
    assert output_of(SIGNALS).split() == ["True", "True"]


def test_finalizer_may_want_lock_whose_holder_adds():
    assert output_of(LOCKS).split() == ["12000"]
