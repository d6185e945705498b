"""Random requests get the same answers from memory and from moto, and leave the same items behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import Done, DoneKind, LoopState, Status
from workpool_aws.model.refs import DoneRef, PointerRef, Shelf, Span, StatusRef, WorkRef
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.work import Kind, Pointer, State, Work
from workpool_aws.model.writes import Above, All, Below, Either, Is, IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, TransactionFailed

POOL = "p"
T0 = EpochMs(1_700_000_000_000)
IDS = [WorkId(make_id(EpochMs(T0 + n), random_bits=0)) for n in range(3)]
WORK = Work(
    pool=POOL,
    id=IDS[0],
    target="f",
    args="{}",
    kind=Kind.ACTION,
    retry=None,
    claimed=False,
    state=State.PENDING,
    due_at=T0,
    enqueued_at=T0,
    retention_s=None,
)
STATUS = Status(pool=POOL, state=LoopState.IDLE, generation=0, lease_until=T0)

small = st.integers(min_value=-1, max_value=2)
token = st.sampled_from(["", "a", "ä"])
flag = st.booleans()
state = st.sampled_from(State)

work_values = {
    "state": state,
    "starts": small,
    "attempts_made": small,
    "claimed": flag,
    "cancel_requested": flag,
    "claim": st.none() | token,
    "deadline": st.none() | small,
    "retry": st.none() | st.just(RetryPolicy(max_attempts=2)),
    "dead": st.none() | st.sampled_from(IDS),
}
status_values = {"generation": small, "saturated": flag, "wake_at": st.none() | small, "written_by": st.none() | token}
work_numbers = ["starts", "attempts_made", "deadline", "undelivered"]
status_numbers = ["generation", "wake_at"]


def parts_of(inner):
    return st.lists(inner, min_size=1, max_size=3).map(tuple)


def conditions(values, numbers):
    names = sorted(set(values) - {"retry"})
    equal = st.sampled_from(names).flatmap(lambda name: st.builds(Is, st.just(name), values[name]))
    leaf = st.one_of(
        st.just(IsAbsent()),
        equal,
        st.builds(Below, st.sampled_from(numbers), small),
        st.builds(Above, st.sampled_from(numbers), small),
    )
    tree = st.recursive(
        leaf,
        lambda inner: st.builds(All, parts_of(inner)) | st.builds(Either, parts_of(inner)),
        max_leaves=4,
    )
    return st.none() | tree


work_conditions = conditions(work_values, work_numbers)
status_conditions = conditions(status_values, status_numbers)
works = st.builds(
    lambda work_id, changes: replace(WORK, id=work_id, **changes), st.sampled_from(IDS), st.fixed_dictionaries({}, optional=work_values)
)
pointers = st.builds(lambda at, work_id: Pointer(pool=POOL, at=at, work_id=work_id), st.sampled_from(IDS), st.sampled_from(IDS))
statuses = st.builds(lambda changes: replace(STATUS, **changes), st.fixed_dictionaries({}, optional=status_values))
dones = st.builds(
    lambda at, work_id, start: Done(pool=POOL, at=at, work_id=work_id, start=start, kind=DoneKind.FINISHED),
    st.sampled_from(IDS),
    st.sampled_from(IDS),
    small,
)


@st.composite
def updates(draw, refs, values, numbers, allowed):
    changes = draw(st.fixed_dictionaries({}, optional=values))
    amounts = draw(st.dictionaries(st.sampled_from(numbers), small, max_size=2))
    add = {name: amount for name, amount in amounts.items() if name not in changes}
    if not changes and not add:
        changes = {numbers[0]: draw(small)}
    return Update(ref=draw(refs), set=changes, add=add, condition=draw(allowed))


work_refs = st.builds(WorkRef, st.just(POOL), st.sampled_from(IDS))
writes = st.one_of(
    st.builds(Put, works, work_conditions),
    st.builds(Put, pointers, st.none() | st.just(IsAbsent())),
    st.builds(Put, statuses, status_conditions),
    st.builds(Put, dones),
    updates(work_refs, work_values, work_numbers, work_conditions),
    updates(st.just(StatusRef(POOL)), status_values, status_numbers, status_conditions),
)
refs = st.one_of(
    work_refs,
    st.builds(PointerRef, st.just(POOL), st.sampled_from(IDS)),
    st.builds(DoneRef, st.just(POOL), st.sampled_from(IDS)),
    st.just(StatusRef(POOL)),
)
bounds = st.sampled_from(["", *IDS])
spans = st.builds(
    lambda shelf, low, high, reverse: Span(shelf=shelf, pool=POOL, low=low, high=high, reverse=reverse),
    st.sampled_from([Shelf.WORK, Shelf.DONE, Shelf.DEAD]),
    bounds,
    st.none() | bounds,
    st.booleans(),
)


requests = st.one_of(
    st.tuples(st.just("write"), writes),
    st.tuples(st.just("write"), writes),
    st.tuples(st.just("transact"), st.lists(writes, min_size=1, max_size=3)),
    st.tuples(st.just("delete"), refs),
    st.tuples(st.just("get"), refs),
    st.tuples(st.just("get_many"), st.lists(refs, max_size=4)),
    st.tuples(st.just("query"), spans),
)


def answer_to(store, verb, argument):
    """What a request comes to, without what may differ: the server's clock."""
    try:
        answer = getattr(store, verb)(argument)
    except ConditionFailed as refused:
        return ("refused", refused.current)
    except TransactionFailed as cancelled:
        return ("cancelled", cancelled.failed, cancelled.current)
    except ValueError:
        return ("mistake",)
    if verb in ("write", "transact"):
        return ("written", answer.record)
    return ("answered", answer)


def test_memory_and_moto_agree(both_engines):
    outcomes = Counter()

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(st.lists(requests, min_size=10, max_size=30))
    def run(sequence):
        with both_engines() as (memory, moto):
            for verb, argument in sequence:
                expected = answer_to(memory.store, verb, argument)
                assert answer_to(moto.store, verb, argument) == expected
                outcomes[verb, expected[0]] += 1
            assert moto.dump() == memory.dump()

    run()
    # A sequence that never succeeds, or never fails, would agree on nothing much.
    for seen in [
        ("write", "written"),
        ("write", "refused"),
        ("transact", "written"),
        ("transact", "cancelled"),
        ("delete", "answered"),
        ("get", "answered"),
        ("get_many", "answered"),
        ("query", "answered"),
    ]:
        assert outcomes[seen] > 0, seen
