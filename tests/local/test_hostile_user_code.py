"""Nothing that user code raises breaks out of a cloud: each work item, callback and direct call ends as it would on Lambda."""

import asyncio
import json
import sys
from typing import Any

import boto3
import pytest

from workpool_aws import OnCompleteEvent, Result
from workpool_aws.local import LocalCloud


class Silent(Exception):
    def __str__(self) -> str:
        if self.args == ():
            raise RuntimeError("no text")
        return "text"

    __repr__ = __str__


class Nameless(type):
    @property
    def __name__(cls) -> Any:
        raise RuntimeError("no name")


class WithoutName(Exception, metaclass=Nameless):
    pass


class Recursing(Exception):
    def __getattribute__(self, name: str) -> Any:
        return getattr(self, name + "x")


ODD_EXCEPTIONS = [
    pytest.param(Silent(), id="text raises"),
    pytest.param(WithoutName("x"), id="name raises"),
    pytest.param(Recursing("x"), id="attributes recurse"),
    pytest.param(ValueError("lone \ud800"), id="lone surrogate"),
    pytest.param(ValueError("x" * 3_000_000), id="long text"),
    pytest.param(ExceptionGroup("several", [Silent()]), id="group"),
]
ENDS_OF_PROCESSES = [
    pytest.param(SystemExit(3), id="exit"),
    pytest.param(KeyboardInterrupt(), id="interrupt"),
    pytest.param(asyncio.CancelledError(), id="cancelled"),
    pytest.param(GeneratorExit(), id="generator"),
    pytest.param(BaseExceptionGroup("several", [KeyboardInterrupt()]), id="base group"),
]
odd_errors = pytest.mark.parametrize("error", ODD_EXCEPTIONS + ENDS_OF_PROCESSES)


def result_of(cloud: LocalCloud, fn: str, **options: Any) -> Result:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, fn, {}, **options)
    cloud.run_until_idle()
    result = pool.result(None, work_id)
    assert result is not None
    return result


@odd_errors
def test_undecorated_worker_fails(error: BaseException) -> None:
    def work(_event: object, _context: object) -> None:
        raise error

    with LocalCloud() as cloud:
        result = result_of(cloud, cloud.function(work))
        (invocation,) = cloud.invocations(work)

    assert result.kind == "failed"
    assert invocation.outcome in ("failed", "crashed")


@odd_errors
def test_decorated_worker_fails(error: BaseException) -> None:
    with LocalCloud() as cloud:

        @cloud.workpool().action
        def work() -> None:
            raise error

        result = result_of(cloud, cloud.function(work))

    assert result.kind == "failed"


@pytest.mark.parametrize("error", ENDS_OF_PROCESSES)
@pytest.mark.parametrize("decorated", [True, False])
def test_exit_of_process_is_crash(error: BaseException, *, decorated: bool) -> None:
    with LocalCloud() as cloud:

        def plain(_event: object, _context: object) -> None:
            raise error

        @cloud.workpool().action
        def worker() -> None:
            raise error

        result = result_of(cloud, cloud.function(worker if decorated else plain))
        outcomes = [each.outcome for each in cloud.invocations("worker" if decorated else "plain")]

    assert (result.kind, result.error_type) == ("failed", "crashed")
    assert outcomes == ["crashed"]


@odd_errors
@pytest.mark.parametrize("decorated", [True, False])
def test_callback_that_raises_leaves_work_item_as_it_is(
    error: BaseException, *, decorated: bool
) -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        def plain(_event: object, _context: object) -> None:
            raise error

        @pool.on_complete
        def handler(_event: OnCompleteEvent) -> None:
            raise error

        target = cloud.function(handler if decorated else plain)
        result = result_of(
            cloud, cloud.function(lambda _event, _context: 5, name="work"), on_complete=target
        )
        outcomes = {each.outcome for each in cloud.invocations(target)}

    assert (result.kind, result.return_value) == ("success", 5)
    assert outcomes <= {"failed", "crashed"}


@odd_errors
def test_worker_that_is_invoked_directly_answers_with_function_error(
    error: BaseException,
) -> None:
    with LocalCloud() as cloud:

        @cloud.workpool().action
        def work() -> None:
            raise error

        cloud.function(work)
        answers: list[Any] = []

        def caller(_event: object, _context: object) -> None:
            answers.append(boto3.client("lambda").invoke(FunctionName="work", Payload=b"{}"))

        cloud.invoke(cloud.function(caller), {})
        cloud.run_until_idle()
        outcome = cloud.invocations("caller")[0].outcome

    assert outcome == "success"
    assert answers[0]["FunctionError"] == "Unhandled"
    assert json.loads(answers[0]["Payload"].read())["errorType"]


@pytest.mark.parametrize(
    "value",
    [b"\xff", {1, 2}, {"a": object()}, float("nan"), "\ud800", 10**5000],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("decorated", [True, False])
def test_result_of_any_kind_leads_to_end(value: object, *, decorated: bool) -> None:
    with LocalCloud() as cloud:

        @cloud.workpool().action
        def worker() -> object:
            return value

        result = result_of(
            cloud, cloud.function(worker if decorated else lambda _event, _context: value)
        )

    assert result.kind in ("success", "failed")


def test_person_can_interrupt_handler_that_runs_in_tests_own_thread() -> None:
    with LocalCloud() as cloud:

        def interrupt(_event: object, _context: object) -> None:
            raise KeyboardInterrupt

        cloud.function(interrupt)
        with pytest.raises(KeyboardInterrupt):
            boto3.client("lambda").invoke(FunctionName="interrupt", Payload=b"{}")


def test_handler_that_exits_in_tests_own_thread_ends_only_its_function() -> None:
    with LocalCloud() as cloud:
        cloud.function(lambda _event, _context: sys.exit(2), name="leave")
        answer: Any = boto3.client("lambda").invoke(FunctionName="leave", Payload=b"{}")

    assert json.loads(answer["Payload"].read())["errorMessage"].endswith("exit status 2")
