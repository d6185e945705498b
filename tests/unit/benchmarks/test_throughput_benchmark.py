"""The throughput benchmark: figures that a seed repeats, and a loop that pays for its CPU."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.loop_cpu import LoopCpu, RequestCpu, share_of_core
from benchmarks.throughput import LEAN, ORDINARY, Burst, Trickle, main, run
from workpool_aws.local.kernel.kernel import Task

pytestmark = pytest.mark.form

CPU = RequestCpu(read=1, write=2, transaction=4, invoke=3, work_row=1, notice_row=1, ledger_entry=1)
LOOP = Task("workpool-loop#1", lambda: None)
WORKER = Task("worker#2", lambda: None)


def a_loop(share: float = 0.5) -> LoopCpu:
    loop = LoopCpu(CPU, share, latency_ms=5)
    loop.keep_time_by(lambda: 1_000.0)
    return loop


def test_request_of_loop_takes_its_cpu_divided_by_share() -> None:
    assert a_loop().faults().call_ms(LOOP, "update WorkRef 1") == 4
    assert a_loop().faults().call_ms(LOOP, "query work pool") == 2
    assert a_loop().faults().call_ms(LOOP, "transact 3") == 8


def test_request_of_another_function_takes_network_time_alone() -> None:
    assert a_loop().faults().call_ms(WORKER, "update WorkRef 1") == 0
    assert a_loop().faults().call_ms(WORKER, "invoke fn 1/1") == 25


def test_requests_at_one_time_queue_for_core() -> None:
    call_ms = a_loop().faults().call_ms
    lane = Task("workpool-loop#1/0", lambda: None, process=LOOP)
    assert [call_ms(LOOP, "put Ledger b"), call_ms(lane, "put Ledger b")] == [4, 8]


def test_rows_are_charged_with_next_request_of_process() -> None:
    loop = a_loop()
    call_ms = loop.faults().call_ms
    call_ms(LOOP, "query work pool")
    loop.owe(10)
    assert call_ms(LOOP, "query work pool") == 2 + 2 + 20
    assert loop.busy_ms == 12


def test_share_of_core_is_that_of_memory_and_never_above_one() -> None:
    assert share_of_core(1_769) == 1
    assert share_of_core(10_240) == 1
    assert share_of_core(256) == pytest.approx(0.145, abs=0.001)


def test_burst_repeats_for_seed_and_runs_each_job_once() -> None:
    burst = Burst(4, 20, 256)
    figures = run(burst, seed=3)
    assert figures == run(burst, seed=3)
    assert 0 < figures.slots_filled <= 1
    assert 0 < figures.core_busy <= 1
    assert figures.lag_p50_ms <= figures.lag_p95_ms


def test_smaller_loop_starts_fewer_work_items_second() -> None:
    whole = Burst(50, 150, memory_mb=1_769)
    small = replace(whole, memory_mb=256)
    assert run(small, 1, ORDINARY).starts_per_s < 0.65 * run(whole, 1, ORDINARY).starts_per_s


def test_lean_calls_start_more_work_items_second() -> None:
    burst = Burst(50, 150, 256)
    assert run(burst, 1, LEAN).starts_per_s > 1.3 * run(burst, 1, ORDINARY).starts_per_s


def test_trickle_counts_all_arrivals() -> None:
    assert Trickle(5, 4, 256, seconds=2).jobs == 10
    assert run(Trickle(5, 4, 256, seconds=4), seed=1).starts_per_s == pytest.approx(5, rel=0.6)


def test_command_prints_one_object_scenario(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.throughput.BURSTS", (Burst(2, 4, 256),))
    monkeypatch.setattr("benchmarks.throughput.ARRIVALS", ())
    assert main(["--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["scenario"] == "burst of 4, limit 2, loop of 256 MB"
