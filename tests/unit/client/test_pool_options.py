"""The options of a pool, whose constructor calls nothing."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.world import World
from workpool_aws import RetryPolicy, UsageError, Workpool
from workpool_aws.api.pool_options import WorkpoolOptions
from workpool_aws.model.refs import ConfigRef

NAMES = "a str of 1 to 40 letters, digits, '_' and '-'"
LEVELS = "None or one of DEBUG, INFO, WARNING, ERROR, CRITICAL"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("t", 5), f"name must be {NAMES}; got 5"),
        (("t", ""), f"name must be {NAMES}; got ''"),
        (("t", "a#b"), f"name must be {NAMES}; got 'a#b'"),
        (("t", "x\n"), f"name must be {NAMES}; got 'x\\n'"),
        (("t", "n" * 41), f"name must be {NAMES}; got '{'n' * 41}'"),
        (
            (None,),
            "table must be the name of a DynamoDB table: a str of letters, digits, '_', '-' and '.'; got None",
        ),
        (
            ("a b",),
            "table must be the name of a DynamoDB table: a str of letters, digits, '_', '-' and '.'; got 'a b'",
        ),
    ],
)
def test_bad_name_is_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Workpool(*given)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("max_parallelism", -1, "an int from 0 to 10000"),
        ("max_parallelism", 10_001, "an int from 0 to 10000"),
        ("max_parallelism", True, "an int from 0 to 10000"),
        ("max_parallelism", 2.0, "an int from 0 to 10000"),
        ("max_parallelism", None, "an int from 0 to 10000"),
        ("default_retry", True, "a RetryPolicy"),
        ("default_retry", None, "a RetryPolicy"),
        ("retry_actions_by_default", 1, "True or False"),
        ("status_ttl", 3600, "a timedelta above 0, at most 3660 days, or None (for ever)"),
        ("status_ttl", timedelta(0), "a timedelta above 0, at most 3660 days, or None (for ever)"),
        (
            "status_ttl",
            timedelta(days=3661),
            "a timedelta above 0, at most 3660 days, or None (for ever)",
        ),
        ("log_level", "LOUD", LEVELS),
        ("log_level", "info", LEVELS),
        ("log_level", 10, LEVELS),
    ],
)
@pytest.mark.peer("LB04", "LB05")
def test_bad_option_is_refused(option: str, value: object, allowed: str) -> None:
    options: dict[str, Any] = {option: value}

    with pytest.raises(UsageError) as caught:
        Workpool("t", **options)

    assert str(caught.value) == f"{option} must be {allowed}; got {value!r}"
    assert isinstance(caught.value, ValueError)


def test_defaults_are_those_of_documentation() -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(Workpool).parameters.items()
    }

    assert defaults["name"] == "default"
    assert defaults["max_parallelism"] == 10
    assert defaults["default_retry"] == RetryPolicy()
    assert defaults["retry_actions_by_default"] is False
    assert defaults["status_ttl"] == timedelta(days=1)
    assert (defaults["log_level"], defaults["session"]) == (None, None)


def test_making_pool_asks_nothing(world: World) -> None:
    world.pool()

    assert world.requests == 0


def test_neither_package_nor_its_names_load_sdk() -> None:
    code = (
        "import sys; from workpool_aws import *; Workpool('t', 'p', max_parallelism=3).action(lambda: None); "
        "loaded = {name.partition('.')[0] for name in sys.modules}; "
        "print(sorted(loaded & {'aws_lambda_powertools', 'boto3', 'botocore', 'moto', 'pydantic'}))"
    )

    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert shown == "[]\n"


def test_first_enqueue_says_explicit_limit_and_others_do_not(world: World) -> None:
    pool = Workpool(world.ports.table, "email", max_parallelism=10, ports=world.ports)

    pool.enqueue_action(None, "f", {})
    before = world.requests
    pool.enqueue_action(None, "f", {})

    base = pool.config(None).base
    assert (base.max_parallelism, base.by) == (10, "a caller outside Lambda")
    assert world.requests - before == 2 + 1  # a put and a look at the status; then the config


def test_default_base_has_no_author(world: World) -> None:
    """A first override makes a config whose base is the default."""
    world.pool().configure(None, max_parallelism=3)

    base = world.pool().config(None).base
    assert (base.max_parallelism, base.by, base.at) == (10, None, None)


def test_limit_that_was_not_given_is_not_said(world: World) -> None:
    world.pool().enqueue_action(None, "f", {})

    assert world.memory.peek(ConfigRef("email")) is None


def test_options_for_wrappers_are_those_of_workpool() -> None:
    of_workpool = inspect.signature(Workpool).parameters.keys() - {
        "table",
        "name",
        "session",
        "ports",
    }

    assert WorkpoolOptions.__optional_keys__ == of_workpool
