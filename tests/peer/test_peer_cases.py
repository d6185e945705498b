"""Behaviours of the peer's list that need neither chance nor a story of their own elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest

from workpool_aws import NonRetryableError, UsageError
from workpool_aws.local import LocalCloud
from workpool_aws.model.loop import Ledger
from workpool_aws.model.refs import Collection, ConfigRef, KeyRange, LedgerRef

MINUTE = timedelta(minutes=1)
LONG = timedelta(minutes=7)

CALM = pytest.mark.parametrize("open_cloud", ["calm"], indirect=True)


@pytest.mark.parametrize("open_cloud", ["calm", "moto"], indirect=True)
@pytest.mark.parametrize("kinds", [["success", "fail"], ["Failed"], [1], "failed"], ids=str)
@pytest.mark.peer("LB02")
def test_bad_filter_is_refused_before_anything_is_stored(cloud: LocalCloud, kinds: object) -> None:
    pool = cloud.workpool("email", max_parallelism=3)
    fn = cloud.function(lambda event, _: event, name="fn")

    with pytest.raises(UsageError, match="on_complete_exclude"):
        pool.enqueue_action(None, fn, {}, on_complete=fn, on_complete_exclude=kinds)
    with pytest.raises(UsageError, match="on_complete_exclude"):
        pool.enqueue_action_batch(None, fn, [{}, {}], on_complete=fn, on_complete_exclude=kinds)

    store = cloud._engine_open.quiet(cloud.table)
    assert store.query(KeyRange(collection=Collection.WORK, pool="email")).rows == ()
    assert (store.get(ConfigRef("email")), store.get(LedgerRef("email"))) == (None, None)


@CALM
@pytest.mark.peer("LB16")
def test_work_is_finished_as_soon_as_its_result_is_stored(cloud: LocalCloud) -> None:
    """The loop has not seen the report yet: its ledger still has the slot."""
    pool = cloud.workpool("email")
    fn = cloud.function(pool.action(lambda: 7), name="seven", takes=MINUTE, timeout=LONG)
    work_id = pool.enqueue_action(None, fn, {})

    while pool.status(None, work_id).state != "finished":
        cloud.advance(timedelta(milliseconds=1 if cloud.now.minute else 1_000))

    ledger = cloud._engine_open.quiet(cloud.table).get(LedgerRef("email"))
    assert isinstance(ledger, Ledger)
    assert [key.work_id for key in ledger.entries] == [work_id]
    assert pool.result(None, work_id).return_value == 7


@CALM
@pytest.mark.peer("LP05", "CP04", "ER01", "ER04")
def test_works_of_one_batch_run_and_fail_each_for_itself(cloud: LocalCloud) -> None:
    class OutOfStock(NonRetryableError):
        pass

    ran: list[str] = []
    pool = cloud.workpool("email")

    @pool.action
    def order(end: str) -> str:
        ran.append(end)
        if end == "final":
            raise OutOfStock("no more of it")
        if end == "ordinary":
            raise RuntimeError("try again")
        return end

    ids = pool.enqueue_action_batch(
        None,
        cloud.function(order),
        [{"end": "ok"}, {"end": "final"}, {"end": "ordinary"}, {"no": 1}],
        retry=True,
    )
    cloud.run_until_idle()

    told = [pool.result(None, work_id) for work_id in ids]
    assert [(each.kind, each.error_type) for each in told] == [
        ("success", None),
        ("failed", "OutOfStock"),
        ("failed", "RuntimeError"),
        ("failed", "invalid_arguments"),
    ]
    assert told[1].error == "no more of it"
    assert sorted(ran) == ["final", "ok", *["ordinary"] * 5]


@CALM
@pytest.mark.peer("LP06")
def test_works_beyond_one_request_start_in_one_go(cloud: LocalCloud) -> None:
    """A transaction takes 100 items, a batch of reads 100: neither bounds a pass."""
    pool = cloud.workpool("email", max_parallelism=130)
    fn = cloud.function(pool.action(lambda n: n), name="fn", takes=LONG, timeout=2 * LONG)
    ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(133)])

    cloud.advance(timedelta(seconds=20))

    assert [status.state for status in pool.status_batch(None, ids)] == ["running"] * 130 + [
        "pending"
    ] * 3
    cloud.run_until_idle()
    assert {status.outcome for status in pool.status_batch(None, ids)} == {"success"}


@pytest.mark.peer("SA03")
def test_full_loop_reads_no_more_for_long_backlog() -> None:
    read = {}
    for backlog in (3, 1_500):
        with LocalCloud(engine="memory") as cloud:
            pool = cloud.workpool("email", max_parallelism=1)
            fn = cloud.function(
                pool.action(lambda n: n), name="fn", takes=LONG, timeout=timedelta(minutes=14)
            )
            pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(backlog)])
            cloud.advance(MINUTE)
            before = cloud.capacity.read_units
            cloud.advance(timedelta(minutes=8))
            read[backlog] = cloud.capacity.read_units - before

    assert read[1_500] == read[3]


@CALM
@pytest.mark.peer("SA01")
def test_statistics_are_shown_only_where_they_are_asked_for(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email")
    fn = cloud.function(pool.action(lambda n: n), name="fn")
    pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(5)])
    cloud.run_until_idle()
    assert "stats" not in {fact.name for fact in cloud.facts}

    pool.log_stats(None)

    assert [fact.name for fact in cloud.facts].count("stats") == 1


@CALM
@pytest.mark.peer("BW11", "OL02", "BW12")
def test_finished_work_keeps_loop_up_little_longer(cloud: LocalCloud) -> None:
    """One invocation of it serves short work items one after the other, and another one after a rest."""
    pool = cloud.workpool("email", max_parallelism=1)
    fn = cloud.function(pool.action(lambda: 1), name="fn", takes=timedelta(milliseconds=300))
    taken = []
    for _ in range(2):
        pool.enqueue_action_batch(None, fn, [{}] * 6)
        cloud.run_until_idle()
        taken.append(sum(fact.name == "loop_took" for fact in cloud.facts))
        cloud.advance(MINUTE)

    assert taken == [1, 2]


@CALM
@pytest.mark.peer("BW29")
def test_works_start_in_order_of_due_time_and_then_of_enqueueing(cloud: LocalCloud) -> None:
    ran: list[str] = []
    pool = cloud.workpool("email", max_parallelism=1)

    def note(name: str) -> None:
        ran.append(name)

    fn = cloud.function(pool.action(note), name="fn", takes=MINUTE, timeout=LONG)
    for name, delay_s in (("c", 30), ("a", 0), ("d", 40), ("b1", 20), ("b2", 20), ("b3", 20)):
        pool.enqueue_action(None, fn, {"name": name}, run_after=timedelta(seconds=delay_s))

    cloud.run_until_idle()

    assert ran == ["a", "b1", "b2", "b3", "c", "d"]


@CALM
@pytest.mark.peer("BW07")
def test_resuming_pool_that_never_was_does_nothing_bad(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email")

    pool.configure(None, paused=False)

    cloud.run_until_idle()
    assert (pool.config(None).paused, pool.list(None).items) == (False, ())
    work_id = pool.enqueue_action(None, cloud.function(pool.action(lambda: 1), name="fn"), {})
    cloud.run_until_idle()
    assert pool.status(None, work_id).outcome == "success"
