"""The same random commands get the same answers from memory and from another engine, leave the same items, and cost the same writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, assert_never, get_args

import pytest

from tests.contract.commands import (
    KINDS,
    Command,
    Delete,
    Get,
    GetMany,
    Plant,
    Query,
    Transact,
    WriteOne,
    drawn_sequence,
)
from tests.contract.deviations import deviation_of
from tests.contract.engines import SERVER_NOW, Engine, dumped, lean_store_on, memory_engine
from workpool_aws.adapters.items.records import record_type
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.model.record import Ref
from workpool_aws.model.refs import Collection, RowPage
from workpool_aws.model.writes import Condition, Put, Update, Write
from workpool_aws.ports import ConditionFailed, Store, TransactionFailed

RUNS: Mapping[str, int] = {"moto": 0}
"""The first sequences, which every run compares beside those that show all; an engine that is not named
takes as many as a server can in some ten seconds."""
RUNS_ELSEWHERE = 300
LEAN_RUNS = 8
"""Sequences by lean calls, which the ordinary ones have shown not to be vacuous."""
SEEDS_MAX = 1_500
"""Among so many, each command must be seen to succeed, and each condition to hold and to fail."""

MakeEngine = Callable[[str], AbstractContextManager[Engine]]
Seen = Counter[tuple[str, ...]]


def sent(store: Store, command: Command) -> object:
    match command:
        case Get():
            return store.get(command.ref)
        case GetMany():
            return store.get_many(command.refs)
        case Query():
            return store.query(command.key_range)
        case WriteOne():
            return store.write(command.write).record
        case Transact():
            return store.transact(command.writes).record
        case Delete():
            return store.delete(command.ref)
        case Plant():
            raise AssertionError("planted, not sent")
        case _:
            assert_never(command)


def answer_of(store: Store, command: Command) -> tuple[Any, ...]:
    """The result of a command, without the server's clock and the words of a mistake."""
    try:
        return ("done", sent(store, command))
    except ConditionFailed as refused:
        return ("refused", refused.current)
    except TransactionFailed as cancelled:
        return ("refused", cancelled.failed, cancelled.current)
    except ValueError:
        return ("mistake",)


def kind_of(write: Write) -> str:
    return (type(write.record) if isinstance(write, Put) else record_type(write.ref)).__name__


def noted(seen: Seen, command: Command, answer: tuple[Any, ...]) -> None:
    """Return the features that a command and its answer show."""
    outcome = answer[0]
    match command:
        case Get():
            seen[
                "get",
                record_type(command.ref).__name__,
                "found" if answer[1] is not None else "nothing",
            ] += 1
        case GetMany():
            seen["get_many", "found" if answer[1] else "nothing"] += 1
        case Query():
            full = "rows" if outcome == "done" and answer[1].rows else "nothing"
            seen[
                "query",
                command.key_range.collection.value,
                "down" if command.key_range.reverse else "up",
                full,
            ] += 1
        case WriteOne():
            if outcome != "mistake":
                _note_write(seen, "write", command.write, held=outcome == "done", current=answer[1])
        case Transact():
            _note_transaction(seen, command, answer)
        case Delete():
            seen["delete", record_type(command.ref).__name__] += 1
        case Plant():
            pass
        case _:
            assert_never(command)


def _note_transaction(seen: Seen, command: Transact, answer: tuple[Any, ...]) -> None:
    outcome, count = answer[0], len(command.writes)
    seen["transact", outcome] += 1
    if outcome != "mistake":
        failed, current = (
            answer[1:] if outcome == "refused" else ((False,) * count, (None,) * count)
        )
        for write, refused, stood in zip(command.writes, failed, current, strict=True):
            _note_write(seen, "transact", write, held=not refused, current=stood)


def _note_write(seen: Seen, way: str, write: Write, *, held: bool, current: object) -> None:
    verb, result = type(write).__name__, "held" if held else "failed"
    seen[way, verb, kind_of(write), result] += 1
    # An update of nothing fails whatever its condition says: that shows nothing of the condition.
    if write.condition is not None and (held or isinstance(write, Put) or current is not None):
        seen[way, verb, type(write.condition).__name__, result] += 1


def wanted() -> set[tuple[str, ...]]:
    """Return the features without which a run is vacuous.

    They are drawn from the unions, so that none can be forgotten here.
    """
    kinds = [kind.__name__ for kind in KINDS]
    sorts = [each.__name__ for each in get_args(Condition)]
    results = ("held", "failed")
    everywhere = {
        (way, verb.__name__, sort, result)
        for way in ("write", "transact")
        for verb in (Put, Update)
        for sort in sorts
        for result in results
    }
    # What an update changes must exist, so it is never absent.
    everywhere -= {(way, "Update", "IsAbsent", "held") for way in ("write", "transact")}
    return {
        *everywhere,
        *((("write", verb.__name__, kind, "held")) for verb in (Put, Update) for kind in kinds),
        *(("get", kind, found) for kind in kinds for found in ("found", "nothing")),
        *(("delete", kind) for kind in kinds),
        *(
            ("query", collection.value, way, "rows")
            for collection in Collection
            for way in ("up", "down")
        ),
        ("get_many", "found"),
        ("transact", "done"),
        ("transact", "refused"),
        ("transact", "mistake"),
    }


def same(engine: Engine, command: Command, theirs: tuple[Any, ...], ours: tuple[Any, ...]) -> bool:
    """True if two answers agree, but for known deviations of the engine."""
    if theirs == ours:
        return True
    silent = deviation_of(engine.name, "test_page_that_reached_its_limit_always_names_next_one")
    if silent is None or not isinstance(command, Query) or theirs[0] != "done":
        return False
    # It stops naming pages where the next one would be empty: the rows must agree all the same.
    page: RowPage = theirs[1]
    return (
        page.rows == ours[1].rows
        and page.next_low is page.next_high is None
        and len(page.rows) == command.key_range.limit
    )


def compared(memory: Engine, engine: Engine, sequence: Iterable[Command], seen: Seen) -> None:
    """Send every command to both, and hold answers, items and write units against each other."""
    bills = deviation_of(engine.name, "test_write_is_billed_by_larger_of_before_and_after") is None
    began = engine.write_units()
    unbilled = 0.0
    for command in sequence:
        if isinstance(command, Plant):
            for each in (memory, engine):
                each.inject(command.pk, command.sk, command.item)
            began = engine.write_units() - (memory.write_units() - unbilled)
            continue
        before = memory.write_units()
        ours = answer_of(memory.store, command)
        theirs = answer_of(engine.store, command)
        assert same(engine, command, theirs, ours), (
            f"{command}\n{engine.name} answers {theirs}\nmemory answers {ours}"
        )
        if ours[0] != "done":
            # What was refused is billed, but no engine says how much.
            unbilled += memory.write_units() - before
        noted(seen, command, ours)
    assert engine.dump() == memory.dump()
    if bills:
        assert engine.write_units() - began == memory.write_units() - unbilled


def first_difference(
    make_engine: MakeEngine, name: str, sequence: Sequence[Command], seen: Seen
) -> str | None:
    """Return the difference of the engine from memory in a sequence; `None` means none."""
    with make_engine("memory") as memory, make_engine(name) as engine:
        try:
            compared(memory, engine, sequence, seen)
        except Exception as difference:  # noqa: BLE001 - an engine that breaks differs, too, and its seed must be told
            return f"{type(difference).__name__}: {difference}"
    return None


def shrunk(
    sequence: Sequence[Command], differs: Callable[[Sequence[Command]], bool]
) -> list[Command]:
    """The sequence without every command that the difference can do without."""
    kept = list(sequence)
    size = len(kept)
    while size >= 1:
        start = 0
        while start < len(kept):
            fewer = [*kept[:start], *kept[start + size :]]
            if fewer and differs(fewer):
                kept = fewer
            else:
                start += size
        size //= 2
    return kept


def check(make_engine: MakeEngine, name: str, seed: int, seen: Seen) -> None:
    """Fail with the shortest part of a seed's sequence on which the engine differs from memory."""
    sequence = drawn_sequence(seed)
    if first_difference(make_engine, name, sequence, seen) is None:
        return
    short = shrunk(
        sequence, lambda fewer: first_difference(make_engine, name, fewer, Counter()) is not None
    )
    told = [f"again: --engine {name} --commands-replay {seed}", *map(str, short)]
    pytest.fail("\n".join([*told, str(first_difference(make_engine, name, short, Counter()))]))


def shown(seed: int) -> set[tuple[str, ...]]:
    """Return the features of a seed's sequence in memory, which takes no time."""
    seen: Seen = Counter()
    with memory_engine() as memory:
        for command in drawn_sequence(seed):
            if isinstance(command, Plant):
                memory.inject(command.pk, command.sk, command.item)
            else:
                noted(seen, command, answer_of(memory.store, command))
    return set(seen)


def seeds_that_show_all(first: int, at_least: int) -> list[int]:
    """The first seeds, and of those behind them few that show what these do not.

    In memory a sequence takes a tenth of its time on another engine: so all that are needed are
    looked at, and then the one that shows most of what is missing is chosen, again and again.
    """
    showing: dict[int, set[tuple[str, ...]]] = {}
    unseen = wanted()
    for seed in range(first, first + SEEDS_MAX):
        if not unseen and len(showing) >= at_least:
            break
        showing[seed] = wanted() & shown(seed)
        unseen -= showing[seed]
    chosen = list(showing)[:at_least]
    missing = set().union(*showing.values()).difference(*(showing[seed] for seed in chosen))
    while missing:
        best = max(showing, key=lambda seed: len(missing & showing[seed]))
        chosen.append(best)
        missing -= showing[best]
    return chosen


def test_random_commands_agree(other_engine, make_engine, request):
    option = request.config.getoption
    seen: Seen = Counter()
    if option("--commands-replay") is not None:
        check(make_engine, other_engine, option("--commands-replay"), seen)
        return
    first = option("--commands-seed")
    at_least = option("--commands-runs") or RUNS.get(other_engine, RUNS_ELSEWHERE)
    seeds = seeds_that_show_all(first, at_least)
    for seed in seeds:
        check(make_engine, other_engine, seed, seen)
    missing = sorted(wanted() - set(seen))
    assert not missing, (
        f"vacuous: {len(seeds)} sequences from seed {first} on never showed {missing}"
    )


def test_lean_calls_agree(other_engine, make_engine, request):
    @contextmanager
    def lean(name: str) -> Iterator[Engine]:
        with make_engine(name) as made:
            yield made if made.table is None else replace(made, store=lean_store_on(made.table))

    seen: Seen = Counter()
    first = request.config.getoption("--commands-seed")
    for seed in range(first, first + LEAN_RUNS):
        check(lean, other_engine, seed, seen)
    assert {("transact", "refused"), ("transact", "done"), ("get_many", "found")} <= set(seen)


class Forgetful(MemoryStore):
    """A table with a bug: it deletes nothing."""

    def delete(self, ref: Ref) -> None:
        pass


@contextmanager
def forgetful_engine() -> Iterator[Engine]:
    store = Forgetful(lambda: SERVER_NOW)
    # What moto bills is not compared: the items alone show it.
    yield Engine("moto", store, store.inject, lambda: dumped(store), lambda: 0.0, None)


def test_difference_is_found_and_shrunk():
    def make(name):
        return memory_engine() if name == "memory" else forgetful_engine()

    sequence = next(
        each
        for each in map(drawn_sequence, range(1_000))
        if first_difference(make, "forgetful", each, Counter())
    )

    short = shrunk(
        sequence, lambda fewer: first_difference(make, "forgetful", fewer, Counter()) is not None
    )

    assert len(short) == 2
    assert isinstance(short[1], Delete)


def test_seed_is_one_sequence():
    assert drawn_sequence(7) == drawn_sequence(7)
    assert drawn_sequence(7) != drawn_sequence(8)
