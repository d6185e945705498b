"""Tokens of a rate limit: what a window allows, and what a change of holder or limit keeps [WP-33]."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import a_work, an_id
from workpool_aws import RateLimit, UsageError
from workpool_aws.core.loop.admit import Headroom, Reason, Refusal, headroom_of
from workpool_aws.core.loop.choose import Choice, Found, WorkRead, choose
from workpool_aws.core.loop.memory import Inputs, Memory
from workpool_aws.core.loop.pace import PassResult
from workpool_aws.core.loop.rate import landed_by, spent_after, tokens_of
from workpool_aws.core.loop.rate_left import counted_by_next, counted_elsewhere
from workpool_aws.core.loop.rest import Rest, decide_rest
from workpool_aws.core.loop.settle import settle
from workpool_aws.core.watchdog.watch import may_start
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config, Ledger, LoopState, LoopStatus
from workpool_aws.model.rate import RateSpent

NOW = EpochMs(1_700_000_000_000)
MINUTE = timedelta(minutes=1)
TEN = RateLimit(10, per=MINUTE, burst=5)
"""A step of ten seconds."""
STEP_US = 10_000_000


def at(ms: int) -> EpochMs:
    return EpochMs(NOW + ms)


def spent_until(ms: int, *, count: int = 0, generation: int = 3) -> RateSpent:
    return RateSpent(1_000 * (NOW + ms), count, STEP_US, generation)


def config(rate: RateLimit | None) -> Config:
    return Config(pool="a", version=1, max_parallelism=3, base_by="x", base_at=NOW, rate_limit=rate)


def ledger(rate: RateSpent | None) -> Ledger:
    return Ledger(pool="a", holder="h", generation=3, version=1, rate=rate)


def status(rate: RateSpent | None) -> LoopStatus:
    return LoopStatus(pool="a", state=LoopState.IDLE, generation=3, lease_until=NOW, rate=rate)


@pytest.mark.parametrize(
    ("limit", "starts"),
    [
        (RateLimit(100, per=MINUTE), 1),
        (RateLimit(1_000, per=timedelta(seconds=1)), 250),
        (RateLimit(1_000, per=MINUTE), 9),
        (RateLimit(1, per=MINUTE), 1),
        (RateLimit(5, per=MINUTE, burst=5), 5),
    ],
)
def test_default_burst_is_half_a_second_of_the_rate(limit: RateLimit, starts: int) -> None:
    assert limit.starts_at_once == starts


@pytest.mark.parametrize("seed", range(20))
def test_no_window_has_more_starts_than_the_limit(seed: int) -> None:
    chance = random.Random(seed)
    n = chance.choice((1, 2, 3, 10, 100))
    per_s = chance.choice((1, 7, 60))
    limit = RateLimit(n, per=timedelta(seconds=per_s), burst=chance.choice((None, 1, n)))
    spent: RateSpent | None = None
    now, commits = NOW, list[int]()
    for _ in range(300):
        now = EpochMs(now + chance.choice((1, 100, 100, 800, 1_000 * per_s)))
        tokens = tokens_of(limit, spent, now)
        assert tokens is not None
        count = min(tokens.free, chance.choice((1, 3, 500)))
        if not count:
            assert tokens.next_at > now
            then = tokens_of(limit, spent, tokens.next_at)
            just_before = tokens_of(limit, spent, EpochMs(tokens.next_at - 1))
            assert then is not None
            assert just_before is not None
            assert (then.free >= 1, just_before.free) == (True, 0), seed
            continue
        after = tokens.after(count).spent_until_us
        landed = EpochMs(now + chance.choice((0, 5, 3_000)))
        spent = landed_by(RateSpent(after, count, limit.step_us, 1), landed)
        commits += [landed] * count
        now = landed
    for first in commits:
        window = [each for each in commits if first <= each < first + 1_000 * per_s]
        assert len(window) <= n, f"seed {seed}"


def test_steady_rate_is_what_the_burst_leaves() -> None:
    spent, starts = None, 0
    for ms in range(0, 600_000, 100):
        tokens = tokens_of(TEN, spent, at(ms))
        assert tokens is not None
        if tokens.free:
            starts += tokens.free
            until = tokens.after(tokens.free).spent_until_us
            spent = RateSpent(until, 0, TEN.step_us, 1)
    assert starts == 5 + 59


def test_headroom_needs_slot_and_token() -> None:
    work = a_work()
    room = headroom_of(config(TEN), in_flight=1, bulk_cancel=None, now=NOW, spent=None)
    assert room == Headroom(2, 5)
    assert Headroom(2, 1).admit(work) == Headroom(1, 0)
    assert Headroom(1, 0).admit(work) == Refusal(Reason.RATE_LIMITED, work.id)
    assert (Headroom(1, 0).starts, Headroom(1, 0).starved) == (0, True)
    none_left = headroom_of(
        config(TEN), in_flight=0, bulk_cancel=None, now=NOW, spent=spent_until(50_000)
    )
    assert none_left == Headroom(3, 0)


def test_choice_says_that_what_is_left_waits_for_token() -> None:
    works = [a_work(id=an_id(n=n), due_at=EpochMs(NOW - n)) for n in range(1, 4)]
    found = [Found(work.id, work) for work in works]
    read = WorkRead(tuple(found), None, ())
    assert choose([read], Headroom(5, 2)).starved
    assert not choose([read], Headroom(5, 3)).starved
    assert not choose([read], Headroom(2, 9)).starved
    assert not choose([None], Refusal(Reason.SLOTS_TAKEN)).starved


def test_commit_that_landed_late_is_counted_from_its_landing() -> None:
    spent = landed_by(spent_until(10_000, count=1), at(5_000))
    assert spent.until_us == 1_000 * (NOW + 5_001) + STEP_US
    assert spent.count == 0
    assert landed_by(spent_until(90_000, count=1), at(5_000)).until_us == 1_000 * (NOW + 90_000)


def test_next_holder_counts_tokens_four_seconds_later() -> None:
    left = spent_until(10_000)
    known = counted_by_next(ledger(spent_until(9_000, count=1)), status(left), at(100_000 - 1))
    assert known is not None
    assert counted_elsewhere(ledger(left), status(left)) == spent_until(14_000)


def test_next_holder_of_crashed_loop_counts_last_commit_from_take() -> None:
    known = counted_by_next(ledger(spent_until(10_000, count=2)), status(None), at(60_000))
    assert known == replace(known, until_us=1_000 * (NOW + 60_001) + 2 * STEP_US)


def test_count_that_older_loop_left_is_not_taken() -> None:
    older = replace(spent_until(500), generation=2)
    assert counted_elsewhere(ledger(spent_until(10_000)), status(older)) == spent_until(14_000)


def test_pool_without_starts_under_rate_limit_has_all_tokens() -> None:
    assert counted_by_next(ledger(None), status(None), NOW) is None
    tokens = tokens_of(TEN, None, NOW)
    assert tokens is not None
    assert (tokens.free, tokens.next_at) == (5, NOW)
    assert tokens_of(None, spent_until(10_000), NOW) is None


def test_change_of_limit_keeps_spent_tokens() -> None:
    faster = RateLimit(60, per=MINUTE, burst=10)
    tokens = tokens_of(faster, spent_until(30_000), NOW)
    assert tokens is not None
    assert tokens.spent_until_us == 1_000 * NOW + 3 * faster.step_us
    slower = tokens_of(RateLimit(1, per=MINUTE), spent_until(30_000), NOW)
    assert slower is not None
    assert slower.next_at == at(60_000)


def test_debt_of_older_limit_is_converted_once() -> None:
    slower = RateLimit(1, per=MINUTE)
    memory = Memory.of(ledger(spent_until(30_000)), None, spent_until(30_000))
    inputs = Inputs(
        now=NOW,
        config=config(slower),
        config_read_at=NOW,
        bulk_cancel=None,
        deep=False,
        notices=(),
    )
    read = memory.having_read(inputs, settle({}, []))
    assert read.spent is not None
    assert read.spent.until_us == 1_000 * (NOW + 60_000)
    later = read.having_read(replace(inputs, now=at(20_000)), settle({}, []))
    assert later.spent == read.spent
    assert spent_after(read.spent, None, at(30_000)) == read.spent


def test_tokens_of_unknown_past_are_spent() -> None:
    tokens = tokens_of(TEN, RateSpent(0, 0, 0, 3), NOW)
    assert tokens is not None
    assert (tokens.free, tokens.next_at) == (0, at(10_000))


def test_loop_stays_up_for_near_token() -> None:
    assert decide_rest({}, at(120_000), free=2, now=NOW, starved=True) is None


def test_loop_rests_until_far_token_as_full() -> None:
    rest = decide_rest({}, at(500_000), free=2, now=NOW, starved=True)
    assert rest == Rest(LoopState.WAITING, at(500_000), saturated=True, timer_at=at(440_000))


def test_pass_waits_for_token_before_what_is_due_later() -> None:
    waits = PassResult(
        free=2, next_due=at(900_000), progress=False, busy=False, config_version=1, token_at=at(70)
    )
    assert waits.next_start == at(70)
    assert replace(waits, token_at=None).next_start == at(900_000)


def test_watchdog_does_not_start_starved_pool() -> None:
    spent = spent_until(50_000)
    assert not may_start(config(TEN), ledger(spent), status(spent), NOW)
    assert may_start(config(TEN), ledger(spent), status(spent), at(15_000))
    assert may_start(config(None), ledger(spent), status(spent), NOW)
    assert may_start(config(TEN), None, None, NOW)


@pytest.mark.parametrize(
    ("n", "per", "burst", "field"),
    [
        (0, MINUTE, None, "n"),
        (-1, MINUTE, None, "n"),
        (True, MINUTE, None, "n"),
        (1.5, MINUTE, None, "n"),
        (1_000_001, MINUTE, None, "n"),
        (5, timedelta(0), None, "per"),
        (5, timedelta(milliseconds=1_500), None, "per"),
        (5, timedelta(days=2), None, "per"),
        (5, 60, None, "per"),
        (5, MINUTE, 6, "burst"),
        (5, MINUTE, 0, "burst"),
        (5, MINUTE, True, "burst"),
        (100_000, MINUTE, 10_001, "burst"),
    ],
)
def test_rate_limit_out_of_range_is_refused(
    n: object, per: object, burst: object, field: str
) -> None:
    with pytest.raises(UsageError) as refused:
        RateLimit(n, per=per, burst=burst)  # type: ignore[arg-type]
    assert refused.value.field == field


@pytest.mark.parametrize("text", ["100/1m", "10/1s/5", "5/90s", "7/1d", "1/2h/1"])
def test_text_of_rate_limit_is_read_back(text: str) -> None:
    assert str(RateLimit.parse(text)) == text


@pytest.mark.parametrize("text", ["", "100", "100/m/", "/1m", "1/1w", "1.5/1s", "1/1s/2/3", None])
def test_text_that_names_no_rate_limit_is_refused(text: object) -> None:
    with pytest.raises(UsageError, match="rate_limit must be"):
        RateLimit.parse(text)


def test_choice_without_rate_is_never_starved() -> None:
    assert Choice((), (), ()).starved is False
