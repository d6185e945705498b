"""The section "See and understand": show, the pools of a table, the number of dead letters."""

from datetime import timedelta

import pytest

from tests.kit.functions import boom, echo
from workpool_aws import NotFound, RetryPolicy, StoredPayload, UsageError
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

NOT_READ = {"json": None, "missing": False, "value": None}


def read(payload: StoredPayload | None) -> dict[str, object]:
    assert payload is not None
    return {"json": payload.json, "missing": payload.missing, "value": payload.value}


@both_engines
def test_show_has_everything_and_payloads_on_request(cloud: LocalCloud) -> None:
    policy = RetryPolicy(max_attempts=2)
    pool = cloud.workpool(status_ttl=timedelta(hours=2))
    fn, told = cloud.function(echo, name="echo"), cloud.function(echo, name="told")
    work_id = pool.enqueue_action(
        None,
        fn,
        {"n": 1},
        retry=policy,
        on_complete=told,
        context={"user": 7},
        on_complete_exclude=["canceled"],
    )

    before = pool.show(None, work_id)
    cloud.run_until_idle()
    closed = pool.show(None, work_id)
    opened = pool.show(None, work_id, args=True, context=True, result=True)

    assert (before.status.state, before.result) == ("pending", None)
    assert (closed.work_id, closed.target, closed.status.outcome) == (work_id, fn, "success")
    assert (closed.retry, closed.claimed, closed.status_ttl, closed.link) == (
        policy,
        False,
        timedelta(hours=2),
        None,
    )
    assert (closed.on_complete, closed.on_complete_exclude) == (told, ("canceled",))
    assert [read(each) for each in (closed.args, closed.context, closed.result)] == [NOT_READ] * 3
    assert (closed.args.size_bytes, closed.args.chunks) == (len('{"n":1}'), 0)
    assert [each and each.value for each in (opened.args, opened.context, opened.result)] == [
        {"n": 1},
        {"user": 7},
        1,
    ]
    assert opened.args.json == '{"n":1}'
    assert opened.status == pool.list(None).items[0]


@both_engines
def test_large_payloads_are_read_from_their_chunks_on_request(cloud: LocalCloud) -> None:
    large = "x" * 400_000
    work_id = (pool := cloud.workpool()).enqueue_action(None, cloud.function(echo), {"n": large})
    cloud.run_until_idle()

    closed, opened = pool.show(None, work_id), pool.show(None, work_id, args=True, result=True)

    assert closed.result is not None
    assert opened.result is not None
    assert (closed.args.size_bytes, closed.args.chunks, closed.args.json) == (None, 2, None)
    assert (closed.result.size_bytes, closed.result.chunks) == (None, 2)
    assert (opened.args.value, opened.args.size_bytes) == (
        {"n": large},
        len(large) + len('{"n":""}'),
    )
    assert opened.result.value == large


def test_show_of_unknown_id_is_not_found(cloud: LocalCloud) -> None:
    with pytest.raises(NotFound):
        cloud.workpool().show(None, "nonsense")
    with pytest.raises(UsageError, match=r"^work_id must be "):
        cloud.workpool().show(None, 7)  # type: ignore[arg-type]


def test_show_of_claimed_action_without_options(cloud: LocalCloud) -> None:
    pool = cloud.workpool(status_ttl=None)

    shown = pool.show(None, pool.enqueue_action(None, "echo", {}))

    assert (shown.claimed, shown.retry, shown.status_ttl) == (True, None, None)
    assert (shown.on_complete, shown.on_complete_exclude, shown.context) == (None, (), None)


def test_show_reports_cancel_of_whole_pool_before_loop_has_come_to_it(
    cloud: LocalCloud,
) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(echo), {}, run_after=timedelta(hours=1))

    pool.cancel_all(None)

    assert pool.show(None, work_id).status.cancel_requested


@both_engines
def test_pools_lists_every_pool_with_its_limits_and_loop(cloud: LocalCloud) -> None:
    fn = cloud.function(echo, takes=timedelta(minutes=1))
    busy, paused = cloud.workpool("busy", max_parallelism=3), cloud.workpool("paused")
    nothing_yet = busy.pools(None)
    busy.enqueue_action(None, fn, {})
    paused.enqueue_action(None, fn, {}, run_after=timedelta(hours=1))
    paused.configure(None, paused=True)
    cloud.advance(timedelta(seconds=10))

    pools = paused.pools(None)

    assert nothing_yet == ()
    assert [
        (each.name, each.config.max_parallelism, each.config.paused, each.loop) for each in pools
    ] == [
        ("busy", 3, False, "waiting"),
        ("paused", 0, True, "waiting"),
    ]
    assert pools == busy.pools(None)


def test_pool_is_known_once_it_had_work_or_was_given_limit(cloud: LocalCloud) -> None:
    fn = cloud.function(echo)
    worked, limited, new = (cloud.workpool(name) for name in ("worked", "limited", "new"))
    worked.enqueue_action(None, fn, {})
    limited.configure(None, max_parallelism=2)

    assert [pool.is_known(None) for pool in (worked, limited, new)] == [True, True, False]


@both_engines
def test_count_of_dead_letters_is_that_of_redrive_all(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn, other = cloud.function(boom, name="boom"), cloud.function(boom, name="other")
    for n, target in enumerate([fn, fn, other]):
        pool.enqueue_action(None, target, {"n": n})
    cloud.run_until_idle()

    counts = [
        pool.count_dead_letters(None),
        pool.count_dead_letters(None, fn),
        pool.count_dead_letters(None, "none"),
    ]
    redriven = pool.redrive_all(None, "boom")

    assert (counts, redriven, pool.count_dead_letters(None, fn=None)) == ([3, 2, 0], 2, 1)
    with pytest.raises(UsageError, match=r"^fn must be "):
        pool.count_dead_letters(None, "a b")


@pytest.mark.parametrize("method", ["pools", "is_known", "count_dead_letters"])
def test_what_is_no_context_is_refused(cloud: LocalCloud, method: str) -> None:
    with pytest.raises(UsageError, match=r"^ctx must be "):
        getattr(cloud.workpool(), method)({"fn": "send"})
