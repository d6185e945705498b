"""What mypy refuses and pyright accepts, so that it is left out of the check by pyright."""

from typing import Unpack

from workpool_aws import RetryableOptions, Workpool

pool = Workpool("my-table")


def a_wrapper_of_too_many_options(**options: Unpack[RetryableOptions]) -> None:
    pool.enqueue_mutation(None, "fn", {}, **options)  # type: ignore[misc]
