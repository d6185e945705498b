"""Spans of work items, by an exporter in memory. A LocalCloud runs every function in this process."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import boto3
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from tests.kit.clocks import ManualClock
from workpool_aws import OnCompleteEvent, RetryPolicy, Snooze, Transaction, UsageError
from workpool_aws.adapters.opentelemetry import OpenTelemetryTracing
from workpool_aws.adapters.tracing import tracing_for
from workpool_aws.local import LocalCloud
from workpool_aws.model.trace import TraceContext, TracedOperation, TraceStep

TRACER = "tests"
SECRET = "ann@example.com"
POLICY = RetryPolicy(max_attempts=2, initial_backoff=timedelta(seconds=1), jitter=False)


class Exported:
    """The spans of one test, by name, in the order of their ends."""

    def __init__(self, exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
        self._exporter = exporter
        self.tracer = provider.get_tracer(TRACER)

    def clear(self) -> None:
        self._exporter.clear()

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, operation: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name.partition(" ")[0] == operation]

    def one(self, operation: str) -> ReadableSpan:
        (span,) = self.named(operation)
        return span


@pytest.fixture(scope="module")
def exported() -> Exported:
    """OpenTelemetry takes one provider in the life of a process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return Exported(exporter, provider)


@pytest.fixture
def spans(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> Exported:
    monkeypatch.setenv("WORKPOOL_TRACING", "1")
    exported.clear()
    return exported


@pytest.fixture
def cloud(spans: Exported) -> Iterator[LocalCloud]:
    with LocalCloud(clock="virtual") as made:
        yield made


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


def linked_by(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


def attributes(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})


def test_caller_enqueue_start_attempt_and_callback_are_one_trace(
    cloud: LocalCloud, spans: Exported
) -> None:
    pool = cloud.workpool("email")

    @pool.action
    def send_email(to: str) -> str:
        with spans.tracer.start_as_current_span("smtp"):
            return to

    @pool.on_complete
    def email_sent(event: OnCompleteEvent) -> None:
        with spans.tracer.start_as_current_span("noted"):
            pass

    cloud.function(send_email)
    cloud.function(email_sent)
    with spans.tracer.start_as_current_span("request"):
        work_id = send_email.with_options(on_complete=email_sent).enqueue(None, to=SECRET)
    cloud.run_until_idle()

    chain = ["request", "enqueue", "start", "attempt", "callback", "on_complete", "noted"]
    found = [spans.one(name) for name in chain]
    assert [parent_of(span) for span in found] == [None, *(id_of(span) for span in found[:-1])]
    assert parent_of(spans.one("smtp")) == id_of(spans.one("attempt"))
    assert len({trace_of(span) for span in spans.all()}) == 1
    assert [span.kind for span in found[1:6]] == [
        SpanKind.PRODUCER,
        SpanKind.CLIENT,
        SpanKind.CONSUMER,
        SpanKind.PRODUCER,
        SpanKind.CONSUMER,
    ]
    for span in found[1:6]:
        operation = span.name.partition(" ")[0]
        assert (
            attributes(span).items()
            >= {
                "messaging.system": "workpool",
                "messaging.operation.name": operation,
                "messaging.destination.name": "email",
                "messaging.message.id": work_id,
            }.items()
        )
    assert pool.show(None, work_id).trace_id == f"{trace_of(found[0]):032x}"
    types = [attributes(span)["messaging.operation.type"] for span in found[1:6]]
    assert types == ["send", "receive", "process", "send", "process"]


def test_each_span_has_the_documented_attributes_and_no_other(
    cloud: LocalCloud, spans: Exported
) -> None:
    pool = cloud.workpool("email")
    outcomes = iter([Snooze(timedelta(seconds=1)), ConnectionError(SECRET)])

    @pool.action(retry=POLICY)
    def send() -> None:
        for each in outcomes:
            raise each

    @pool.on_complete
    def sent(event: OnCompleteEvent) -> None:
        del event

    cloud.function(send)
    cloud.function(sent)
    work_id = send.with_options(on_complete=sent).enqueue(None)
    cloud.run_until_idle(raise_failures=False)

    def of(operation: str, kind: str, **own: object) -> Mapping[str, object]:
        return {
            "messaging.system": "workpool",
            "messaging.operation.name": operation,
            "messaging.operation.type": kind,
            "messaging.destination.name": "email",
            "messaging.message.id": work_id,
            "workpool.table": cloud.table,
            "workpool.job": "send",
        } | {f"workpool.{name}": value for name, value in own.items()}

    failed = of("attempt", "process", attempt=1, outcome="failed")
    assert [attributes(span) for span in spans.all()] == [
        of("enqueue", "send", outcome="success"),
        of("start", "receive", attempt=1),
        of("attempt", "process", attempt=1, outcome="snoozed"),
        of("start", "receive", attempt=1),
        {**failed, "error.type": "ConnectionError"},
        of("start", "receive", attempt=2),
        of("attempt", "process", attempt=2, outcome="success"),
        of("callback", "send", outcome="success"),
        of("on_complete", "process", job="sent", outcome="success"),
    ]


def test_span_of_a_function_in_lambda_has_the_time_of_the_system(spans: Exported) -> None:
    tracing = tracing_for(on=True, clock=ManualClock())
    before = time.time_ns()
    with tracing.span(TraceStep(operation=TracedOperation.ENQUEUE, table="t", pool="email")):
        pass

    span = spans.one("enqueue")
    assert before <= (span.start_time or 0) <= (span.end_time or 0) <= time.time_ns()
    assert span.instrumentation_scope is not None
    assert (span.instrumentation_scope.name, span.instrumentation_scope.version) == (
        "workpool_aws",
        version("workpool-aws"),
    )


def test_error_that_leaves_a_span_ends_it_as_failed_and_goes_on(spans: Exported) -> None:
    clock = ManualClock()
    tracing = OpenTelemetryTracing(clock, stamps=True)
    step = TraceStep(operation=TracedOperation.ENQUEUE, table="t", pool="email")

    def fail() -> None:
        with tracing.span(step):
            clock.sleep(5)
            raise KeyError(SECRET)

    with pytest.raises(KeyError):
        fail()
    with tracing.span(step) as open_span:
        open_span.end("failed", "Other")

    left, ended = spans.all()
    assert [each.status.status_code for each in (left, ended)] == [StatusCode.ERROR] * 2
    assert [attributes(each)["error.type"] for each in (left, ended)] == ["KeyError", "Other"]
    assert (left.end_time or 0) - (left.start_time or 0) == 5_000_000
    assert (left.events, SECRET in left.to_json()) == ((), False)


@pytest.mark.parametrize(
    ("linked", "attempt", "reasons"),
    [
        (False, 1, ["invocation"]),
        (False, 2, ["invocation", "enqueue"]),
        (True, 1, ["schedule"]),
        (True, 2, ["schedule", "enqueue"]),
    ],
)
def test_link_says_why_it_is_there(
    spans: Exported, *, linked: bool, attempt: int, reasons: list[str]
) -> None:
    tracing = OpenTelemetryTracing(ManualClock(), stamps=False)
    step = TraceStep(
        operation=TracedOperation.ATTEMPT, table="t", pool="email", work_id="w", attempt=attempt
    )
    parent = TraceContext(parent=f"00-{7:032x}-{7:016x}-01", linked=linked)

    with spans.tracer.start_as_current_span("invocation"), tracing.span(step, parent):
        pass

    links = spans.one("attempt").links
    assert [dict(link.attributes or {}) for link in links] == [
        {"workpool.link": reason} for reason in reasons
    ]


def test_callback_follows_attempt_of_the_last_sixty_four(spans: Exported) -> None:
    tracing = OpenTelemetryTracing(ManualClock(), stamps=False)

    def step(operation: TracedOperation, number: int) -> TraceStep:
        return TraceStep(operation=operation, table="t", pool="email", work_id=str(number))

    for number in range(65):
        with tracing.span(step(TracedOperation.ATTEMPT, number)):
            pass
    attempts = spans.named("attempt")
    for number in (0, 1, 64, 64):
        with tracing.span(step(TracedOperation.CALLBACK, number)):
            pass

    assert [parent_of(each) for each in spans.named("callback")] == [
        None,
        id_of(attempts[1]),
        id_of(attempts[64]),
        None,
    ]


def test_spans_have_the_time_of_the_cloud(cloud: LocalCloud, spans: Exported) -> None:
    pool = cloud.workpool("email")
    arn = cloud.function(pool.action(lambda: None), name="job")
    pool.enqueue_action(None, arn, {}, run_after=timedelta(hours=1))
    cloud.run_until_idle()

    enqueued, started, attempt = (spans.one(name) for name in ("enqueue", "start", "attempt"))

    assert started.start_time is not None
    assert enqueued.end_time is not None
    assert (
        timedelta(hours=1)
        <= timedelta(microseconds=(started.start_time - enqueued.end_time) / 1000)
        < timedelta(hours=1, minutes=1)
    )
    assert started.end_time == attempt.start_time


def test_each_attempt_is_of_the_trace_and_later_ones_link_to_the_enqueue(
    cloud: LocalCloud, spans: Exported
) -> None:
    pool = cloud.workpool("email")
    failures = iter([ConnectionError(SECRET)])

    @pool.action(retry=POLICY)
    def flaky() -> None:
        for each in failures:
            raise each

    cloud.function(flaky)
    flaky.enqueue(None)
    cloud.run_until_idle(raise_failures=False)

    first, second = spans.named("attempt")
    enqueued = spans.one("enqueue")
    assert trace_of(first) == trace_of(second) == trace_of(enqueued)
    assert (linked_by(first), linked_by(second)) == ([], [id_of(enqueued)])
    assert first.status.status_code is StatusCode.ERROR
    assert attributes(first)["error.type"] == "ConnectionError"
    assert second.status.status_code is StatusCode.UNSET
    assert [attributes(each)["workpool.attempt"] for each in (first, second)] == [1, 2]


def test_no_span_has_arguments_results_or_texts_of_errors(
    cloud: LocalCloud, spans: Exported
) -> None:
    pool = cloud.workpool("email")

    @pool.action
    def fails(to: str) -> None:
        raise ValueError(to)

    @pool.action
    def answers(to: str) -> str:
        return to

    cloud.function(fails)
    cloud.function(answers)
    fails.enqueue(None, to=SECRET)
    answers.enqueue(None, to=SECRET)
    pool.enqueue_action_batch(None, answers, [{"to": SECRET}, {"wrong": SECRET}][:1])
    cloud.run_until_idle(raise_failures=False)

    assert len(spans.all()) >= 9
    assert not [span.name for span in spans.all() if SECRET in span.to_json()]


def test_span_of_another_trace_around_the_invocation_is_linked(
    cloud: LocalCloud, spans: Exported
) -> None:
    """As a layer begins one for each invocation."""
    pool = cloud.workpool("email")

    @pool.action
    def job() -> None: ...

    @functools.wraps(job.handler)
    def instrumented(event: object, context: object) -> object:
        with spans.tracer.start_as_current_span("invocation"):
            return job(event, context)

    arn = cloud.function(instrumented, name="job")
    pool.enqueue_action(None, arn, {})
    cloud.run_until_idle()

    around, attempt = spans.one("invocation"), spans.one("attempt")
    assert trace_of(attempt) == trace_of(spans.one("enqueue")) != trace_of(around)
    assert linked_by(attempt) == [id_of(around)]


def test_batch_is_one_span_of_many(cloud: LocalCloud, spans: Exported) -> None:
    pool = cloud.workpool("email")
    arn = cloud.function(pool.action(lambda: None), name="job")
    pool.enqueue_action_batch(None, arn, [{}, {}, {}])
    cloud.run_until_idle()

    enqueued = spans.one("enqueue")
    assert attributes(enqueued)["messaging.batch.message_count"] == 3
    assert "messaging.message.id" not in attributes(enqueued)
    assert [parent_of(span) for span in spans.named("start")] == [id_of(enqueued)] * 3


def test_work_items_of_one_invocation_have_their_own_spans_and_callbacks(spans: Exported) -> None:
    """[WP-30]"""
    with LocalCloud(seed=4, call_latency=timedelta(milliseconds=5)) as cloud:
        pool = cloud.workpool("email", max_parallelism=2)

        @pool.action
        def short() -> None: ...

        @pool.on_complete
        def done(event: OnCompleteEvent) -> None: ...

        cloud.function(short, takes=lambda event: timedelta(milliseconds=100))
        cloud.function(done)
        ids = pool.enqueue_action_batch(None, short, [{}] * 40, retry=POLICY, on_complete=done)
        cloud.run_until_idle()

    starts, attempts, callbacks = (spans.named(name) for name in ("start", "attempt", "callback"))
    begins = [span.start_time for span in starts]
    assert len(set(begins)) < len(begins)  # some were sent in one event
    by_work = {attributes(span)["messaging.message.id"]: id_of(span) for span in attempts}
    assert by_work.keys() == set(ids)
    assert {attributes(span)["messaging.message.id"] for span in callbacks} == set(ids)
    assert all(
        parent_of(span) == by_work[attributes(span)["messaging.message.id"]] for span in callbacks
    )
    assert len({trace_of(span) for span in spans.all()}) == 1


def test_work_item_of_a_transaction_follows_from_its_enqueue(
    cloud: LocalCloud, spans: Exported
) -> None:
    pool = cloud.workpool("email")
    arn = cloud.function(pool.action(lambda: None), name="job")
    with spans.tracer.start_as_current_span("request"), pool.transaction(None) as tx:
        pool.enqueue_action(tx, arn, {})
    cloud.run_until_idle()

    assert parent_of(spans.one("enqueue")) == id_of(spans.one("request"))
    assert parent_of(spans.one("start")) == id_of(spans.one("enqueue"))


def test_enqueue_of_a_mutation_follows_from_its_attempt(cloud: LocalCloud, spans: Exported) -> None:
    pool = cloud.workpool("email")

    @pool.action
    def after() -> None: ...

    @pool.mutation
    def first(tx: Transaction) -> None:
        pool.enqueue_action(tx, after, {})

    cloud.function(after)
    cloud.function(first)
    first.enqueue(None)
    cloud.run_until_idle()

    outer, inner = spans.named("enqueue")
    mutation, _ = spans.named("attempt")
    assert trace_of(outer) == trace_of(inner)
    assert parent_of(inner) == id_of(mutation)


def test_occurrence_of_a_schedule_begins_a_trace_that_links_to_the_schedule(
    cloud: LocalCloud, spans: Exported
) -> None:
    pool = cloud.workpool("email")

    @pool.action
    def report() -> None: ...

    @pool.on_complete
    def done(event: OnCompleteEvent) -> None: ...

    cloud.function(report)
    cloud.function(done)
    with spans.tracer.start_as_current_span("deploy"):
        for _ in range(2):
            made = pool.schedule(
                None, "hourly", report, {}, every=timedelta(hours=1), on_complete=done
            )
    assert made.name == "hourly"
    cloud.advance(timedelta(hours=2, minutes=5))

    deploy = spans.one("deploy")
    starts = spans.named("start")
    assert len(starts) == 2
    assert len({trace_of(span) for span in [deploy, *starts]}) == 3
    assert [linked_by(span) for span in starts] == [[id_of(deploy)]] * 2
    occurrences = pool.list(None, fn=report).items
    assert [pool.show(None, each.work_id).trace_id for each in occurrences] == [None] * 2
    told = spans.named("on_complete")
    assert [trace_of(span) for span in told] == [trace_of(span) for span in starts]


def test_redriven_work_item_follows_from_the_redrive(cloud: LocalCloud, spans: Exported) -> None:
    pool = cloud.workpool("email")

    @pool.action
    def fails() -> None:
        raise ValueError("no")

    cloud.function(fails)
    failed = fails.enqueue(None)
    cloud.run_until_idle(raise_failures=False)
    again = pool.redrive(None, failed)
    cloud.run_until_idle(raise_failures=False)
    pool.redrive_all(None)

    redrive, of_all = spans.named("redrive")
    assert attributes(redrive)["messaging.message.id"] == again
    assert parent_of(spans.named("start")[1]) == id_of(redrive)
    assert attributes(of_all)["messaging.message.id"]


def test_nothing_is_traced_without_the_setting(
    spans: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKPOOL_TRACING")
    with LocalCloud() as plain:
        plain.workpool("email").enqueue_action(
            None, plain.function(lambda e, c: None, name="f"), {}
        )
        plain.run_until_idle()

    assert spans.all() == []


def test_decision_of_the_sampler_travels(cloud: LocalCloud, spans: Exported) -> None:
    unsampled = TracerProvider(sampler=ALWAYS_OFF).get_tracer(TRACER)
    pool = cloud.workpool("email")
    arn = cloud.function(pool.action(lambda: None), name="job")
    with unsampled.start_as_current_span("request"):
        pool.enqueue_action(None, arn, {})
    cloud.run_until_idle()

    assert spans.all() == []


def test_setting_without_opentelemetry_is_refused(
    spans: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "workpool_aws.adapters.opentelemetry", None)

    with (
        pytest.raises(UsageError, match=r"WORKPOOL_TRACING must be empty, or .*extra otel"),
        LocalCloud(),
    ):
        pass


def test_traced_work_item_costs_the_same_units(
    spans: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    def units_of_a_run() -> tuple[float, float]:
        with LocalCloud(seed=3) as cloud:
            pool = cloud.workpool("email")
            arn = cloud.function(pool.action(lambda to: to), name="job")
            with spans.tracer.start_as_current_span("request"):
                pool.enqueue_action(None, arn, {"to": SECRET})
            cloud.run_until_idle()
            return cloud.capacity.read_units, cloud.capacity.write_units

    traced = units_of_a_run()
    monkeypatch.delenv("WORKPOOL_TRACING")

    assert traced == units_of_a_run()
    assert spans.named("attempt")


def test_queue_gets_the_span_in_attributes(spans: Exported) -> None:
    with LocalCloud(engine="moto") as cloud:
        queues = boto3.client("sqs")
        url = queues.create_queue(QueueName="done")["QueueUrl"]
        arn = f"arn:aws:sqs:{queues.meta.region_name}:123456789012:done"
        pool = cloud.workpool("email")
        pool.enqueue_action(
            None, cloud.function(lambda event, context: None, name="f"), {}, on_complete=arn
        )
        cloud.run_until_idle()
        (message,) = queues.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]

    sent = spans.one("callback").context
    assert sent is not None
    assert message["MessageAttributes"]["traceparent"]["StringValue"] == (
        f"00-{sent.trace_id:032x}-{sent.span_id:016x}-{sent.trace_flags:02x}"
    )
    assert "_workpool" not in json.loads(message["Body"])


def test_page_shows_a_trace_in_a_collectors_file(tmp_path: Path) -> None:
    """In a process of its own, since one process has one provider."""
    page = (Path(__file__).parents[2] / "docs/how-to/tracing.md").read_text(encoding="utf-8")
    found = re.search(
        r"<!-- script -->\n```python\n(?P<code>.*?)^```.*?^```text\n(?P<printed>.*?)^```",
        page,
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None
    script = tmp_path / "script.py"
    script.write_text(found["code"], encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (ran.stdout, ran.stderr) == (found["printed"], "")
