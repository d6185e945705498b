"""The public names are these, all of these, and only these."""

import importlib

import pytest

import workpool_aws

EXPORTED = [
    "AlreadyEnqueued",
    "Attempt",
    "CatchUpPreview",
    "EnqueueOptions",
    "Group",
    "GroupId",
    "GroupOptions",
    "GroupPage",
    "JobMinute",
    "JobStats",
    "LambdaContext",
    "ListConditions",
    "ListedWork",
    "MinuteStats",
    "NonRetryableError",
    "NotFound",
    "NotKicked",
    "OnCompleteEvent",
    "Page",
    "PayloadTooLarge",
    "PoolConfig",
    "PoolSummary",
    "RateLimit",
    "Result",
    "RetryLater",
    "RetryPolicy",
    "RetryableOptions",
    "Schedule",
    "ScheduleDefinition",
    "ScheduleOptions",
    "Snooze",
    "Stats",
    "Status",
    "StoreUnavailable",
    "StoredPayload",
    "TaskPool",
    "TasksFailed",
    "Transaction",
    "TransactionCanceled",
    "TransactionConflict",
    "UnknownOption",
    "UsageError",
    "Why",
    "WhyReason",
    "Work",
    "WorkDetails",
    "WorkId",
    "Workpool",
    "WorkpoolError",
    "with_task_pool",
]


def test_all_is_sorted_and_complete() -> None:
    assert list(workpool_aws.__all__) == EXPORTED
    assert sorted(EXPORTED) == EXPORTED


@pytest.mark.parametrize("name", EXPORTED)
def test_public_name_loads_and_says_what_it_is(name: str) -> None:
    value = getattr(workpool_aws, name)

    assert value.__name__ == name
    assert value.__doc__


def test_dir_shows_every_public_name() -> None:
    assert set(EXPORTED) <= set(dir(workpool_aws))


@pytest.mark.parametrize("name", ["Nothing", "ratelimit"])
def test_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(workpool_aws, name)


def test_local_cloud_has_home_of_its_own() -> None:
    local = importlib.import_module("workpool_aws.local")

    assert local.LocalCloud.__name__ == "LocalCloud"
    assert "LocalCloud" in local.__all__


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("UsageError", ValueError),
        ("UsageError", workpool_aws.WorkpoolError),
        ("PayloadTooLarge", workpool_aws.UsageError),
        ("UnknownOption", workpool_aws.UsageError),
        ("UnknownOption", TypeError),
        ("NotFound", workpool_aws.WorkpoolError),
        ("StoreUnavailable", workpool_aws.WorkpoolError),
        ("TasksFailed", workpool_aws.WorkpoolError),
        ("TasksFailed", ExceptionGroup),
    ],
)
def test_errors_are_caught_by_their_kind(narrow: str, wide: type[Exception]) -> None:
    assert issubclass(getattr(workpool_aws, narrow), wide)


@pytest.mark.parametrize("name", ["NonRetryableError", "RetryLater", "Snooze"])
def test_exceptions_for_workers_are_no_errors_of_package(name: str) -> None:
    assert not issubclass(getattr(workpool_aws, name), workpool_aws.WorkpoolError)
