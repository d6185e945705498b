"""Names from outside, and which function a list means."""

from __future__ import annotations

import pytest

from workpool_aws.model.names import FUNCTION_ARN, POOL, TABLE, label_of, names_function

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:told"


@pytest.mark.parametrize(
    ("listed", "target", "same"),
    [
        (ARN, ARN, True),
        (ARN, f"{ARN}:live", True),
        (f"{ARN}:7", f"{ARN}:live", True),
        ("told", ARN, True),
        ("told", f"{ARN}:live", True),
        (ARN, "told", True),
        ("told", "told:live", True),
        ("told", "told-too", False),
        (ARN, f"{ARN}-too", False),
        (ARN, ARN.replace("eu-west-1", "eu-west-2"), False),
        (ARN, ARN.replace("123456789012", "210987654321"), False),
        ("told", "arn:aws:sqs:eu-west-1:123456789012:told", False),
        ("not a name", "not a name", False),
    ],
)
def test_listed_function_is_known_by_name_or_arn_whatever_its_alias(
    listed: str, target: str, *, same: bool
) -> None:
    assert names_function(listed, target) is same


@pytest.mark.parametrize(("pattern", "longest"), [(POOL, 40), (TABLE, 255)])
def test_longest_name_is_allowed_and_no_longer_one(pattern, longest: int) -> None:
    assert (
        bool(pattern.fullmatch("n" * longest)),
        bool(pattern.fullmatch("n" * (longest + 1))),
    ) == (True, False)


@pytest.mark.parametrize("name", ["", "a#b", "a b", "ü", "a\n"])
def test_pool_name_has_nothing_that_could_break_key(name: str) -> None:
    assert POOL.fullmatch(name) is None


@pytest.mark.parametrize(
    "arn",
    [
        f"{ARN}:a:b",
        ARN.replace("told", ""),
        f"{ARN}\n",
        "arn:aws:lambda:eu-west-1:123:function:told",
    ],
)
def test_text_that_is_not_quite_arn_is_none(arn: str) -> None:
    assert FUNCTION_ARN.fullmatch(arn) is None


def test_label_is_plain_text_whoever_has_asked_for_it_before() -> None:
    class Member(str):
        """Equals its text and is shown by its own name, as a member of an enumeration."""

        __slots__ = ()

        def __str__(self) -> str:
            return "Target.SEND"

    labels = [label_of(None, Member("send-an-e-mail")), label_of(None, "send-an-e-mail")]

    assert [str(label) for label in labels] == ["send-an-e-mail"] * 2
