"""The process of the operating system, as Lambda runs a worker: threads beside user code, its interruption, its end."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tests.kit.records import NOW, an_assignment
from tests.kit.world import World
from workpool_aws import Workpool, process
from workpool_aws.api.vigil import Vigil, current_vigil
from workpool_aws.model.ids import EpochMs
from workpool_aws.process import LambdaProcess


def test_main_thread_is_interrupted_wherever_it_waits() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with (
        pytest.raises(TimeoutError, match="too long"),
        LambdaProcess().interrupted_after(20, lambda: TimeoutError("too long")),
    ):
        threading.Event().wait(30)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@contextmanager
def silent_client(attempts: int) -> Iterator[Any]:
    """A client of a service that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = boto3.client(
            "dynamodb",
            endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
            region_name="eu-west-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(
                read_timeout=60, retries={"total_max_attempts": attempts, "mode": "standard"}
            ),
        )
        with closing(client):
            yield client


@pytest.mark.parametrize("attempts", [1, 3])
def test_request_of_sdk_is_interrupted_which_takes_error_for_its_own(attempts: int) -> None:
    """It would repeat the request, and the code would go on; or report that the service is silent."""
    with (
        silent_client(attempts) as client,
        pytest.raises(TimeoutError, match="too long"),
        LambdaProcess().interrupted_after(20, lambda: TimeoutError("too long")),
    ):
        client.list_tables()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_code_that_takes_interruption_for_failed_request_is_over_time() -> None:
    """Its time was over, even if it ends before the next strike."""
    with (
        silent_client(1) as client,
        pytest.raises(TimeoutError, match="too long"),
        LambdaProcess().interrupted_after(20, lambda: TimeoutError("too long")),
        suppress(BotoCoreError),
    ):
        client.list_tables()


def test_job_that_waits_for_silent_service_ends_as_timeout() -> None:
    """The worker, too, takes the error of the SDK for that of the code."""
    world = World()
    with silent_client(1) as client:

        @Workpool("email").action
        def worker() -> None:
            client.list_tables()

        assignment = an_assignment(timeout_ms=20)
        vigil = Vigil(world.ports, assignment, None, NOW, EpochMs(NOW + 60_000))
        shown = current_vigil.set(vigil)
        try:
            report = worker._run_body(world.ports, assignment, {}, token=None)
        finally:
            current_vigil.reset(shown)

    assert report.error_type == "timeout"


def test_code_that_ends_in_time_is_not_interrupted() -> None:
    with LambdaProcess().interrupted_after(60_000, lambda: TimeoutError("too long")):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_interruption_that_comes_late_strikes_nothing() -> None:
    with LambdaProcess().interrupted_after(60_000, lambda: TimeoutError("too long")):
        handler = signal.getsignal(signal.SIGALRM)
    assert callable(handler)
    handler(signal.SIGALRM, None)


def test_another_thread_is_not_interrupted() -> None:
    seen: list[object] = []

    def body() -> None:
        with LambdaProcess().interrupted_after(1, lambda: TimeoutError("too long")):
            seen.append(signal.getitimer(signal.ITIMER_REAL))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(10)
    assert seen == [(0.0, 0.0)]


def test_thread_beside_waits_until_it_is_stopped() -> None:
    said: list[bool] = []
    ended = threading.Event()

    def body(wait: object) -> None:
        assert callable(wait)
        said.append(wait(1))
        said.append(wait(60_000))
        ended.set()

    beside = LambdaProcess().beside("beside", body)
    beside.stop()
    beside.stop()
    assert ended.wait(10)
    assert said[-1] is True


def test_end_of_process_runs_no_further_code(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(process.os, "_exit", codes.append)
    LambdaProcess().end()
    assert codes == [70]
