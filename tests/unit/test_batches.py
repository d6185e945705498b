"""The tests' own messages between processes: what is said about a test travels at once, and nothing is lost or reordered."""

from __future__ import annotations

from typing import Any

from tests.kit.batches import Batches, unpacking


def test_batches_are_unpacked_in_their_order() -> None:
    sent: list[Any] = []
    arrived: list[Any] = []
    say = Batches(lambda name, **kwargs: sent.append((name, kwargs)), sent.append)

    say("collectionfinish", ids=["a"])
    for test in ("a", "b"):
        say("logstart", nodeid=test)
        say("testreport", data={"nodeid": test, "longrepr": None, "sections": [("out", "ü")]})
        say("unscheduled", indices=[])
        say("logfinish", nodeid=test)
        say("runtest_protocol_complete", item_index=0, duration=0.5)
    say("logstart", nodeid="c")
    say("workerfinished", workeroutput={})
    for event in sent:
        unpacking(arrived.append)(event)

    names = [name for name, _ in arrived]
    of_a_test = ["logstart", "testreport", "logfinish", "runtest_protocol_complete"]
    assert [name for name in names if name != "unscheduled"] == [
        "collectionfinish",
        *of_a_test,
        *of_a_test,
        "logstart",
        "workerfinished",
    ]
    assert names.count("unscheduled") == 2
    assert len(sent) == 9
    assert arrived[3][1]["data"]["sections"] == [("out", "ü")]
