"""Forked children and clones of a snapshot share nothing that must be theirs alone: ids, connections, held locks."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from datetime import timedelta
from types import ModuleType

import boto3
import pytest

from workpool_aws import incarnation
from workpool_aws.adapters.aws.clients import aws_ports
from workpool_aws.adapters.system import SystemEntropy
from workpool_aws.api.id_sequence import IdSequence
from workpool_aws.incarnation import ForkSafeLock, PerIncarnation
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import EpochMs, make_ids
from workpool_aws.settings import Settings

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

DUE = EpochMs(1_800_000_000_000)


def in_child(body):
    """Return the value of `body` in a forked child, which must end within ten seconds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(body()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    assert answer, "the child raised or hung"
    return json.loads(answer)


def test_forked_children_enqueue_under_ids_of_their_own():
    with LocalCloud(clock="virtual", engine="memory") as cloud:
        fn = cloud.function(lambda event, context: None, name="f")
        pool = cloud.workpool("p")
        at = cloud.now + timedelta(hours=1)
        first = pool.enqueue_action(None, fn, {}, run_at=at)

        def children():
            return [pool.enqueue_action(None, fn, {}, run_at=at) for _ in range(20)]

        ids = [first, *in_child(children), *in_child(children), *children()]
    assert len(set(ids)) == len(ids)


def test_children_of_multiprocessing_enqueue_under_ids_of_their_own():
    sequence = IdSequence()
    sequence.take(1, DUE, random_bits=SystemEntropy().bits(75), shards=1)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def take():
        queue.put(
            [
                sequence.take(1, DUE, random_bits=SystemEntropy().bits(75), shards=1)[0]
                for _ in range(100)
            ]
        )

    workers = [context.Process(target=take) for _ in range(4)]
    for worker in workers:
        worker.start()
    taken = [work_id for _ in workers for work_id in queue.get()]
    for worker in workers:
        worker.join()
    assert len(set(taken)) == len(taken) == 400


def test_clones_of_snapshot_need_no_hook_to_take_other_ids():
    original = IdSequence()
    original.take(3, DUE, random_bits=SystemEntropy().bits(75), shards=1)
    image = pickle.dumps(original._last)
    taken = []
    for _ in range(50):
        clone = IdSequence()
        clone._last = pickle.loads(image)  # noqa: S301 - written four lines above
        taken += [
            clone.take(2, DUE, random_bits=SystemEntropy().bits(75), shards=1) for _ in range(10)
        ]
    flat = [work_id for ids in taken for work_id in ids]
    assert len(set(flat)) == len(flat)


@pytest.mark.parametrize("bits", [0, 1, (1 << 75) - 1, 1 << 74, 0x155555555555555555])
def test_ids_of_one_time_keep_their_order_whatever_chance(bits):
    sequence = IdSequence()
    taken = [
        work_id
        for _ in range(3_000)
        for work_id in sequence.take(2, DUE, random_bits=bits, shards=1)
    ]
    assert taken == sorted(set(taken))


def test_ids_begin_anew_where_numbers_of_time_run_out():
    last = "7ZZZZZZZZZ" + "Z" * 16
    assert next(make_ids(DUE, random_bits=9, after=last))[10:] < last[10:]


def test_last_ids_of_few_due_times_are_remembered_and_no_more():
    sequence = IdSequence()
    for n in range(200):
        sequence.take(1, EpochMs(DUE + n), random_bits=n, shards=1)
    assert len(sequence._last) == 64


def test_lock_held_by_thread_of_parent_is_open_in_child():
    lock, entered, leave = ForkSafeLock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    try:

        def take():
            got = lock._lock.acquire(timeout=5)
            return [got]

        assert in_child(take) == [True]
    finally:
        leave.set()
        holder.join()


def test_client_in_making_does_not_stop_child():
    entered, leave = threading.Event(), threading.Event()

    def slowly():
        entered.set()
        return leave.wait(10)

    maker = threading.Thread(target=PerIncarnation(slowly))
    maker.start()
    entered.wait(10)
    try:
        assert in_child(PerIncarnation(lambda: 7)) == 7
    finally:
        leave.set()
        maker.join()


def test_child_makes_clients_of_its_own(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    session = boto3.Session(
        region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    ports = aws_ports("t-1", session, settings=Settings())
    before = id(ports.store._client())
    assert id(ports.store._client()) == before
    kept = ports.store._client()
    assert in_child(lambda: ports.store._client() is kept) is False


def test_restored_snapshot_makes_its_values_anew():
    hooks = []
    runtime = ModuleType("snapshot_restore_py")
    runtime.register_after_restore = hooks.append
    made = iter(range(5))
    value = PerIncarnation(lambda: next(made))
    sys.modules["snapshot_restore_py"] = runtime
    try:
        assert value() == value() == 0
        incarnation._register_restore()
        hooks[0]()
        assert value() == value() == 1
    finally:
        del sys.modules["snapshot_restore_py"]


def test_hook_is_registered_on_import():
    script = """
import sys, types
hooks = []
sys.modules["snapshot_restore_py"] = types.SimpleNamespace(register_after_restore=hooks.append)
import workpool_aws.incarnation as i
value = i.PerIncarnation(object)
first = value()
hooks[0]()
print(len(hooks), value() is first)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "False"]
