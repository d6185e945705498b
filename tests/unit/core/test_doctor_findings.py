"""Findings of `doctor`, one wrong fact at a time."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from workpool_aws.core.doctor import (
    FindingCode,
    findings_of_function,
    findings_of_table,
    not_examined,
)
from workpool_aws.model.inspection import FunctionFacts, TableFacts
from workpool_aws.model.loop import Deployment

DONE = "arn:aws:lambda:us-east-1:123456789012:function:completion"
LOOP = DONE.replace("completion", "loop")
SEND = DONE.replace("completion", "send")
DEPLOYMENT = Deployment(loop_arn=LOOP, completion_arn=DONE)
TABLE = TableFacts(is_active=True, has_keys=True, has_dead_letters=True, has_ttl=True)
DECORATED = FunctionFacts(
    is_active=True,
    decorated=True,
    unfit=None,
    retries=0,
    on_success=None,
    on_failure=DONE,
    may_recurse=True,
)
PLAIN = replace(DECORATED, decorated=False, on_success=DONE)
OWN = replace(DECORATED, decorated=False, on_failure="arn:aws:sqs:us-east-1:123456789012:failed")


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (None, "table_missing"),
        (replace(TABLE, is_active=False), "table_inactive"),
        (replace(TABLE, has_keys=False), "keys_wrong"),
        (replace(TABLE, has_dead_letters=False), "index_missing"),
        (replace(TABLE, has_ttl=False), "ttl_off"),
    ],
)
def test_wrong_table_is_one_finding(facts: TableFacts | None, code: str) -> None:
    assert [each.code for each in findings_of_table("pools", facts)] == [code]
    assert findings_of_table("pools", TABLE) == []


@pytest.mark.parametrize(
    ("facts", "changes", "codes"),
    [
        (DECORATED, {}, []),
        (PLAIN, {}, []),
        (DECORATED, {"is_active": False}, ["function_inactive"]),
        (DECORATED, {"may_recurse": False}, ["recursion_stopped"]),
        (DECORATED, {"unfit": "it is durable"}, ["function_unfit"]),
        (DECORATED, {"retries": 2}, ["retries_on"]),
        (DECORATED, {"on_success": DONE}, ["destination_wrong"]),
        (DECORATED, {"on_failure": None}, ["destination_wrong"]),
        (PLAIN, {"on_success": None}, ["destination_wrong"]),
        (PLAIN, {"decorated": True}, ["destination_wrong"]),
    ],
)
def test_wrong_function_is_found(
    facts: FunctionFacts, changes: dict[str, Any], codes: list[str]
) -> None:
    found = findings_of_function(SEND, replace(facts, **changes), DEPLOYMENT)

    assert [each.code for each in found] == codes
    assert {each.subject for each in found} <= {"send"}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(DECORATED, on_failure=None), "It is decorated, so its failures alone should lead"),
        (replace(PLAIN, on_success=None), "It is undecorated, so its results and its failures"),
    ],
)
def test_wrong_destination_says_what_should_lead_there(facts: FunctionFacts, said: str) -> None:
    (found,) = findings_of_function(SEND, facts, DEPLOYMENT)

    assert found.text.startswith(said)


def test_missing_function_is_found() -> None:
    (found,) = findings_of_function(SEND, None, DEPLOYMENT)

    assert (found.code, SEND in found.text) == ("function_missing", True)


def test_own_functions_have_settings_of_their_own() -> None:
    assert findings_of_function(LOOP, OWN, DEPLOYMENT) == []
    assert findings_of_function(DONE, replace(OWN, retries=2), DEPLOYMENT) == []
    (found,) = findings_of_function(LOOP, replace(OWN, retries=1), DEPLOYMENT)
    assert found.code == "retries_on"


def test_hostile_refusal_is_one_line() -> None:
    assert not_examined("t", "no\x1b[31m\nway").text.isprintable()


def test_page_lists_every_code() -> None:
    page = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")

    assert [code for code in get_args(FindingCode) if f"`{code}`" not in page] == []
