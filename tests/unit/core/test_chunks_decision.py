"""The place of a payload, and the expiry of its chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.records import NOW, a_running_work, a_work, an_assignment, an_id
from workpool_aws.adapters.items.capacity import ITEM_BYTES_MAX, item_size
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.items.records import ref_of
from workpool_aws.core import limits
from workpool_aws.core.chunks import chunk_refs, expiries, joined, lay_out, overdue_expiries, packed
from workpool_aws.core.report.complete import Finish, decide_canceled, decide_report
from workpool_aws.core.work.cancel import decide_cancel
from workpool_aws.core.work.end import CancelWrite
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.payload import Chunk, Chunked, Inline, Part
from workpool_aws.model.refs import ChunkRef, Unreadable, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State
from workpool_aws.model.writes import Update

OWNER = WorkRef("email", an_id())
LATER = NOW // 1000 + 86_400
SUCCESS = Report(kind=ReportKind.SUCCESS, result='"ok"')
ASKED = Report(kind=ReportKind.FAILED, error_type="ConnectionError")


def refs_of(part: Part, count: int) -> list[ChunkRef]:
    return [ChunkRef("email", an_id(), part, number) for number in range(count)]


def test_count_of_chunks_that_no_payload_has_names_none() -> None:
    """[WP-12]"""
    assert [
        len(chunk_refs(OWNER, Part.ARGS, count))
        for count in (limits.CHUNKS_MAX, limits.CHUNKS_MAX + 1)
    ] == [limits.CHUNKS_MAX, 0]


def test_small_payloads_stay_with_their_work() -> None:
    assert lay_out("a" * 4096, OWNER, Part.ARGS).payload == Inline("a" * 4096)
    assert lay_out("a" * 16_384, OWNER, Part.RESULT).payload == Inline("a" * 16_384)
    assert lay_out(None, OWNER, Part.RESULT).payload is None


def test_payload_is_measured_in_bytes() -> None:
    layout = lay_out("é" * 2049, OWNER, Part.ARGS)

    assert layout.payload == Chunked(1)


@pytest.mark.parametrize("text", ["a", "é", "€", "𝄞"], ids=["1", "2", "3", "4"])
def test_largest_payload_fits_into_its_chunks_and_each_into_item(text: str) -> None:
    """[WP-11] Whatever the width of its characters: no chunk ends within one."""
    whole = "x" + text * ((limits.PAYLOAD_BYTES_MAX - 1) // len(text.encode()))

    puts = lay_out(whole, OWNER, Part.ARGS, expires_at=LATER).puts

    chunks = [put.record for put in puts if isinstance(put.record, Chunk)]
    assert "".join(chunk.text for chunk in chunks) == whole
    assert len(chunks) <= limits.CHUNKS_MAX
    assert max(item_size(encode(chunk)) for chunk in chunks) < ITEM_BYTES_MAX


@given(
    st.builds(
        lambda unit, length: (unit * length)[:length],
        st.text(alphabet="aé€𝄞", min_size=1, max_size=40),
        st.integers(1366, 3000),
    ).filter(lambda text: len(text.encode()) > limits.ARGS_INLINE_BYTES_MAX)
)
def test_payload_comes_back_whole(text: str) -> None:
    puts = lay_out(text, OWNER, Part.ARGS).puts

    found = {ref_of(put.record): put.record for put in puts}
    assert joined(chunk_refs(OWNER, Part.ARGS, len(puts)), found) == text


def test_payload_with_hole_is_no_payload() -> None:
    first, second = chunk_refs(OWNER, Part.ARGS, 2)
    chunk = Chunk(pool="email", work_id=an_id(), part=Part.ARGS, number=0, text="a")

    assert joined([first, second], {first: chunk}) is None
    assert joined([first, second], {first: chunk, second: Unreadable("p", "s", "damaged")}) is None
    assert joined([], {}) is None


@pytest.mark.parametrize("count", [-1, 0, 4, 10**30])
def test_count_that_no_payload_has_names_nothing(count: int) -> None:
    """[WP-12] A damaged count must not make the loop read for ever."""
    assert chunk_refs(OWNER, Part.ARGS, count) == ()


def test_new_work_is_stored_without_its_large_arguments() -> None:
    small, large = a_work(), a_work(args="a" * 400_000)

    assert packed(small) == (small, ())
    stored, puts = packed(large)
    assert stored.spec.args == Chunked(2)
    assert [ref_of(put.record) for put in puts] == refs_of(Part.ARGS, 2)


def test_unfinished_work_has_no_expiry() -> None:
    """[WP-10] Neither the arguments of a stored work, nor those of one that will be tried again."""
    _, puts = packed(a_work(args="a" * 400_000))
    running = a_running_work(args=Chunked(2), expires_at=LATER)

    assert [put.record.expires_at for put in puts if isinstance(put.record, Chunk)] == [None, None]
    assert overdue_expiries(running) == ()


@pytest.mark.parametrize("decided", ["finished", "canceled"])
def test_end_of_start_lets_its_arguments_expire_with_work(decided: str) -> None:
    a = an_assignment(args_chunks=2)

    end = (
        decide_report(a, SUCCESS, now=NOW, jitter=0.5)
        if decided == "finished"
        else decide_canceled(a, ASKED, now=NOW)
    )

    assert isinstance(end, Finish)
    assert end.write.set["expires_at"] == LATER
    assert end.expiries == tuple(
        Update(ref=ref, set={"expires_at": LATER}) for ref in refs_of(Part.ARGS, 2)
    )


def test_large_result_is_written_with_end_of_its_work() -> None:
    """[WP-10] It may expire at once, with the work: what it belongs to is finished by the same transaction."""
    end = decide_report(
        an_assignment(), Report(kind=ReportKind.SUCCESS, result="r" * 400_000), now=NOW, jitter=0.5
    )

    assert isinstance(end, Finish)
    assert (end.write.set["result"], end.write.set["result_chunks"]) == (None, 2)
    assert [ref_of(put.record) for put in end.beside] == refs_of(Part.RESULT, 2)
    assert [put.record.expires_at for put in end.beside if isinstance(put.record, Chunk)] == [
        LATER,
        LATER,
    ]


def test_work_kept_for_ever_keeps_its_chunks() -> None:
    a = an_assignment(args_chunks=2, retention_s=None)

    end = decide_report(
        a, Report(kind=ReportKind.SUCCESS, result="r" * 400_000), now=NOW, jitter=0.5
    )

    assert isinstance(end, Finish)
    assert end.expiries == ()
    assert [put.record.expires_at for put in end.beside if isinstance(put.record, Chunk)] == [
        None,
        None,
    ]
    assert expiries(OWNER, Part.ARGS, 2, expires_at=None) == ()


def test_canceled_work_takes_its_arguments_along() -> None:
    decision = decide_cancel(a_work(args=Chunked(2)), token="t", now=NOW)

    assert isinstance(decision, CancelWrite)
    assert decision.beside == tuple(
        Update(ref=ref, set={"expires_at": LATER}) for ref in refs_of(Part.ARGS, 2)
    )


def test_finished_work_tells_what_its_finisher_may_have_left_undone() -> None:
    over = a_work(
        args=Chunked(1),
        result=Chunked(2),
        state=State.FINISHED,
        outcome=Outcome.SUCCESS,
        expires_at=LATER,
    )

    refs = [*refs_of(Part.ARGS, 1), *refs_of(Part.RESULT, 2)]
    assert overdue_expiries(over) == tuple(
        Update(ref=ref, set={"expires_at": LATER}) for ref in refs
    )
