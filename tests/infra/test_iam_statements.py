"""A permission that widens shows in review: every statement is compared with the file that was reviewed."""

import fnmatch
import json

import pytest

from tests.infra.statements import PATH, statements_now

REVIEWED = json.loads(PATH.read_text(encoding="utf-8"))


def test_every_statement_is_one_that_was_reviewed() -> None:
    pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

    assert statements_now() == REVIEWED, (
        "`make iam` writes tests/infra/iam.json anew: look at its difference"
    )


def test_nobody_may_do_everything() -> None:
    loose = [
        (role, each)
        for role, statements in REVIEWED.items()
        for each in statements
        if each["Effect"] == "Allow"
        and ("*" in json.dumps(each.get("Action")) or each.get("Resource") == "*")
    ]

    assert loose == []


def test_table_is_only_reached_by_leading_key() -> None:
    free = [
        role
        for role, statements in REVIEWED.items()
        for each in statements
        if "dynamodb:" in json.dumps(each.get("Action"))
        and "dynamodb:LeadingKeys" not in json.dumps(each.get("Condition"))
    ]

    assert free == []


def test_nobody_scans_nor_changes_table() -> None:
    known = set(OPERATIONS)
    used = {
        action.removeprefix("dynamodb:")
        for statements in REVIEWED.values()
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
        if action.startswith("dynamodb:")
    }

    assert used == known


OPERATIONS = (
    "BatchGetItem",
    "ConditionCheckItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "UpdateItem",
)
OF_ANOTHER_POOL = (
    "reports#control",
    "reports#reports",
    "reports#work#0",
    "reports#done#0",
    "reports#payload#01",
    "emails#work#0",
    "email2#control",
)
SHARED = ("#pools", "#deployment")


def may(role: str, operation: str, key: str) -> bool:
    """True if a role may do this with an item of this partition."""
    for each in REVIEWED[role]:
        actions = [each["Action"]] if isinstance(each["Action"], str) else each["Action"]
        keys = (
            each.get("Condition", {})
            .get("ForAllValues:StringLike", {})
            .get("dynamodb:LeadingKeys", [])
        )
        if f"dynamodb:{operation}" in actions and any(
            fnmatch.fnmatchcase(key, pattern)
            for pattern in ([keys] if isinstance(keys, str) else keys)
        ):
            return True
    return False


def test_role_of_one_pool_is_refused_every_item_of_another() -> None:
    """`Api` may enqueue into the pool `email` only; a name that begins alike is another pool."""
    allowed = [
        (operation, key)
        for operation in OPERATIONS
        for key in OF_ANOTHER_POOL
        if may("ApiServiceRole", operation, key)
    ]

    assert may("ApiServiceRole", "PutItem", "email#work#0")
    assert allowed == []


def test_watchdog_alone_writes_what_all_pools_share() -> None:
    writers = {
        (role, operation, key)
        for role in REVIEWED
        for operation in ("DeleteItem", "PutItem", "UpdateItem")
        for key in SHARED
        if may(role, operation, key)
    }

    assert writers == {
        ("PoolsWatchdogRole", "PutItem", "#pools"),
        ("PoolsWatchdogRole", "PutItem", "#deployment"),
    }


def test_only_workers_loop_and_completion_reach_completion_and_only_its_schedule_watchdog() -> None:
    def who_invokes(function: str) -> set[str]:
        return {
            role
            for role, statements in REVIEWED.items()
            for each in statements
            if "lambda:InvokeFunction" in json.dumps(each.get("Action"))
            and function in json.dumps(each.get("Resource"))
        }

    assert who_invokes("PoolsCompletionFunction") == {
        "EmailSentServiceRole",
        "LegacyServiceRole",
        "SendEmailServiceRole",
    }
    assert who_invokes("PoolsWatchdogFunction") == {"PoolsTickRole"}
