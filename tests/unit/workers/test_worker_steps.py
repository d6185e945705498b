"""The steps of a decorated worker, in their order, and the table afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.lambdas import TIME_LEFT_MS, LambdaContext, event_of
from tests.kit.records import NOW, a_policy, a_work
from tests.kit.stores import FaultyStore, first, lost_after, lost_before
from tests.kit.world import World
from workpool_aws import NonRetryableError, RetryLater, UsageError, Workpool, invocation
from workpool_aws.adapters.items.capacity import ITEM_BYTES_MAX, item_size
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.wire.report import REPORTED, read_carried
from workpool_aws.api.worker import ReportNotWritten
from workpool_aws.core import limits
from workpool_aws.flow.report.complete import complete
from workpool_aws.model.events import AttemptRaised, DuplicateRefused, PutBack
from workpool_aws.model.messages import Assignment, ReportKind
from workpool_aws.model.payload import Chunked, Inline, inline_text
from workpool_aws.model.spec import Kind, Outcome
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Update, Write


class Spy:
    """A function of a user's that counts its runs."""

    def __init__(self, world: World, body: Callable[[], object] = lambda: "done") -> None:
        self.runs = 0
        self._body = body
        pool = world.pool()

        def work_it(n: int = 0) -> object:
            assert isinstance(n, int)
            self.runs += 1
            return self._body()

        self.handler = pool.action(work_it)

    def __call__(self, assignment: Assignment, **arguments: object) -> object:
        return self.handler(event_of(assignment, **arguments), LambdaContext())


def raising(error: BaseException) -> Callable[[], object]:
    def body() -> object:
        raise error

    return body


@pytest.fixture
def claimed(world: World) -> Assignment:
    return world.start(a_work())


@pytest.fixture
def retried(world: World) -> Assignment:
    return world.start(a_work(claimed=False, retry=a_policy()))


def test_success_is_recorded_with_its_value(world: World, claimed: Assignment) -> None:
    spy = Spy(world, lambda: {"n": [1, 2]})

    answer = spy(claimed)

    stored = world.work(claimed.work_id)
    assert answer == REPORTED
    assert spy.runs == 1
    assert (stored.state, stored.outcome, inline_text(stored.result), stored.attempts_made) == (
        State.FINISHED,
        Outcome.SUCCESS,
        '{"n":[1,2]}',
        1,
    )


def test_failure_without_policy_ends_work(world: World, claimed: Assignment) -> None:
    answer = Spy(world, raising(ValueError("boom")))(claimed)

    stored = world.work(claimed.work_id)
    assert answer == REPORTED
    assert (stored.outcome, stored.error, stored.error_type) == (
        Outcome.FAILED,
        "boom",
        "ValueError",
    )


@pytest.mark.peer("ER04", "CP03")
def test_failure_with_attempts_left_is_tried_again(world: World, retried: Assignment) -> None:
    Spy(world, raising(ValueError("boom")))(retried)

    stored = world.work(retried.work_id)
    assert (stored.state, stored.attempts_made, stored.due_at) == (State.PENDING, 1, NOW + 250)


class MarkedError(Exception):
    workpool_non_retryable = True


@pytest.mark.parametrize("error", [NonRetryableError("no"), MarkedError("no")])
@pytest.mark.peer("ER01", "ER03", "CP04")
def test_error_may_end_work_whatever_is_left(
    world: World, retried: Assignment, error: Exception
) -> None:
    Spy(world, raising(error))(retried)

    stored = world.work(retried.work_id)
    assert (stored.state, stored.outcome, stored.error_type) == (
        State.FINISHED,
        Outcome.FAILED,
        type(error).__name__,
    )


@pytest.mark.parametrize(
    ("delay", "due_at"),
    [
        (timedelta(seconds=30), NOW + 30_000),
        (timedelta(microseconds=1), NOW + 1),
        (timedelta(seconds=-5), NOW),
        (timedelta.min, NOW),
        (timedelta.max, NOW + 366 * 86_400_000),
    ],
)
def test_error_may_name_its_own_delay(
    world: World, retried: Assignment, delay: timedelta, due_at: int
) -> None:
    Spy(world, raising(RetryLater(delay)))(retried)

    stored = world.work(retried.work_id)
    assert (stored.state, stored.attempts_made, stored.due_at) == (State.PENDING, 1, due_at)


def test_asking_for_later_without_policy_is_failure(world: World, claimed: Assignment) -> None:
    Spy(world, raising(RetryLater(timedelta(seconds=30))))(claimed)

    stored = world.work(claimed.work_id)
    assert (stored.outcome, stored.error, stored.error_type) == (
        Outcome.FAILED,
        "retry after 30 s",
        "RetryLater",
    )


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(), "ValueError()"),
        (ValueError("\ud800x"), "\\ud800x"),
        (UnprintableError(), "UnprintableError (its text could not be read: RuntimeError)"),
        (ValueError("é" * 5000), "é" * 4095 + "…"),
    ],
)
def test_error_can_always_be_described(
    world: World, claimed: Assignment, error: Exception, text: str
) -> None:
    Spy(world, raising(error))(claimed)

    assert world.work(claimed.work_id).error == text


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (
            {1, 2},
            "result must be a JSON value: str, int, float, bool, None, or a list or dict of them; got a value of type set",
        ),
        ([float("nan")], "result[0] must be a finite number; got nan"),
        ("x" * 921_600, "result must be at most 921600 bytes as JSON; got 921602 bytes"),
    ],
)
def test_value_that_cannot_be_kept_is_not_tried_again(
    world: World, retried: Assignment, value: object, error: str
) -> None:
    spy = Spy(world, lambda: value)

    spy(retried)

    stored = world.work(retried.work_id)
    assert (stored.state, stored.error_type, stored.error) == (
        State.FINISHED,
        "invalid_result",
        error,
    )
    assert spy.runs == 1


def test_largest_inline_arguments_result_and_error_fit_into_one_item(world: World) -> None:
    most = a_work(
        args="a" * limits.ARGS_INLINE_BYTES_MAX,
        result="a" * limits.RESULT_INLINE_BYTES_MAX,
        error="𝄞" * limits.ERROR_TEXT_MAX,
    )

    assert item_size(encode(most)) < ITEM_BYTES_MAX


def test_largest_result_lies_beside_its_work(world: World) -> None:
    assignment = world.start(a_work())
    worker = world.pool().action(lambda: "a" * (limits.PAYLOAD_BYTES_MAX - 2))

    worker(event_of(assignment), LambdaContext())

    stored = world.work(assignment.work_id)
    assert (stored.outcome, stored.result) == (Outcome.SUCCESS, Chunked(3))


def test_raised_error_tells_where_it_was_raised_and_not_what_it_said(
    world: World, retried: Assignment
) -> None:
    quoted = "a secret".upper()

    def fail() -> None:
        raise ValueError(quoted)

    Spy(world, fail)(replace(retried, label="send"))

    (told,) = world.telemetry.of(AttemptRaised)
    assert (told.error_type, told.attempt) == ("ValueError", 1)
    assert (told.pool, told.work_id, told.job) == (retried.pool, retried.work_id, "send")
    assert "in fail" in told.stack
    assert quoted not in repr(told)


def test_bad_arguments_fail_at_once_and_run_nothing(world: World, retried: Assignment) -> None:
    spy = Spy(world)

    answer = spy(retried, n="many", m=1)

    stored = world.work(retried.work_id)
    assert answer == REPORTED
    assert spy.runs == 0
    assert (stored.state, stored.error_type) == (State.FINISHED, "invalid_arguments")
    assert (
        stored.error
        == "n: Input should be a valid integer, unable to parse string as an integer; m: Unexpected keyword argument"
    )


def test_annotation_that_pydantic_cannot_use_ends_work_at_once(
    world: World, retried: Assignment
) -> None:
    def odd(to: str, n: World) -> None:
        assert n, to

    assert world.pool().action(odd)(event_of(retried, to="a", n=1), LambdaContext()) == REPORTED

    stored = world.work(retried.work_id)
    assert (stored.state, stored.error_type) == (State.FINISHED, "invalid_arguments")
    assert str(stored.error).startswith(
        "n: its annotation cannot be used: PydanticSchemaGenerationError: Unable to generate"
    )


class Mute:
    """A type whose error says nothing."""

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> object:
        raise LookupError


def test_annotation_whose_error_says_nothing_is_named(world: World, retried: Assignment) -> None:
    def odd(to: str, n: Mute) -> None:
        assert n, to

    assert world.pool().action(odd)(event_of(retried, to="a", n=1), LambdaContext()) == REPORTED

    assert world.work(retried.work_id).error == "n: its annotation cannot be used: LookupError: "


def test_second_delivery_of_claimed_work_is_turned_away(world: World, claimed: Assignment) -> None:
    spy = Spy(world)
    told: list[str] = []
    spy(claimed)
    before = world.work(claimed.work_id)

    invocation.refused.set(told.append)
    answer = spy(claimed)
    invocation.refused.set(None)

    assert answer == REPORTED
    assert (spy.runs, told) == (1, ["refused by the claim"])
    assert world.work(claimed.work_id) == before
    assert len(world.telemetry.of(DuplicateRefused)) == 1


def test_claim_holds_before_function_runs_and_lasts_as_long_as_invocation(
    world: World, claimed: Assignment
) -> None:
    seen: list[WorkItem] = []

    Spy(world, lambda: seen.append(world.work(claimed.work_id)))(claimed)

    [during] = seen
    assert during.state is State.RUNNING
    assert during.claim is not None
    assert during.deadline == NOW + TIME_LEFT_MS


def test_retried_work_is_not_claimed(world: World, retried: Assignment) -> None:
    seen: list[WorkItem] = []

    Spy(world, lambda: seen.append(world.work(retried.work_id)))(retried)

    assert seen[0].claim is None


def _claims(write: Write) -> bool:
    return isinstance(write, Update) and "claim" in write.set and write.set["claim"] is not None


@pytest.mark.parametrize("applies", [False, True])
def test_user_code_does_not_run_while_its_claim_is_uncertain(
    world: World, claimed: Assignment, applies: bool
) -> None:
    spy = Spy(world)
    world.store.plan(_claims, lost_after if applies else lost_before, times=None)

    with pytest.raises(ReportNotWritten) as caught:
        spy(claimed)

    assert spy.runs == 0
    told = read_carried(str(caught.value), claimed)
    assert told is not None
    assert (told.kind, told.error) == (ReportKind.NEVER_DELIVERED, "its claim was not answered")
    complete(world.ports, claimed, told, by="destination")
    again = world.work(claimed.work_id)
    assert (again.state, again.attempts_made, again.claim) == (State.PENDING, 0, None), (
        "the claim was this invocation's own, or nobody's"
    )


@pytest.mark.parametrize("applies", [False, True])
def test_uncertain_claim_leaves_work_with_its_start(
    world: World, claimed: Assignment, applies: bool
) -> None:
    spy = Spy(world)
    world.store.plan(_claims, lost_after if applies else lost_before, times=None)

    with pytest.raises(ReportNotWritten):
        spy(claimed)

    assert world.work(claimed.work_id).state is State.RUNNING


def test_start_that_begins_too_late_is_put_back_without_run(
    world: World, claimed: Assignment
) -> None:
    spy = Spy(world)
    world.clock.at = claimed.start_by + 1

    answer = spy(claimed)

    stored = world.work(claimed.work_id)
    assert answer == REPORTED
    assert spy.runs == 0
    assert (stored.state, stored.attempts_made, stored.undelivered) == (State.PENDING, 0, 1)
    assert [event.reason for event in world.telemetry.of(PutBack)] == [
        "it was delivered too late to be run in time"
    ]


def test_start_whose_claim_is_answered_too_late_is_put_back_without_run(
    world: World, claimed: Assignment
) -> None:
    """[WP-25] The SDK repeats a write for seconds, and the work item expires meanwhile."""
    spy = Spy(world)

    def wait() -> None:
        world.clock.at = claimed.start_by + 1

    world.store.plan(_claims, first(wait))
    answer = spy(claimed)

    stored = world.work(claimed.work_id)
    assert answer == REPORTED
    assert spy.runs == 0
    assert (stored.state, stored.attempts_made, stored.undelivered) == (State.PENDING, 0, 1)


def test_start_that_begins_at_last_moment_runs(world: World, claimed: Assignment) -> None:
    spy = Spy(world)
    world.clock.at = claimed.start_by

    spy(claimed)

    assert spy.runs == 1


@pytest.mark.parametrize(
    ("body", "kind", "result", "error_type"),
    [
        (lambda: [1], ReportKind.SUCCESS, "[1]", None),
        (raising(ValueError("boom")), ReportKind.FAILED, None, "ValueError"),
    ],
)
def test_report_that_cannot_be_written_is_carried_by_exception(
    world: World,
    claimed: Assignment,
    body: Callable[[], object],
    kind: ReportKind,
    result: str | None,
    error_type: str | None,
) -> None:
    world.store.plan(lambda write: not _claims(write), lost_before, times=None)

    with pytest.raises(ReportNotWritten) as caught:
        Spy(world, body)(claimed)

    carried = read_carried(str(caught.value), claimed)
    assert carried is not None
    assert (carried.kind, carried.result, carried.error_type) == (kind, result, error_type)
    assert carried.claim == world.work(claimed.work_id).claim is not None


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_end_of_process_is_not_reported_here(
    world: World, claimed: Assignment, end: BaseException
) -> None:
    with pytest.raises(type(end)):
        Spy(world, raising(end))(claimed)

    assert world.work(claimed.work_id).state is State.RUNNING


@pytest.mark.parametrize("body", [lambda: 1, raising(ValueError())])
def test_surroundings_are_told_between_body_and_report(
    world: World,
    claimed: Assignment,
    body: Callable[[], object],
    after_body: list[Callable[[], None]],
) -> None:
    spy = Spy(world, body)
    seen: list[tuple[int, State]] = []
    after_body.append(lambda: seen.append((spy.runs, world.work(claimed.work_id).state)))

    spy(claimed)

    assert seen == [(1, State.RUNNING)]
    assert world.work(claimed.work_id).state is State.FINISHED


def test_surroundings_may_end_invocation_before_report(
    world: World, claimed: Assignment, after_body: list[Callable[[], None]]
) -> None:
    class KilledError(BaseException):
        pass

    after_body.append(lambda: raising(KilledError())() and None)

    with pytest.raises(KilledError):
        Spy(world)(claimed)

    assert world.work(claimed.work_id).state is State.RUNNING


@pytest.fixture
def after_body() -> Iterator[list[Callable[[], None]]]:
    """The act of the surroundings after the body."""
    calls: list[Callable[[], None]] = []

    def call_all() -> None:
        for call in calls:
            call()

    token = invocation.after_body.set(call_all)
    yield calls
    invocation.after_body.reset(token)


def test_event_and_not_decorator_names_target(world: World) -> None:
    other = Workpool("another-table", "another", ports=World().ports)
    assignment = world.start(a_work(pool="newsletter", kind=Kind.QUERY, claimed=False))
    worker = Workpool(world.ports.table, "email", ports=world.ports).action(lambda: other.name)

    worker(event_of(assignment), LambdaContext())

    assert world.work(assignment.work_id, pool="newsletter").result == Inline('"another"')


def test_claimed_work_needs_context_with_its_deadline(world: World, claimed: Assignment) -> None:
    spy = Spy(world)

    with pytest.raises(
        UsageError, match=r"^context must be the context that Lambda gives to a handler; got None$"
    ):
        spy.handler(event_of(claimed), None)

    assert spy.runs == 0


def test_worker_serves_many_deliveries(world: World) -> None:
    spy = Spy(world)
    ids = world.pool().enqueue_action_batch(None, "f", [{"n": n} for n in range(5)])

    for work_id in ids:
        spy(world.start(world.work(work_id)), n="1")

    assert spy.runs == 5
    assert {world.work(work_id).outcome for work_id in ids} == {Outcome.SUCCESS}
    assert isinstance(world.store, FaultyStore)


@pytest.mark.parametrize(
    ("serves", "runs"), [("email", 1), ("billing,email", 1), ("", 1), ("billing", 0), ("emails", 0)]
)
def test_worker_runs_for_pools_that_its_deployment_names(
    world: World, claimed: Assignment, monkeypatch: pytest.MonkeyPatch, serves: str, runs: int
) -> None:
    monkeypatch.setenv("WORKPOOL_SERVES", serves)
    spy = Spy(world)

    if runs:
        spy(claimed)
    else:
        with pytest.raises(UsageError, match=r"a pool in WORKPOOL_SERVES, .*; got 'email'"):
            spy(claimed)

    assert spy.runs == runs
    assert world.work(claimed.work_id).state is (State.FINISHED if runs else State.RUNNING)
