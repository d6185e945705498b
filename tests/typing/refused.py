"""What a type checker refuses.

Each line with an ignore must be an error: mypy --strict reports an ignore that is not needed.
"""

from datetime import timedelta
from typing import Unpack

from workpool_aws import EnqueueOptions, RetryableOptions, RetryPolicy, Workpool

pool = Workpool("my-table")


def an_unknown_option() -> None:
    pool.enqueue_action(None, "fn", {}, run_afer=timedelta(minutes=5))  # type: ignore[call-arg]
    pool.enqueue_query_batch(None, "fn", [{}], retries=3)  # type: ignore[call-arg]
    pool.enqueue_mutation(None, "fn", {}, run_afer=timedelta(minutes=5))  # type: ignore[call-arg]


def a_retry_of_a_mutation() -> None:
    pool.enqueue_mutation(None, "fn", {}, retry=True)  # type: ignore[call-arg]
    pool.enqueue_mutation_batch(None, "fn", [{}], retry=RetryPolicy())  # type: ignore[call-arg]


def a_value_of_another_type() -> None:
    pool.enqueue_action(None, "fn", {}, retry="yes")  # type: ignore[arg-type]
    pool.enqueue_action(None, "fn", {}, run_after=5)  # type: ignore[arg-type]
    pool.enqueue_action(None, "fn", {}, on_complete_exclude=["sucess"])  # type: ignore[list-item]


def an_option_by_position() -> None:
    pool.enqueue_action(None, "fn", {}, None)  # type: ignore[call-arg]


def a_wrapper_of_too_many_options(**options: Unpack[RetryableOptions]) -> None:
    pool.enqueue_mutation(None, "fn", {}, **options)  # type: ignore[misc]


def options_made_apart() -> None:
    options: EnqueueOptions = {"retry": True}  # type: ignore[typeddict-unknown-key]
    pool.enqueue_action(None, "fn", {}, **options)
