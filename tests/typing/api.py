"""The public names, as a type checker sees them. Checked by mypy --strict, never run."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Unpack, assert_type

from workpool_aws import (
    EnqueueOptions,
    ListedWork,
    NonRetryableError,
    NotFound,
    OnCompleteEvent,
    Page,
    PayloadTooLarge,
    PoolConfig,
    PoolSummary,
    Result,
    RetryableOptions,
    RetryLater,
    RetryPolicy,
    Stats,
    Status,
    StoredPayload,
    StoreUnavailable,
    TaskPool,
    TasksFailed,
    UsageError,
    Work,
    WorkDetails,
    WorkId,
    Workpool,
    WorkpoolError,
    with_task_pool,
)
from workpool_aws.core.payload import JsonValue
from workpool_aws.local import LocalCloud
from workpool_aws.task_pool import CrewStats, DurableTask, TaskFailure

pool = Workpool("my-table")
named = Workpool(
    "my-table",
    name="email",
    max_parallelism=10,
    default_retry=RetryPolicy(
        max_attempts=3,
        initial_backoff=timedelta(seconds=1),
        base=2.0,
        max_backoff=None,
        jitter=True,
    ),
    retry_actions_by_default=True,
    status_ttl=None,
    log_level="INFO",
)


def enqueueing() -> None:
    assert_type(pool.enqueue_action(None, "fn", {"to": "a@example.com"}), WorkId)
    assert_type(
        pool.enqueue_action(None, "fn", {}, retry=True, run_after=timedelta(minutes=5)), WorkId
    )
    assert_type(
        pool.enqueue_query(
            None, "fn", {}, retry=RetryPolicy(), run_at=datetime(2030, 1, 1, tzinfo=UTC)
        ),
        WorkId,
    )
    assert_type(pool.enqueue_mutation(None, "fn", {}), WorkId)
    assert_type(
        pool.enqueue_action_batch(None, "fn", [{"n": n} for n in range(3)], retry=False),
        list[WorkId],
    )
    assert_type(pool.enqueue_query_batch(None, "fn", [{}]), list[WorkId])
    assert_type(pool.enqueue_mutation_batch(None, "fn", [{}]), list[WorkId])
    assert_type(
        pool.enqueue_action(
            None, "fn", {}, on_complete="done", context={"user": 7}, on_complete_exclude=["success"]
        ),
        WorkId,
    )


def wrapping(**options: Unpack[RetryableOptions]) -> WorkId:
    shared: EnqueueOptions = {"run_after": timedelta(minutes=5), "on_complete": None}
    pool.enqueue_mutation(None, "fn", {}, **shared)
    pool.enqueue_query_batch(None, "fn", [{}], **shared)
    return pool.enqueue_action(None, "fn", {}, **options)


def asking(work_id: WorkId) -> None:
    status = pool.status(None, work_id)
    assert_type(status, Status)
    assert_type(status.state, Literal["pending", "running", "finished", "unknown"])
    assert_type(status.outcome, Literal["success", "failed", "canceled"] | None)
    assert_type(status.next_run_at, datetime | None)
    assert_type(status.previous_attempts, int)
    assert_type(status.callback, Literal["pending", "sent", "delivered", "dead"] | None)
    assert_type(pool.status_batch(None, [work_id]), list[Status])
    result = pool.result(None, work_id)
    assert_type(result, Result | None)
    if result is not None:
        assert_type(result.kind, Literal["success", "failed", "canceled"])
        assert_type(result.error, str | None)


def managing(work_id: WorkId) -> None:
    page = pool.list(None, state="dead", fn="send-email", order="newest", limit=10, after=None)
    assert_type(page, Page)
    assert_type(page.items, tuple[ListedWork, ...])
    assert_type(page.next, str | None)
    assert_type(page.items[0].work_id, WorkId)
    assert_type(page.items[0].state, Literal["pending", "running", "finished", "unknown"])
    assert_type(pool.redrive(None, work_id), WorkId)
    assert_type(pool.redrive_all(None, fn="send-email"), int)
    assert_type(pool.count_dead_letters(None, fn="send-email"), int)
    assert_type(pool.list(None, fn=send_email).items, tuple[ListedWork, ...])
    assert_type(pool.redrive_all(None, fn=send_email), int)
    assert_type(pool.count_dead_letters(None, send_email), int)
    details = pool.show(None, work_id, args=True)
    assert_type(details, WorkDetails)
    assert_type(details.status, ListedWork)
    assert_type(details.result, StoredPayload | None)
    assert_type(pool.pools(None), tuple[PoolSummary, ...])
    assert_type(pool.pools(None)[0].loop, Literal["idle", "running", "waiting", "unknown"])
    assert_type(pool.is_known(None), bool)
    assert_type(pool.jobs(None), Mapping[str, str])
    stats = pool.stats(None, window=timedelta(minutes=5))
    assert_type(stats, Stats)
    assert_type(stats.error_rate, float | None)
    assert_type(stats.at_least, bool)
    pool.log_stats(None)


def configuring() -> None:
    assert_type(pool.configure(None, max_parallelism=5, paused=True), PoolConfig)
    assert_type(pool.configure(None, reset=True).max_parallelism, int)
    assert_type(pool.config(None), PoolConfig)


@pool.action
def send_email(to: str, template: str = "welcome") -> dict[str, str]:
    return {"to": to, "template": template}


@pool.action
def crawl(work: Work, url: str) -> int:
    assert_type(work.work_id, WorkId)
    assert_type(work.attempt, int)
    assert_type(work.deadline, datetime)
    assert_type(work.remaining, timedelta)
    assert_type(work.cancel_requested(), bool)
    assert_type(work.pool, Workpool)
    work.sleep(timedelta(seconds=1))
    if not url:
        raise NonRetryableError("no url")
    raise RetryLater(timedelta(seconds=30))


@pool.query
def count(table: str) -> int:
    return len(table)


class Receipt:
    to: str


@pool.action(name="mail.send", retry=True, run_after=timedelta(minutes=1))
def send_receipt(to: str, cents: int = 0) -> Receipt:
    raise NotImplementedError(to, cents)


@pool.action
def anything(value: Any, other: int = 0) -> int:
    return len(value) + other


@pool.action
def late_handle(url: str, work: Work | None = None) -> int:
    return len(url)


@pool.action
def nothing() -> None: ...


@pool.on_complete(name="mail.sent")
def mail_sent(event: OnCompleteEvent) -> int:
    return len(event.work_id)


@pool.action(on_complete=mail_sent, context="sent")
def announced(to: str) -> None: ...


handler = pool.handler(send_email, crawl, mail_sent)


def enqueueing_jobs() -> None:
    assert_type(handler({}, None), object)
    assert_type(mail_sent.function, Callable[[OnCompleteEvent], int])
    assert_type(announced.with_options(on_complete=crawl).enqueue(None, to="a"), WorkId)
    assert_type(send_email.enqueue(None, to="a@example.com"), WorkId)
    assert_type(send_email.enqueue(None, "a@example.com", template="other"), WorkId)
    assert_type(crawl.enqueue(None, url="example.com"), WorkId)
    assert_type(crawl.enqueue(None, "example.com"), WorkId)
    assert_type(late_handle.enqueue(None, "example.com"), WorkId)
    assert_type(anything.enqueue(None, value=object()), WorkId)
    assert_type(nothing.enqueue(None), WorkId)
    assert_type(send_receipt.enqueue_batch(None, [{"to": "a"}, {"to": "b"}]), list[WorkId])
    later = send_receipt.with_options(run_after=timedelta(minutes=5), retry=False)
    assert_type(later.enqueue(None, to="a", cents=5), WorkId)
    assert_type(later.with_options(run_at=None).enqueue(None, to="a"), WorkId)


def results_of_jobs(work_id: WorkId) -> None:
    receipt = send_receipt.result(None, work_id)
    assert_type(receipt, Result[Receipt] | None)
    if receipt is not None and receipt.kind == "success":
        assert_type(receipt.return_value, Receipt)
        assert_type(receipt.error, str | None)
    assert_type(crawl.with_options(retry=True).result(None, work_id), Result[int] | None)
    plain: Result | None = pool.result(None, work_id)
    if plain is not None:
        assert_type(plain.return_value, JsonValue)


def jobs_as_targets() -> None:
    assert_type(pool.enqueue_action(None, send_email, {"to": "a"}), WorkId)
    assert_type(pool.enqueue_query(None, crawl, {"url": "a"}), WorkId)
    assert_type(pool.enqueue_mutation(None, nothing, {}), WorkId)
    assert_type(pool.enqueue_action(None, send_email.with_options(retry=True), {}), WorkId)
    assert_type(pool.enqueue_action_batch(None, anything, [{"value": 1}]), list[WorkId])


@pool.on_complete
def email_sent(event: OnCompleteEvent) -> None:
    assert_type(event.work_id, WorkId)
    assert_type(event.result, Result)


def working() -> None:
    told: Callable[[OnCompleteEvent], None] = email_sent.function
    del told
    assert_type(send_email.function("a@example.com"), dict[str, str])
    assert_type(count.function(table="users"), int)
    loose: Callable[..., int] = anything.function
    del loose
    plain: Callable[[Work, str], int] = crawl.function
    del plain


def failing(work_id: WorkId) -> None:
    try:
        pool.result(None, work_id)
    except NotFound as error:
        assert_type(error.work_id, str)
    except PayloadTooLarge as error:
        assert_type(error.limit_bytes, int)
    except UsageError as error:
        assert_type(error.field, str)
    except StoreUnavailable as error:
        assert_type(error.maybe_enqueued, tuple[str, ...])
    except WorkpoolError:
        raise


def rehearsing() -> None:
    with LocalCloud(clock="virtual", engine="memory", seed=7, crash_rate=0.1) as cloud:
        assert_type(cloud, LocalCloud)
        fn = cloud.function(send_email, timeout=timedelta(seconds=30))
        assert_type(fn, str)
        assert_type(cloud.workpool("email", max_parallelism=3), Workpool)
        cloud.run_until_idle(timeout=timedelta(minutes=5))
        cloud.advance(timedelta(hours=1))
        assert_type(cloud.max_concurrency(fn), int)
        assert_type(cloud.now, datetime)
        assert_type(cloud.invocations(fn)[0].attempt, int | None)


class TimedContext:
    """A context whose time a pool of background tasks follows."""

    def get_remaining_time_in_millis(self) -> int:
        return 1


def in_background(failed: TasksFailed) -> None:
    def told(failure: TaskFailure) -> None:
        assert_type(failure.error, Exception)

    async def coroutine() -> int:
        return 1

    tasks = TaskPool(
        max_workers=2,
        runtime_limit=30,
        idle_timeout=timedelta(seconds=1),
        on_error=told,
        spill_to=pool,
    )
    tasks.add(coroutine, int, DurableTask("fn", coroutine, {}, retry=RetryPolicy()))
    tasks.drain(TimedContext())
    assert_type(tasks.stats(), CrewStats)
    assert_type(TaskPool.shared(max_workers=2), TaskPool)
    assert_type(failed.exceptions, tuple[Exception | ExceptionGroup[Exception], ...])
    with tasks.draining() as same:
        assert_type(same, TaskPool)


@with_task_pool
def bare_handler(event: dict[str, int], context: TimedContext) -> str:
    return "answer"


@with_task_pool(pool=TaskPool())
def handler_with_pool(event: dict[str, int], context: TimedContext) -> str:
    return "answer"


assert_type(bare_handler({"n": 1}, TimedContext()), str)
assert_type(handler_with_pool({"n": 1}, TimedContext()), str)
