"""The callback options of an enqueue: `on_complete`, `context`, `on_complete_exclude`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.lambdas import LambdaContext
from tests.kit.records import TARGET
from tests.kit.world import World
from workpool_aws import PayloadTooLarge, UsageError
from workpool_aws.model.payload import Inline
from workpool_aws.model.spec import Outcome

DONE = "arn:aws:lambda:us-east-1:123456789012:function:done"


def enqueue(world: World, **asked: Any) -> str:
    return world.pool().enqueue_action(None, TARGET, asked.pop("args", {"n": 1}), **asked)


def test_callback_options_are_stored_with_work(world: World) -> None:
    work = world.work(
        enqueue(world, on_complete=DONE, context={"user": 7}, on_complete_exclude=["success"])
    )

    assert (work.spec.callback_target, work.spec.context) == (DONE, Inline('{"user":7}'))
    assert work.spec.callback_outcomes == (Outcome.FAILED, Outcome.CANCELED)
    assert work.callback is None


@pytest.mark.peer("LB01")
@pytest.mark.parametrize(
    ("exclude", "wanted"),
    [
        ((), (Outcome.SUCCESS, Outcome.FAILED, Outcome.CANCELED)),
        ([], (Outcome.SUCCESS, Outcome.FAILED, Outcome.CANCELED)),
        (["failed", "canceled"], (Outcome.SUCCESS,)),
        (["canceled", "success", "failed"], ()),
    ],
)
def test_every_filter_is_stored_as_it_was_given_for_one_and_for_each_of_batch(
    world: World, exclude: list[str], wanted: tuple[Outcome, ...]
) -> None:
    one = enqueue(world, on_complete=DONE, on_complete_exclude=exclude)
    batch = world.pool().enqueue_action_batch(
        None, TARGET, [{}, {}], on_complete=DONE, on_complete_exclude=exclude
    )

    assert [world.work(work_id).spec.callback_outcomes for work_id in (one, *batch)] == [wanted] * 3


def test_callback_is_stored_only_if_asked_for(world: World) -> None:
    work = world.work(enqueue(world, on_complete=None, context=None, on_complete_exclude=[]))

    assert (work.spec.callback_target, work.spec.context, work.spec.callback_outcomes) == (
        None,
        None,
        (),
    )


def test_short_name_means_callers_account_and_region(world: World) -> None:
    work_id = world.pool().enqueue_action(LambdaContext(), TARGET, {}, on_complete="done")

    assert world.work(work_id).spec.callback_target == DONE


@pytest.mark.parametrize(
    "target",
    [
        "done",
        "done:live",
        DONE,
        f"{DONE}:7",
        "arn:aws:sqs:eu-west-1:123456789012:done",
        "arn:aws:sqs:eu-west-1:123456789012:done.fifo",
        "arn:aws:sns:eu-west-1:123456789012:done",
    ],
)
def test_functions_queues_and_topics_can_be_targets(world: World, target: str) -> None:
    assert world.work(enqueue(world, on_complete=target)).spec.callback_target == target


@pytest.mark.parametrize("context", [0, False, "", [], {}, {"a": [None, 1.5]}, "text"])
def test_context_is_any_json_value(world: World, context: object) -> None:
    assert world.work(enqueue(world, on_complete=DONE, context=context)).spec.context is not None


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"on_complete": ""}, "on_complete"),
        ({"on_complete": 7}, "on_complete"),
        ({"on_complete": "arn:aws:s3:::bucket"}, "on_complete"),
        ({"on_complete": "arn:aws:sqs:eu-west-1:123456789012:"}, "on_complete"),
        ({"on_complete": "https://sqs.eu-west-1.amazonaws.com/123456789012/done"}, "on_complete"),
        ({"on_complete": DONE, "context": {1, 2}}, "context"),
        ({"on_complete": DONE, "context": {"a": float("nan")}}, "context.a"),
        ({"on_complete": DONE, "context": object()}, "context"),
        ({"context": {"user": 7}}, "context"),
        ({"on_complete": DONE, "on_complete_exclude": "success"}, "on_complete_exclude"),
        ({"on_complete": DONE, "on_complete_exclude": 7}, "on_complete_exclude"),
        ({"on_complete": DONE, "on_complete_exclude": ["succeeded"]}, "on_complete_exclude[0]"),
        (
            {"on_complete": DONE, "on_complete_exclude": ["success", "cancelled"]},
            "on_complete_exclude[1]",
        ),
        ({"on_complete": DONE, "on_complete_exclude": [["success"]]}, "on_complete_exclude[0]"),
        ({"on_complete_exclude": ["success"]}, "on_complete_exclude"),
        ({"on_complete_exclude": ["bogus"]}, "on_complete_exclude[0]"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name_and_nothing_is_stored(
    world: World, asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(UsageError) as caught:
        enqueue(world, **asked)

    assert caught.value.field == field
    assert world.requests == 0


def test_refusal_says_what_is_allowed(world: World) -> None:
    with pytest.raises(UsageError) as caught:
        enqueue(world, on_complete=DONE, on_complete_exclude=["succeeded"])

    assert (
        str(caught.value)
        == "on_complete_exclude[0] must be a list of 'success', 'failed', 'canceled'; got 'succeeded'"
    )


@pytest.mark.parametrize(
    ("target", "most"),
    [
        (DONE, 900 * 1024),
        ("arn:aws:sqs:eu-central-1:123456789012:done", 900 * 1024),
        ("arn:aws:sns:eu-central-1:123456789012:done", 254 * 1024),
    ],
    ids=["function", "queue", "topic"],
)
def test_context_is_bounded_by_its_target_and_not_by_arguments(
    world: World, target: str, most: int
) -> None:
    """[WP-11] What no message to the target could hold is refused before anything is stored."""
    args, fits = {"x": "a" * 500_000}, "b" * (most - 2)

    assert enqueue(world, args=args, on_complete=target, context=fits)
    with pytest.raises(PayloadTooLarge, match=r"^context must be "):
        enqueue(world, args=args, on_complete=target, context=fits + "b")
