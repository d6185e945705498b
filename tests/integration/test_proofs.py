"""Proofs of reports, across versions, and the harmlessness of a report without one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from tests.kit.records import NONCE, NOW, PROOF, a_policy, a_running_work, changed
from tests.kit.stage import FAILED, NOT_DELIVERED, SUCCESS, Stage
from tests.kit.world import TABLE
from workpool_aws import NotFound
from workpool_aws.core.proof import digest_of, start_nonce
from workpool_aws.core.report.claim import assignment_of, claim_write
from workpool_aws.flow.report.claim import claim
from workpool_aws.flow.report.complete import complete
from workpool_aws.flow.report.follow_up import Reporter
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import DuplicateRefused, ReportUnproven
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem, dead_key
from workpool_aws.model.writes import Put

F = TypeVar("F")
SNOOZED = Report(kind=ReportKind.SNOOZED, delay_ms=1_000)
REPORTS = [SUCCESS, FAILED, NOT_DELIVERED, SNOOZED]


def told(stage: Stage, kind: type[F]) -> list[F]:
    return [fact for fact in stage.telemetry.events if isinstance(fact, kind)]


def presented(work: WorkItem, nonce: str | None, **changes: Any) -> Assignment:
    """A report by the holder of this nonce."""
    told = replace(
        assignment_of(work, TABLE), nonce=nonce, proof=None if nonce is None else digest_of(nonce)
    )
    return replace(told, **changes)


@pytest.mark.parametrize(
    "nonce", [None, "", "another", PROOF], ids=["none", "empty", "another", "the digest itself"]
)
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.kind)
@pytest.mark.parametrize("by", ["worker", "destination"])
@pytest.mark.parametrize("retry", [None, a_policy()], ids=["once", "retried"])
def test_report_without_starts_nonce_changes_nothing_and_writes_nothing(
    nonce: str | None, report: Report, by: Reporter, retry: object
) -> None:
    """[WP-28] Nor does it suspect, send a callback, or wake the loop."""
    stage = Stage()
    work = a_running_work(
        retry=retry, claimed=False, on_complete="target", callback_outcomes=tuple(Outcome)
    )
    stage.place(work)

    assert complete(stage.ports, presented(work, nonce), report, by=by) is False

    assert stage.work(work.id) == work
    assert stage.dones() == []
    assert stage.invoker.loops == []
    assert [fact.by for fact in told(stage, ReportUnproven)] == [by]


@pytest.mark.parametrize("nonce", [None, "another"])
@pytest.mark.parametrize("by", ["worker", "destination"])
def test_repeated_report_of_finished_start_must_prove_itself_too(
    nonce: str | None, by: Reporter
) -> None:
    """[WP-28] Else each forged one would have the callback sent and a record written again."""
    stage = Stage()
    ended = {
        "state": State.FINISHED,
        "outcome": Outcome.SUCCESS,
        "result": "1",
        "finished_at": NOW,
        "claim": None,
        "deadline": None,
    }
    work = changed(a_running_work(), **ended)
    stage.place(work)

    assert complete(stage.ports, presented(work, nonce), SUCCESS, by=by) is False

    assert stage.dones() == []
    assert complete(stage.ports, presented(work, NONCE), SUCCESS, by=by) is False
    assert len(stage.dones()) == 1


@pytest.mark.parametrize("nonce", [None, "another"])
def test_event_without_starts_nonce_claims_nothing(nonce: str | None) -> None:
    """[WP-5] [WP-28]"""
    stage = Stage()
    work = a_running_work()
    stage.place(work)

    assert claim(stage.ports, presented(work, nonce), remaining_ms=1_000) is None

    assert stage.work(work.id) == work
    assert [fact.reason for fact in told(stage, DuplicateRefused)] == [
        "the event does not prove that it comes from the loop"
    ]
    assert claim(stage.ports, presented(work, NONCE), remaining_ms=1_000) is not None


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.kind)
@pytest.mark.parametrize("by", ["worker", "destination"])
def test_start_that_0_1_wrote_is_reported_without_nonce(report: Report, by: Reporter) -> None:
    stage = Stage()
    work = a_running_work(proof=None)
    stage.place(work)

    assert complete(stage.ports, presented(work, None), report, by=by)

    assert stage.work(work.id).state is not State.RUNNING


def test_start_that_0_1_wrote_is_claimed_without_nonce() -> None:
    stage = Stage()
    work = a_running_work(proof=None)
    stage.place(work)

    assert claim(stage.ports, presented(work, None), remaining_ms=1_000) is not None


def test_start_that_0_1_wrote_believes_no_made_up_nonce() -> None:
    stage = Stage()
    work = a_running_work(proof=None)
    stage.place(work)

    assert complete(stage.ports, presented(work, "made up"), SUCCESS, by="destination") is False
    assert stage.work(work.id) == work


@pytest.mark.parametrize("report", [FAILED, NOT_DELIVERED, SNOOZED], ids=lambda report: report.kind)
def test_work_pending_again_keeps_no_proof(report: Report) -> None:
    """A loop of 0.1, after a rollback, would start it without one: its reports would be refused."""
    stage = Stage()
    work = a_running_work(retry=a_policy(), claimed=False)
    stage.place(work)

    assert complete(stage.ports, presented(work, NONCE), report, by="worker")

    after = stage.work(work.id)
    assert (after.state, after.proof) == (State.PENDING, None)


@pytest.mark.parametrize(
    "said",
    [
        {"retry": a_policy(max_attempts=9)},
        {"attempts_made": 0, "retry": a_policy(max_attempts=2)},
        {"retention_s": 0},
        {"callback_outcomes": ()},
        {"claimed": False},
    ],
    ids=["a policy", "attempts", "retention", "callbacks", "unclaimed"],
)
def test_report_is_judged_by_stored_work_item(said: dict[str, object]) -> None:
    """[WP-28] Of a proven record, too."""
    stage = Stage()
    work = a_running_work(
        on_complete="target", callback_outcomes=(Outcome.FAILED,), claim="worker-1"
    )
    stage.place(work)

    complete(stage.ports, presented(work, NONCE, **said), FAILED, by="destination")

    after = stage.work(work.id)
    assert after.state is State.RUNNING  # claimed by another, so suspected only
    assert after.suspected_type == "ValueError"
    stage.clock.at = EpochMs(NOW + 600_000)
    complete(stage.ports, presented(work, NONCE, **said), FAILED, by="destination")
    after = stage.work(work.id)
    assert (after.state, after.outcome, after.attempts_made) == (State.FINISHED, Outcome.FAILED, 1)
    assert after.callback is not None
    assert after.expires_at is None or after.expires_at >= NOW // 1000 + 86_400


def test_loop_sends_nonce_whose_digest_it_stored() -> None:
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, "send_email", {})
    stage.run(5)

    [sent] = stage.invoker.started
    assert sent.nonce is not None
    assert stage.work(work_id).proof == digest_of(sent.nonce) == sent.proof
    assert claim_write(sent, token="t", now=NOW, ends_by=NOW).condition is not None


def test_nonce_of_start_is_its_own_and_same_each_time() -> None:
    work = a_running_work()
    made = {
        start_nonce(secret, table, pool, work.id, start)
        for secret in ("one", "two")
        for table in ("t", "t2")
        for pool in ("a", "b")
        for start in (1, 11)
    }

    assert len(made) == 16
    assert start_nonce("one", "t", "a", work.id, 1) in made
    assert all(len(each) == 24 for each in made)
    assert not made & {digest_of(each) for each in made}


@pytest.mark.parametrize(
    "text",
    ["NaN", "[1", "", "1 2", "9" * 5_000, "[" * 100_000, "[Infinity]", "'x'"],
    ids=lambda text: text[:9],
)
def test_damaged_result_is_reported_as_gone(text: str) -> None:
    """[WP-12] Its status and the pool's list are not hurt."""
    stage = Stage()
    ended = {
        "state": State.FINISHED,
        "outcome": Outcome.SUCCESS,
        "result": text,
        "finished_at": NOW,
        "claim": None,
        "deadline": None,
    }
    work = changed(a_running_work(), **ended)
    stage.place(work)

    with pytest.raises(NotFound, match="gone or damaged"):
        stage.pool().result(None, work.id)
    assert stage.pool().status(None, work.id).outcome == "success"
    assert len(stage.pool().list(None).items) == 1


@pytest.mark.parametrize("text", ['null,"_workpool":{"version":1}', "NaN", "{"], ids=ascii)
@pytest.mark.parametrize("part", ["context", "result"])
def test_callback_that_cannot_be_sent_as_it_is_stored_is_given_up_at_once(
    part: str, text: str
) -> None:
    """[WP-8] [WP-28]"""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        queue = "arn:aws:sqs:us-east-1:123456789012:queue"
        work_id = pool.enqueue_action(
            None,
            cloud.function(lambda _event, _context: "done", name="f"),
            {},
            on_complete=queue,
            context=1,
        )
        cloud.advance(timedelta(milliseconds=1))
        store = cloud._engine_open.quiet(cloud.table)
        stored = store.get(WorkRef("email", work_id))
        assert isinstance(stored, WorkItem)
        damaged = {"context": text} if part == "context" else {"result": text}
        ended = {
            "state": State.FINISHED,
            "outcome": Outcome.SUCCESS,
            "result": "1",
            "finished_at": stored.enqueued_at,
            "started_by": None,
        }
        store.write(
            Put(
                changed(
                    stored,
                    **{
                        **ended,
                        "callback": CallbackState.DEAD,
                        "dead": dead_key(NOW, work_id),
                        **damaged,
                    },
                )
            )
        )
        pool.redrive(None, work_id)
        cloud.run_until_idle()

        assert pool.status(None, work_id).callback == "dead"
        assert cloud.messages(queue) in (
            [],
            [
                {
                    "work_id": work_id,
                    "context": 1,
                    "result": {"kind": "success", "return_value": "done"},
                }
            ],
        )


def test_arguments_that_smuggle_assignment_end_their_work_item_and_no_other() -> None:
    """[WP-12] [WP-28]"""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        fn = cloud.function(lambda _event, _context: "done", name="f")
        pool.configure(None, paused=True)
        bad, good = (pool.enqueue_action(None, fn, {"n": n}) for n in (1, 2))
        store = cloud._engine_open.quiet(cloud.table)
        stored = store.get(WorkRef("email", bad))
        assert isinstance(stored, WorkItem)
        store.write(Put(changed(stored, args='{"n":1,"_workpool":{"version":1}}')))
        pool.configure(None, reset=True)
        cloud.run_until_idle()

        result = pool.result(None, bad)
        assert result is not None
        assert (result.kind, result.error_type) == ("failed", "not_invocable")
        assert pool.status(None, good).outcome == "success"
        assert len(cloud.invocations(fn)) == 1
