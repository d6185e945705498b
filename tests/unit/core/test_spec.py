"""The spec of a work item, as its other parts read it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import DONE, a_policy
from workpool_aws.core.work.enqueue import must_claim
from workpool_aws.model.payload import (
    NO_ARGS,
    Chunked,
    Inline,
    Part,
    Payload,
    chunk_count,
    inline_text,
    payload_of,
    stored_fields,
)
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import CallbackSpec, Kind, Outcome, Spec

QUIET = Spec(
    target="f",
    args=NO_ARGS,
    kind=Kind.ACTION,
    retry=a_policy(),
    claimed=False,
    retention_s=60,
    origin="request=1",
)
CALLS_BACK = replace(
    QUIET,
    callback=CallbackSpec(target=DONE, context=Inline("7"), outcomes=(Outcome.FAILED,)),
)


def test_spec_without_callback_has_no_target_no_context_and_no_outcomes() -> None:
    assert (QUIET.callback_target, QUIET.context, QUIET.callback_outcomes) == (None, None, ())


def test_spec_with_callback_names_its_target_its_context_and_its_outcomes() -> None:
    assert CALLS_BACK.callback_target == DONE
    assert CALLS_BACK.context == Inline("7")
    assert CALLS_BACK.callback_outcomes == (Outcome.FAILED,)


def test_spec_with_payloads_differs_in_arguments_and_context_alone() -> None:
    laid_out = CALLS_BACK.with_payloads(Chunked(2), Chunked(1))

    assert (laid_out.args, laid_out.context) == (Chunked(2), Chunked(1))
    assert laid_out.with_payloads(NO_ARGS, Inline("7")) == CALLS_BACK


def test_spec_without_callback_takes_no_context() -> None:
    assert QUIET.with_payloads(Inline('{"n":1}'), Inline("7")).context is None


@pytest.mark.parametrize("payload", [None, Inline(""), Inline("7"), Chunked(3)])
def test_payload_comes_back_from_its_two_fields(payload: Payload | None) -> None:
    fields = stored_fields(Part.RESULT, payload)

    assert fields == {"result": inline_text(payload), "result_chunks": chunk_count(payload)}
    assert payload_of(inline_text(payload), chunk_count(payload)) == payload


@pytest.mark.parametrize(
    ("kind", "retry", "claims"),
    [
        (Kind.ACTION, None, True),
        (Kind.ACTION, RetryPolicy(max_attempts=1), True),
        (Kind.ACTION, RetryPolicy(max_attempts=2), False),
        (Kind.MUTATION, None, True),
        (Kind.QUERY, None, False),
        (Kind.QUERY, RetryPolicy(max_attempts=1), False),
    ],
)
def test_work_that_may_not_run_twice_must_claim(
    kind: Kind, retry: RetryPolicy | None, claims: bool
) -> None:
    """[WP-5]"""
    assert must_claim(kind, retry) is claims
