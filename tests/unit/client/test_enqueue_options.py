"""The options of an enqueue: which there are, what an unknown one comes to, and how they are shown."""

from __future__ import annotations

import inspect
import pydoc
from datetime import timedelta
from typing import get_type_hints

import pytest

from tests.kit.world import World
from workpool_aws import (
    EnqueueOptions,
    RetryableOptions,
    UnknownOption,
    UsageError,
    Workpool,
)

METHODS = [
    f"enqueue_{kind}{suffix}"
    for kind in ("action", "query", "mutation")
    for suffix in ("", "_batch")
]
OPTIONS = [
    "run_after",
    "run_at",
    "expires_after",
    "unique_key",
    "unique_until",
    "unique_for",
    "on_conflict",
    "max_wait",
    "debounce",
    "debounce_max",
    "request_id",
    "dedupe",
    "timeout",
    "heartbeat_timeout",
    "on_complete",
    "context",
    "on_complete_exclude",
    "retry",
]


def args_for(method: str) -> object:
    return [{}] if method.endswith("_batch") else {}


@pytest.mark.parametrize("method", METHODS)
def test_unknown_option_is_refused_with_near_one_and_nothing_stored(
    world: World, method: str
) -> None:
    with pytest.raises(UnknownOption) as refused:
        getattr(world.pool(), method)(
            None, "send", args_for(method), run_afer={"password": "secret"}
        )

    listed = ", ".join(OPTIONS)
    assert str(refused.value) == (
        f"run_afer must be one of the options {listed} (did you mean run_after?); got a value of type dict"
    )
    assert isinstance(refused.value, TypeError)
    assert isinstance(refused.value, UsageError)
    assert (refused.value.field, world.requests) == ("run_afer", 0)


def test_option_like_no_other_is_refused_without_suggestion(world: World) -> None:
    with pytest.raises(
        UnknownOption,
        match=r"^priority must be one of the options [a-z_, ]+; got a value of type int$",
    ):
        world.pool().enqueue_action(None, "send", {}, priority=3)


@pytest.mark.parametrize("method", METHODS)
def test_option_of_none_is_as_good_as_none_given(world: World, method: str) -> None:
    pool = world.pool()

    plain = getattr(pool, method)(None, "send", args_for(method))
    spelled = getattr(pool, method)(None, "send", args_for(method), **dict.fromkeys(OPTIONS))

    first, second = (
        world.work(ids[0] if isinstance(ids, list) else ids) for ids in (plain, spelled)
    )
    drawn = {"id": None, "permit": None}
    assert {**vars_of(first), **drawn} == {**vars_of(second), **drawn}


def vars_of(work: object) -> dict[str, object]:
    return {name: getattr(work, name) for name in type(work).__slots__}


@pytest.mark.parametrize("method", METHODS)
def test_signature_and_help_show_every_option(method: str) -> None:
    function = getattr(Workpool, method)

    parameters = inspect.signature(function).parameters

    assert list(parameters) == ["self", "ctx", "target", "args", *OPTIONS]
    assert parameters["run_after"].annotation == "timedelta | None"
    assert {parameters[name].kind for name in OPTIONS} == {inspect.Parameter.KEYWORD_ONLY}
    assert {parameters[name].default for name in OPTIONS} == {None}
    assert {type(parameters[name].annotation) for name in OPTIONS} == {str}
    shown = pydoc.render_doc(function, renderer=pydoc.plaintext)
    assert all(f"{name}: " in shown for name in OPTIONS)
    assert inspect.signature(function).bind(None, None, "send", {}, run_after=timedelta(1))


def test_every_option_is_described_where_it_is_declared() -> None:
    for options in (EnqueueOptions, RetryableOptions):
        own = set(options.__annotations__) - (
            set() if options is EnqueueOptions else set(EnqueueOptions.__annotations__)
        )
        described = inspect.getdoc(options) or ""
        assert all(f"\n{name}:\n" in described for name in own), options


def test_options_resolve_for_tools_that_read_annotations() -> None:
    assert list(get_type_hints(RetryableOptions)) == OPTIONS
    assert not RetryableOptions.__required_keys__
