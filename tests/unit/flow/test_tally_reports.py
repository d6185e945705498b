"""A minute is reported once, over itself if need be, and never at the cost of the loop."""

from tests.kit.records import NOW, an_id
from tests.kit.stores import every, lost_before
from tests.kit.world import World
from workpool_aws.core import limits
from workpool_aws.flow.loop.tally import carry_on
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import MinuteReport, MinuteTally, Notice, NoticeKind
from workpool_aws.model.refs import Collection, KeyRange
from workpool_aws.model.spec import Outcome

LATER = EpochMs(NOW + limits.TALLY_MS)
DONE = Notice(
    pool="email",
    at=an_id(),
    work_id=an_id(),
    start=1,
    kind=NoticeKind.FINISHED,
    outcome=Outcome.SUCCESS,
)


def reports(world: World) -> list[object]:
    return [
        row.record
        for row in world.memory.query(KeyRange(collection=Collection.REPORTS, pool="email")).rows
    ]


def test_tally_is_not_written_within_its_minute(world: World) -> None:
    tally = carry_on(
        world.ports, "email", MinuteTally(since=NOW, succeeded=1), [DONE], [5], EpochMs(LATER - 1)
    )

    assert tally == MinuteTally(since=NOW, succeeded=2, lags=((0, 1),))
    assert world.requests == 0


def test_minute_that_is_over_is_reported_and_new_one_begins(world: World) -> None:
    full = MinuteTally(since=NOW, succeeded=1)

    assert carry_on(world.ports, "email", full, [DONE], [], LATER) == MinuteTally(
        since=LATER, succeeded=1
    )

    expires_at = NOW // 1000 + limits.REPORT_RETENTION_S
    assert reports(world) == [
        MinuteReport(pool="email", at=id_floor(NOW), tally=full, expires_at=expires_at)
    ]


def test_report_whose_commit_was_lost_is_written_over_itself(world: World) -> None:
    full = MinuteTally(since=NOW, succeeded=1)
    carry_on(world.ports, "email", full, [DONE], [], LATER)

    carry_on(world.ports, "email", full, [DONE], [], EpochMs(LATER + 500))

    assert len(reports(world)) == 1


def test_report_that_cannot_be_written_is_counted_on(world: World) -> None:
    world.store.plan(every, lost_before, times=None)

    tally = carry_on(world.ports, "email", MinuteTally(since=NOW, succeeded=1), [DONE], [], LATER)

    assert tally == MinuteTally(since=NOW, succeeded=2)
