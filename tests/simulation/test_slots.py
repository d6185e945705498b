"""The judge's summary of slots agrees with all of their history."""

import random

import pytest

from tests.kit.records import an_id
from tests.simulation.slots import Slots
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import EntryKey

History = dict[EntryKey, tuple[EpochMs, EpochMs | None]]


@pytest.mark.parametrize("seed", range(40))
def test_slot_is_free_since_time_that_whole_history_says(seed: int) -> None:
    """Ends are noted late, twice, in advance, and of starts that never began; the limit changes."""
    chance = random.Random(seed)
    slots, history = Slots(), History()
    now, limit, changed_at = EpochMs(0), 3, EpochMs(0)
    for number in range(300):
        now = EpochMs(now + chance.choice((0, 1, 1, 5, 40)))
        key = EntryKey(an_id(EpochMs(1_000), chance.randrange(max(1, number // 2), number + 2)), 1)
        match chance.randrange(8):
            case 0 | 1 | 2 if key not in history:
                slots.begins(key, now)
                history[key] = (now, None)
            case 3 | 4 | 5:
                is_over = history.get(key, (now, None))[1] is not None
                at = now if is_over else EpochMs(now + chance.choice((0, 0, 60)))
                slots.ends(key, at, now)
                history[key] = (history.get(key, (now, None))[0], at)
            case 6 if chance.random() < 0.1:
                limit, changed_at = chance.choice((1, 2, 3, 5)), now
            case _:
                told = slots.free_since(limit, changed_at, now)
                assert told == free_since(history, limit, changed_at, now), f"{seed}: at {now}"


def free_since(history: History, limit: int, changed_at: EpochMs, now: EpochMs) -> EpochMs:
    if sum(until is None for _, until in history.values()) >= limit:
        return now
    over = {until for _, until in history.values() if until is not None and until <= now}
    full = [
        at
        for at in over
        if sum(since < at and (until is None or until >= at) for since, until in history.values())
        >= limit
    ]
    return max([changed_at, *full])
