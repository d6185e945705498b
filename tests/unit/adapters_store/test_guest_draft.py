"""A draft names the refused actions of a transaction, and which attributes its reads make it check."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workpool_aws.adapters.guests.actions import GuestAction
from workpool_aws.adapters.guests.draft import GuestDraft
from workpool_aws.adapters.guests.expressions import guard_of
from workpool_aws.adapters.guests.reads import GuestRead
from workpool_aws.errors import UsageError
from workpool_aws.model.actions import GuestItem, GuestPlace, GuestVerb

KEY = {"id": {"S": "ann"}}
STOOD = {**KEY, "n": {"N": "7"}}
NAMED = "attribute_exists(id)"


def action(verb: GuestVerb, condition: str | None = NAMED) -> GuestAction:
    is_put = verb is GuestVerb.PUT
    return GuestAction(
        table="accounts",
        verb=verb,
        key=None if is_put else KEY,
        guard=guard_of(condition),
        item=STOOD if is_put else None,
    )


@pytest.mark.parametrize(
    ("verb", "word"),
    [
        (GuestVerb.PUT, "put"),
        (GuestVerb.UPDATE, "update"),
        (GuestVerb.DELETE, "delete"),
        (GuestVerb.CHECK, "check"),
    ],
)
def test_draft_names_refused_action_with_its_verb_condition_and_item(
    verb: GuestVerb, word: str
) -> None:
    draft = GuestDraft("jobs")
    draft.add(action(verb))

    (failed,), stale = draft.failed({0: GuestItem(STOOD)}, [True])

    key = {"id": "ann", "n": 7} if verb is GuestVerb.PUT else {"id": "ann"}
    assert tuple(failed) == (0, "accounts", key, word, NAMED, {"id": "ann", "n": 7})
    assert not stale


def test_draft_names_put_by_key_that_another_action_taught() -> None:
    draft = GuestDraft("jobs")
    draft.add(
        GuestAction(
            table="accounts",
            verb=GuestVerb.CHECK,
            key={"id": {"S": "bob"}},
            guard=guard_of(NAMED),
        )
    )
    draft.add(action(GuestVerb.PUT, None))

    (failed,), _ = draft.failed({}, [False, True])

    assert tuple(failed) == (1, "accounts", {"id": "ann"}, "put", None, None)


def test_draft_tells_write_that_was_refused_for_its_read_from_one_for_its_condition() -> None:
    draft = GuestDraft("jobs")
    place = GuestPlace(table="accounts", key=KEY)
    read = GuestRead(place, STOOD)
    draft.note_read(read)
    draft.add(action(GuestVerb.UPDATE))
    assert read.item is not None
    assert read.item["n"] == 7

    for stood, condition in ((STOOD, NAMED), ({**KEY, "n": {"N": "8"}}, None), (None, None)):
        found = {} if stood is None else {0: GuestItem(stood)}
        (failed,), stale = draft.failed(found, [True])

        assert (failed.action, failed.condition) == ("update", condition)
        assert stale is (condition is None)


def test_draft_checks_what_was_only_read_after_its_actions() -> None:
    draft = GuestDraft("jobs")
    draft.note_read(GuestRead(GuestPlace(table="accounts", key={"id": {"S": "bob"}}), None))
    draft.add(action(GuestVerb.DELETE, None))

    delete, check = draft.guests()

    assert (delete.verb, delete.request) == (GuestVerb.DELETE, {"Key": KEY})
    assert check.verb is GuestVerb.CHECK
    assert check.request["Key"] == {"id": {"S": "bob"}}
    (failed,), stale = draft.failed({1: GuestItem({"id": {"S": "bob"}})}, [False, True])
    assert tuple(failed) == (1, "accounts", {"id": "bob"}, "get", None, {"id": "bob"})
    assert stale


def test_draft_keeps_nothing_of_action_that_it_refused() -> None:
    draft = GuestDraft("jobs")
    draft.add(action(GuestVerb.DELETE))

    with pytest.raises(UsageError, match="a second action on one item of 'accounts'"):
        draft.add(action(GuestVerb.UPDATE))

    assert [each.verb for each in draft.guests()] == [GuestVerb.DELETE]
    assert draft.size_bytes == 0


def test_second_action_on_one_item_is_refused_beside_puts_of_unknown_keys() -> None:
    draft = GuestDraft("jobs")
    draft.add(replace(action(GuestVerb.PUT), table="orders"))
    draft.add(action(GuestVerb.DELETE))

    with pytest.raises(UsageError, match="a second action on one item of 'accounts'"):
        draft.add(action(GuestVerb.UPDATE))


def test_item_of_a_user_may_lie_in_the_table_of_the_pool() -> None:
    draft = GuestDraft("jobs")
    theirs, ours = ({"pk": {"S": pk}, "sk": {"S": "status"}} for pk in ("ann", "email#control"))
    draft.add(replace(action(GuestVerb.PUT), table="jobs", item=theirs))

    with pytest.raises(UsageError, match="an item of the library"):
        draft.add(replace(action(GuestVerb.PUT), table="jobs", item=ours))
    assert len(draft.guests()) == 1
