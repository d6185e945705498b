"""A permission that widens shows in review: every statement is compared with the file that was reviewed."""

import json

import pytest

from infra.statements import PATH, statements_now

REVIEWED = json.loads(PATH.read_text(encoding="utf-8"))


def test_every_statement_is_the_one_that_was_reviewed() -> None:
    pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

    assert statements_now() == REVIEWED, "`make iam` writes tests/infra/iam.json anew: look at its difference"


def test_nobody_may_do_everything() -> None:
    loose = [
        (role, each)
        for role, statements in REVIEWED.items()
        for each in statements
        if each["Effect"] == "Allow" and ("*" in json.dumps(each.get("Action")) or each.get("Resource") == "*")
    ]

    assert loose == []


def test_the_table_is_only_reached_by_leading_key() -> None:
    free = [
        role
        for role, statements in REVIEWED.items()
        for each in statements
        if "dynamodb:" in json.dumps(each.get("Action")) and "dynamodb:LeadingKeys" not in json.dumps(each.get("Condition"))
    ]

    assert free == []


def test_nobody_scans_nor_changes_the_table() -> None:
    known = {"BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"}
    used = {
        action.removeprefix("dynamodb:")
        for statements in REVIEWED.values()
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
        if action.startswith("dynamodb:")
    }

    assert used == known
