"""Status, result and limits as users see them, from the stored records."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.kit.records import NOW, a_config, a_running_work, a_work
from workpool_aws import Result
from workpool_aws.core.views.status import (
    BaseLimit,
    LimitOverride,
    PoolConfig,
    config_of,
    instant,
    result_of,
    status_of,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import DEFAULT_AUTHOR, Config
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem

LATER = EpochMs(NOW + 1_500)


def a_finished_work(**changes: Any) -> WorkItem:
    return a_running_work(
        **{
            "state": State.FINISHED,
            "outcome": Outcome.SUCCESS,
            "attempts_made": 1,
            "finished_at": LATER,
            **changes,
        }
    )


def told(work: WorkItem | None) -> dict[str, object]:
    status = status_of(work)
    return {name: getattr(status, name) for name in type(status).__slots__}


def told_of(work: WorkItem | None, *names: str) -> tuple[object, ...]:
    return tuple(told(work)[name] for name in names)


def test_moment_is_shown_in_utc_to_millisecond() -> None:
    assert instant(LATER) == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


def test_unknown_work_is_reported_as_unknown() -> None:
    names = (
        "state",
        "previous_attempts",
        "next_run_at",
        "started_at",
        "finished_at",
        "outcome",
        "cancel_requested",
        "callback",
    )
    assert told_of(None, *names) == ("unknown", 0, None, None, None, None, False, None)


@pytest.mark.parametrize(
    ("work", "state", "next_run_at", "started_at", "finished_at", "outcome"),
    [
        (a_work(due_at=LATER), "pending", instant(LATER), None, None, None),
        (a_running_work(), "running", None, instant(NOW), None, None),
        (a_finished_work(), "finished", None, instant(NOW), instant(LATER), "success"),
        (
            a_finished_work(outcome=Outcome.FAILED),
            "finished",
            None,
            instant(NOW),
            instant(LATER),
            "failed",
        ),
        (
            a_finished_work(outcome=Outcome.CANCELED),
            "finished",
            None,
            instant(NOW),
            instant(LATER),
            "canceled",
        ),
    ],
)
def test_work_is_told_by_where_it_is(
    work: WorkItem,
    state: str,
    next_run_at: datetime,
    started_at: datetime,
    finished_at: datetime,
    outcome: str,
) -> None:
    names = ("state", "next_run_at", "started_at", "finished_at", "outcome", "callback")
    assert told_of(work, *names) == (state, next_run_at, started_at, finished_at, outcome, None)


@pytest.mark.parametrize(
    ("work", "attempts"),
    [
        (a_work(), 0),
        (a_work(attempts_made=2), 2),
        (a_running_work(attempts_made=2), 2),
        (a_finished_work(attempts_made=3), 2),
        (a_finished_work(attempts_made=0), 0),
        (a_finished_work(attempts_made=3, outcome=Outcome.FAILED), 2),
        (a_finished_work(attempts_made=3, outcome=Outcome.CANCELED), 3),
        (a_finished_work(attempts_made=3, outcome=Outcome.CANCELED, cancel_requested=True), 2),
    ],
)
def test_previous_attempts_are_those_before_one_that_ended_it(
    work: WorkItem, attempts: int
) -> None:
    assert told_of(work, "previous_attempts") == (attempts,)


@pytest.mark.parametrize("requested", [False, True])
def test_requested_cancel_is_reported(requested: bool) -> None:
    assert told_of(a_running_work(cancel_requested=requested), "cancel_requested") == (requested,)


@pytest.mark.parametrize("state", CallbackState)
def test_callback_is_told_by_name_of_its_state(state: CallbackState) -> None:
    assert told_of(a_finished_work(callback=state), "callback") == (state.name.lower(),)


@pytest.mark.parametrize(
    ("work", "result"),
    [
        (a_work(), None),
        (a_running_work(), None),
        (a_work(outcome=Outcome.FAILED), None),
        (a_finished_work(outcome=None), None),
        (a_finished_work(), Result(kind="success", return_value=None)),
        (a_finished_work(result='{"n":[1]}'), Result(kind="success", return_value={"n": [1]})),
        (
            a_finished_work(outcome=Outcome.FAILED, error="no", error_type="ValueError"),
            Result(kind="failed", error="no", error_type="ValueError"),
        ),
        (a_finished_work(outcome=Outcome.CANCELED), Result(kind="canceled")),
    ],
)
def test_result_is_for_finished_work(work: WorkItem, result: Result | None) -> None:
    assert result_of(work) == result


BASE = BaseLimit(max_parallelism=4, by="caller", at=instant(NOW))


def test_unconfigured_pool_has_default() -> None:
    base = BaseLimit(max_parallelism=10, by=None, at=None)
    assert config_of(None, max_parallelism_default=10) == PoolConfig(
        max_parallelism=10, paused=False, base=base, override=None
    )
    assert config_of(None, max_parallelism_default=0).paused


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (a_config(), PoolConfig(max_parallelism=4, paused=False, base=BASE, override=None)),
        (
            a_config(base_by=DEFAULT_AUTHOR),
            PoolConfig(
                max_parallelism=4,
                paused=False,
                base=BaseLimit(max_parallelism=4, by=None, at=None),
                override=None,
            ),
        ),
        (
            a_config(max_parallelism=0),
            PoolConfig(
                max_parallelism=0,
                paused=True,
                base=BaseLimit(max_parallelism=0, by="caller", at=instant(NOW)),
                override=None,
            ),
        ),
        (
            a_config(deployed_parallelism=6, deployed_at=LATER),
            PoolConfig(
                max_parallelism=6,
                paused=False,
                base=BaseLimit(max_parallelism=6, by="deployment", at=instant(LATER)),
                override=None,
            ),
        ),
        (
            a_config(
                override_parallelism=9, override_paused=False, override_by="ann", override_at=LATER
            ),
            PoolConfig(
                max_parallelism=9,
                paused=False,
                base=BASE,
                override=LimitOverride(
                    max_parallelism=9, paused=False, by="ann", at=instant(LATER)
                ),
            ),
        ),
        (
            a_config(override_paused=True),
            PoolConfig(
                max_parallelism=0,
                paused=True,
                base=BASE,
                override=LimitOverride(max_parallelism=None, paused=True, by=None, at=None),
            ),
        ),
        (
            a_config(override_paused=False, override_by="ann"),
            PoolConfig(max_parallelism=4, paused=False, base=BASE, override=None),
        ),
    ],
)
def test_limit_in_force_is_shown_with_its_author(config: Config, expected: PoolConfig) -> None:
    assert config_of(config, max_parallelism_default=10) == expected
