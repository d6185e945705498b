"""The library makes no call that its role may not make, and no role may do what the library never does.

The library runs in a LocalCloud; each of its calls is held against the statements
that were reviewed (`iam.json`), as IAM would. Needs no CDK.
"""

import fnmatch
import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.infra.statements import PATH
from tests.kit.clocks import CountedEntropy, ManualClock
from workpool_aws import Work, Workpool
from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.core import limits
from workpool_aws.flow.watchdog.deployment import would_record
from workpool_aws.flow.watchdog.watch import would_act
from workpool_aws.local import LocalCloud
from workpool_aws.local.engines.memory import MemoryEngine
from workpool_aws.local.engines.moto import MotoEngine
from workpool_aws.local.services.platform import Platform
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import DeployedLimit, Deployment, Notice, NoticeKind, Registration
from workpool_aws.model.refs import NoticeRef, PointerRef, StatusRef, WorkRef
from workpool_aws.model.work import CallbackState, Pointer
from workpool_aws.model.work import WorkItem as StoredWork
from workpool_aws.model.writes import Put
from workpool_aws.ports import Ports, Store

STATEMENTS = json.loads(PATH.read_text(encoding="utf-8"))
KINDS = {
    "#schedules": "schedules",
    "#groups": "groups",
    "#work#": "work",
    "#done#": "done",
    "#payload#": "payload",
    "#receipt#": "receipt",
    "#unique#": "unique",
    "#request#": "request",
    "#control": "control",
    "#reports": "reports",
}
ROLES = {
    "workpool-loop": "PoolsLoopRole",
    "workpool-completion": "PoolsCompletionRole",
    "workpool-watchdog": "PoolsWatchdogRole",
    "send_email": "SendEmailServiceRole",
    "legacy": "LegacyServiceRole",
    "email_sent": "EmailSentServiceRole",
    "plain": "PlainServiceRole",
    "enqueuer": "ApiServiceRole",
    "starter": "HurriedServiceRole",
    "reader": "BoardServiceRole",
    "manager": "AdminServiceRole",
}
RESOURCES = {
    "workpool-loop": "function:Mail-Pools-Loop",
    "send_email": "<SendEmail>",
    "legacy": "<Legacy>",
    "email_sent": "<EmailSent>",
    "plain": "<Plain>",
}
SEEDS = range(1)
LARGE = "x" * 20_000
LIMITS = (DeployedLimit("email", 4), DeployedLimit("unused", 2))


class Call(NamedTuple):
    """One call, as IAM judges it. `what`: a partition key, or the name of what is called."""

    action: str
    what: str
    index: bool = False


class Recorder:
    """Notes what each actor calls."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self.calls: dict[str, set[Call]] = {}
        self.actor: str | None = None
        self._hears = True

    @contextmanager
    def acting(self, actor: str) -> Iterator[None]:
        self.actor = actor
        yield
        self.actor = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        self._hears = False
        yield
        self._hears = True

    def note(self, service: str, operation: str, request: dict[str, Any]) -> None:
        task = self._cloud._open.kernel.current()
        actor = self.actor if task is None else re.split(r"[#/]", task.name)[0]
        if actor is not None and self._hears:
            self.calls.setdefault(actor, set()).update(judged(service, operation, request))


def judged(service: str, operation: str, request: dict[str, Any]) -> Iterator[Call]:  # noqa: C901 - one a kind of request
    match service, operation:
        case "dynamodb", "TransactWriteItems":
            for item in request["TransactItems"]:
                for name, each in item.items():
                    key = each.get("Item") or each["Key"]
                    if "pk" in key:  # tables of users are theirs to grant
                        yield Call(f"dynamodb:{name}Item", key["pk"]["S"])
        case "dynamodb", "BatchGetItem":
            for table in request["RequestItems"].values():
                yield from (Call("dynamodb:BatchGetItem", key["pk"]["S"]) for key in table["Keys"])
        case "dynamodb", "Query":
            partition = re.match(r"(#\w+) = (:\w+)", request["KeyConditionExpression"])
            assert partition is not None
            assert request["ExpressionAttributeNames"][partition[1]] == "pk"
            yield Call(
                "dynamodb:Query",
                request["ExpressionAttributeValues"][partition[2]]["S"],
                index="IndexName" in request,
            )
        case "dynamodb", _:
            yield Call(
                f"dynamodb:{operation}", (request.get("Item") or request.get("Key"))["pk"]["S"]
            )
        case "lambda", "Invoke":
            yield Call("lambda:InvokeFunction", request["FunctionName"].rpartition(":")[2])
        case "lambda", _:
            yield Call(f"lambda:{operation}", request["FunctionName"].rpartition(":")[2])
        case (("sqs" | "sns" | "scheduler"), _):
            yield Call(f"{service}:{operation}", "")
        case _:
            raise AssertionError(f"{service}:{operation}: nobody said how IAM judges it")


def statements_for(role: str) -> list[dict[str, Any]]:
    return [
        each for each in STATEMENTS[role] if each["Effect"] == "Allow" and "Principal" not in each
    ]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allows(statement: dict[str, Any], call: Call) -> bool:
    if call.action not in listed(statement["Action"]):
        return False
    if call.action.startswith("dynamodb:"):
        keys = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        on_index = statement["Resource"].endswith("/index/dead_letters")
        return on_index == call.index and any(fnmatch.fnmatchcase(call.what, key) for key in keys)
    if call.action.startswith("lambda:"):
        return any(each.endswith(RESOURCES[call.what]) for each in listed(statement["Resource"]))
    return True


def grants_of(role: str) -> set[str]:
    """Return the rights of a role, one operation and kind of item or resource each."""
    found = set()
    for statement in statements_for(role):
        for action in listed(statement["Action"]):
            if action.startswith("dynamodb:"):
                index = " index" if statement["Resource"].endswith("/index/dead_letters") else ""
                found |= {
                    f"{action}{index} {kind_of(key)}"
                    for key in statement["Condition"]["ForAllValues:StringLike"][
                        "dynamodb:LeadingKeys"
                    ]
                }
            else:
                found.add(action)
    return found


def kind_of(key: str) -> str:
    return next((kind for part, kind in KINDS.items() if part in key), key)


def used_by(calls: set[Call]) -> set[str]:
    return {
        f"{call.action}{' index' if call.index else ''} {kind_of(call.what)}"
        if call.action.startswith("dynamodb:")
        else call.action
        for call in calls
    }


class Functions(NamedTuple):
    """The functions of a cloud that work items run, and the targets of their callbacks."""

    decorated: str
    undecorated: str
    targets: list[str]


def functions_of(cloud: LocalCloud, pool: Workpool) -> Functions:
    @pool.action
    def send_email(
        work: Work, fails: int = 0, size: int = 0, text: str = "", takes: int = 0
    ) -> str:
        work.cancel_requested()
        if fails:
            raise ValueError("no")
        return "y" * size

    def legacy(event: dict[str, Any], context: object) -> str:
        if event.get("fails"):
            raise ValueError("no")
        return "z" * event.get("size", 0)

    @pool.on_complete
    def email_sent(event: object) -> None: ...

    def plain(event: object, context: object) -> None: ...

    decorated = cloud.function(
        send_email, takes=lambda event: timedelta(seconds=event.get("takes", 1))
    )
    undecorated = cloud.function(legacy)
    queue = boto3.client("sqs").create_queue(QueueName="told")["QueueUrl"]
    queue_arn = boto3.client("sqs").get_queue_attributes(
        QueueUrl=queue, AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    topic_arn = boto3.client("sns").create_topic(Name="news")["TopicArn"]
    targets = [cloud.function(email_sent), cloud.function(plain), queue_arn, topic_arn]
    return Functions(decorated, undecorated, targets)


def enqueue_loads(pool: Workpool, functions: Functions) -> list[str]:
    """Work items of every sort to both functions, with each target in turn."""
    decorated, undecorated, targets = functions
    loads: list[dict[str, object]] = [
        {},
        {"fails": 1},
        {"size": 20_000},
        {"text": LARGE},
        {"takes": 600},
    ]
    ids = [
        pool.enqueue_action(
            None,
            fn,
            load,
            retry=bool(load),
            on_complete=target,
            context=LARGE if load else 1,
        )
        for (load, target), fn in itertools.product(
            zip(loads, itertools.cycle(targets), strict=False), (decorated, undecorated)
        )
    ]
    return ids + [
        pool.enqueue_action(None, decorated, {"size": 20_000}, on_complete=target, context=LARGE)
        for target in targets
    ]


def run_everything(cloud: LocalCloud, recorder: Recorder) -> None:
    pool = cloud.workpool("email", max_parallelism=4)
    functions = functions_of(cloud, pool)
    decorated, targets = functions.decorated, functions.targets
    tick(cloud)
    # A pool that the watchdog registered, and that no caller has used yet.
    at = EpochMs(int(cloud.now.timestamp() * 1000))
    cloud._engine_open.quiet(cloud.table).write(Put(Registration(pool="reports", registered_at=at)))
    with recorder.acting("manager"):
        cloud.workpool("reports").configure(None, max_parallelism=2)
    with recorder.acting("enqueuer"):
        ids = enqueue_loads(pool, functions)
        after = timedelta(hours=2)
        late = [
            pool.enqueue_action(
                None, decorated, {"text": LARGE}, run_after=after, on_complete=to, context=LARGE
            )
            for to in targets
        ]
        pool.enqueue_action(None, decorated, {}, run_after=timedelta(hours=3))
        # A program's second thought: the base changes while a loop is there.
        cloud.workpool("email", max_parallelism=5).enqueue_action(None, decorated, {})
    cloud.advance(timedelta(seconds=30))
    tick(cloud)
    with recorder.acting("manager"):
        for work_id in late:
            pool.cancel(None, work_id)
        pool.cancel(None, pool.enqueue_action(None, decorated, {"text": LARGE}))
        pool.configure(None, max_parallelism=3)
    cloud.run_until_idle(timedelta(days=2))
    manage(pool, ids, recorder)
    recur(cloud, pool, decorated, recorder)
    gather(cloud, pool, decorated, recorder, targets[0])
    cloud.run_until_idle(timedelta(days=2))
    tick(cloud)
    transact(pool, decorated, recorder)
    cloud.run_until_idle()
    keep_unique(cloud, pool, functions, recorder)
    forget_a_wake(cloud, decorated, recorder)
    call_all_off(cloud, pool, decorated, targets[1], recorder)
    ask_the_table(cloud, decorated, recorder)
    deploy_anew(cloud)
    declare_schedules(cloud, decorated)
    leave_to_the_hourly_look(cloud, decorated)
    lose_a_status(cloud, pool, decorated)
    start_at_once(cloud, decorated, recorder)


def transact(pool: Workpool, fn: str, recorder: Recorder) -> None:
    """Work items and items of a user's own table, together; one needs a receipt."""
    boto3.client("dynamodb").create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    for actor in ("enqueuer", "manager"):
        with recorder.acting(actor), pool.transaction(None) as tx:
            tx.put("orders", {"id": actor})
    with recorder.acting("enqueuer"), pool.transaction(None) as tx:
        tx.put("orders", {"id": "mail"})
        pool.enqueue_action(tx, fn, {"text": LARGE})


def keep_unique(
    cloud: LocalCloud, pool: Workpool, functions: Functions, recorder: Recorder
) -> None:
    """Keys and requests: taken, met, replaced, taken over, redriven, canceled, and by a schedule."""
    fn, undecorated, targets = functions
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    with recorder.acting("enqueuer"):
        pool.enqueue_action(None, fn, {}, unique_key="k", request_id="r", run_after=hour)
        pool.enqueue_action(None, fn, {}, unique_key="t", unique_for=9 * hour, run_after=hour)
        with pool.transaction(None) as tx:
            tx.put("orders", {"id": "kept"})
            pool.enqueue_action(tx, fn, {}, unique_key="k")
            pool.enqueue_action(tx, fn, {}, unique_key="t")
        for arguments in ({"text": LARGE}, {}):  # the second needs no chunk of the first
            pool.enqueue_action(
                None, fn, arguments, unique_key="k", on_conflict="replace", run_after=minute
            )
        off = {"unique_key": "off", "on_complete": targets[0], "run_after": hour}
        pool.enqueue_action(None, fn, {"text": LARGE}, **off)
        canceled = pool.enqueue_action(None, fn, {}, unique_key="c", run_after=hour)
        failing = pool.enqueue_action(None, fn, {"fails": 1}, unique_key="f")
        pool.enqueue_action(None, undecorated, {}, unique_key="u")
    with recorder.acting("reader"):
        pool.why(None, canceled)
    with recorder.acting("manager"):
        pool.cancel(None, canceled)
    while pool.status(None, failing).state != "finished":  # a start may be lost
        cloud.advance(timedelta(seconds=20))
    with recorder.acting("manager"):
        pool.redrive(None, failing)
        pool.cancel_all(None)
    with recorder.acting("enqueuer"):
        pool.enqueue_action(None, fn, {}, unique_key="off")
        pool.enqueue_action(None, fn, {}, unique_key="x", expires_after=timedelta(seconds=1))
    with recorder.acting("manager"):
        pool.configure(None, paused=True)
        pool.schedule(None, "kept", fn, {}, every=minute, unique_key="s")
    cloud.advance(5 * minute)
    with recorder.acting("manager"):
        pool.configure(None, reset=True)
    cloud.advance(2 * minute)
    with recorder.acting("manager"):
        pool.unschedule(None, "kept", cancel_pending=True)
    cloud.run_until_idle(timedelta(days=2))


def start_at_once(cloud: LocalCloud, fn: str, recorder: Recorder) -> None:
    """Somebody starts a work item of a pool at rest, whose function nobody has looked at of late."""
    pool = cloud.workpool("email", quick_start=True)
    cloud.advance(timedelta(minutes=10))
    with recorder.acting("starter"):
        work_id = pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()
    assert pool.status(None, work_id).state == "finished"


def forget_a_wake(cloud: LocalCloud, fn: str, recorder: Recorder) -> None:
    """A pool that waited for a late work, which is canceled, goes idle and drops its schedule."""
    pool = cloud.workpool("email")
    late = pool.enqueue_action(None, fn, {}, run_after=timedelta(hours=5))
    cloud.advance(timedelta(seconds=30))
    pool.cancel(None, late)
    with recorder.acting("enqueuer"):
        pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()


def call_all_off(
    cloud: LocalCloud, pool: Workpool, fn: str, target: str, recorder: Recorder
) -> None:
    """One caller cancels all, long after the last callback, and another enqueues without a sight of it."""
    with recorder.acting("enqueuer"):
        for after in (timedelta(hours=4), timedelta(minutes=20)):
            pool.enqueue_action(None, fn, {"takes": 60}, run_after=after, on_complete=target)
    cloud.advance(timedelta(minutes=20, seconds=5))
    with recorder.acting("manager"):
        cloud.workpool("email").cancel_all(None)
    with recorder.acting("enqueuer"):
        spared = pool.enqueue_action(None, fn, {"text": LARGE})
    cloud.run_until_idle()
    assert pool.status(None, spared).outcome == "success"


def ask_the_table(cloud: LocalCloud, fn: str, recorder: Recorder) -> None:
    """A function of two tables has no address of a loop."""
    pool = Workpool(
        cloud.table, "email", ports=replace(cloud._ports_of(cloud.table), loop_arn=None)
    )
    for actor, act in (
        ("enqueuer", lambda: pool.enqueue_action(None, fn, {})),
        ("manager", lambda: pool.configure(None, paused=False)),
    ):
        with recorder.acting(actor):
            act()
        cloud.run_until_idle()


def deploy_anew(cloud: LocalCloud) -> None:
    """The watchdog finds a table of another deployment without limits, and a pool without a config."""
    cloud._engine_open.quiet(cloud.table).write(Put(Deployment(loop_arn="elsewhere")))
    tick(cloud)
    cloud.run_until_idle()
    assert cloud.workpool("unused").config(None).max_parallelism == dict(LIMITS)["unused"]


def declare_schedules(cloud: LocalCloud, fn: str) -> None:
    """A deployment declares a schedule, and the next one declares it no more."""
    tick(cloud, email=[{"name": "daily", "fn": fn, "cron": "@daily"}])
    assert [each.name for each in cloud.workpool("email").schedules(None)] == ["daily"]
    tick(cloud, email=[])
    assert cloud.workpool("email").schedules(None) == []
    cloud.run_until_idle()


def leave_to_the_hourly_look(cloud: LocalCloud, fn: str) -> None:
    """Records before every cursor: a due work item, a spent pointer, a notice that owes a callback."""
    store, pool = cloud._engine_open.quiet(cloud.table), cloud.workpool("email")
    model = store.get(WorkRef("email", WorkId(pool.enqueue_action(None, fn, {}))))
    assert isinstance(model, StoredWork)
    cloud.run_until_idle()
    pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()
    at = EpochMs(int(cloud.now.timestamp() * 1000) - 60_000)
    forgotten, pointer, owed = (make_id(at, random_bits=bits) for bits in (1, 2, 3))
    store.write(Put(replace(model, id=WorkId(forgotten), due_at=at, enqueued_at=at)))
    store.write(Put(Pointer(pool="email", at=pointer, work_id=model.id)))
    record = Notice(
        pool="email",
        at=owed,
        work_id=model.id,
        start=0,
        kind=NoticeKind.FINISHED,
        callback=CallbackState.PENDING,
    )
    store.write(Put(record))

    def left() -> list[object]:
        refs = PointerRef("email", pointer), NoticeRef("email", owed)
        unfinished = [] if pool.status(None, forgotten).outcome == "success" else [forgotten]
        return [*unfinished, *(each for each in refs if store.get(each) is not None)]

    for _ in range(5):  # the tick of an hour may die before its audit
        cloud.advance(timedelta(milliseconds=-int(cloud.now.timestamp() * 1000) % 3_600_000))
        tick(cloud)
        cloud.advance(timedelta(minutes=5))
        if not left():
            break
    cloud.run_until_idle()
    assert left() == []


def lose_a_status(cloud: LocalCloud, pool: Workpool, fn: str) -> None:
    """The status of a resting pool is removed. The watchdog notices, and has a loop run the work."""
    late = pool.enqueue_action(None, fn, {}, run_after=timedelta(hours=1))
    cloud.run_until_idle(timedelta(minutes=1))
    cloud._engine_open.quiet(cloud.table).delete(StatusRef("email"))
    tick(cloud)
    cloud.run_until_idle(timedelta(hours=3))
    assert pool.status(None, late).state == "finished"


def manage(pool: Workpool, ids: list[Any], recorder: Recorder) -> None:
    with recorder.acting("reader"):
        pool.status_batch(None, ids)
        for work_id in ids:
            pool.result(None, work_id)
            pool.why(None, work_id)
        for state in (None, "pending", "running", "finished", "dead"):
            pool.list(None, state=state)
        pool.stats(None)
        pool.config(None)
        pool.pools(None)
        pool.jobs(None)
    with recorder.acting("manager"):
        failed = [
            each
            for each in ids
            if (found := pool.result(None, each)) is not None and found.kind == "failed"
        ]
        pool.redrive(None, failed[0])
        pool.redrive(None, failed[0])
        pool.redrive_all(None)


def recur(cloud: LocalCloud, pool: Workpool, fn: str, recorder: Recorder) -> None:
    """A schedule is made, falls due, is seen, changed and removed."""
    minute = timedelta(minutes=1)
    with recorder.acting("manager"):
        pool.schedule(None, "often", fn, {}, every=minute, overlap="queue_one")
        pool.sync_schedules(None, [], owner="stack")
        pool.run_now(None, "often")
    cloud.advance(2 * minute)
    with recorder.acting("reader"):
        pool.schedules(None)
    with recorder.acting("manager"):
        pool.pause_schedule(None, "often")
        pool.resume_schedule(None, "often")
        pool.configure(None, paused=True)
    cloud.advance(2 * minute)
    with recorder.acting("manager"):
        pool.schedule(None, "often", fn, {}, every=2 * minute)
        pool.configure(None, reset=True)
    with recorder.acting("enqueuer"):
        pool.enqueue_action_batch(None, fn, [{"takes": 600}] * 5)
    cloud.advance(minute)
    with recorder.acting("manager"):  # beside a ledger that has pages
        pool.unschedule(None, "often", cancel_pending=True)
    cloud.run_until_idle(timedelta(days=2))


def gather(cloud: LocalCloud, pool: Workpool, fn: str, recorder: Recorder, told: str) -> None:
    """A group is enqueued, seen and followed; another one, which is not all stored, is canceled."""
    with recorder.acting("enqueuer"):
        pool.enqueue_group(None, fn, [{}, {}], group_id="done", on_complete=told)
        later = pool.enqueue_group(None, fn, [{}, {}], run_after=timedelta(hours=1))
    store = cloud._engine_open.quiet(cloud.table)
    (member, _) = [each.work_id for each in pool.list(None, state="pending").items][-2:]
    store.delete(WorkRef(pool.name, WorkId(member)))
    with recorder.acting("reader"):
        pool.group(None, later)
        pool.groups(None)
    with recorder.acting("manager"):
        pool.cancel_group(None, later)
        pool.group(None, later)
        pool.groups(None)
    cloud.run_until_idle(timedelta(days=2))


def tick(cloud: LocalCloud, **schedules: list[dict[str, str]]) -> None:
    order: dict[str, object] = {"table": cloud.table, "pools": ["email"]}
    if schedules:
        order["schedules"] = schedules
    cloud.invoke(cloud.watchdog_arn, {"workpool_watchdog": order})
    cloud.advance(timedelta(seconds=10))


class Seen(Exception):
    """A request was noted, and is answered elsewhere."""


class Noting:
    """A client of DynamoDB that notes what it is asked."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = "".join(part.title() for part in name.split("_"))

        def ask(**request: Any) -> Any:
            self._recorder.note("dynamodb", operation, request)
            if operation == "BatchGetItem":
                return {"Responses": {}}  # so that the next batch is asked for
            raise Seen

        return ask


class NotedStore:
    """A store in memory whose calls are noted as the requests that they are to DynamoDB."""

    def __init__(self, recorder: Recorder, store: Store) -> None:
        client: Any = Noting(recorder)
        self._noted = DynamoStore(
            lambda: client, "noted", clock=ManualClock(), entropy=CountedEntropy()
        )
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            with suppress(Seen):
                getattr(self._noted, name)(*args, **options)
            return getattr(self._store, name)(*args, **options)

        return call


def noted_calls(seed: int) -> dict[str, set[Call]]:
    """The calls of one run by actor, with faults in all but the first.

    Its tables are in memory. All but the requests to them goes through boto3.
    """
    faulty = (
        {"lost_deliveries": 0.1, "duplicate_deliveries": 0.1, "crash_rate": 0.03} if seed else {}
    )
    real, bare, in_memory = (
        BaseClient._make_api_call,
        Platform.deployment.fget,
        MemoryEngine.ports,
    )
    assert bare is not None
    cloud = LocalCloud(seed=seed, **faulty)
    recorder = Recorder(cloud)

    def ports(engine: Any, table: str) -> Ports:
        platform, store = engine._platform, NotedStore(recorder, in_memory(engine, table).store)
        by_boto3: Any = SimpleNamespace(_platform=platform, _kernel=platform.kernel)
        with patch("workpool_aws.adapters.aws.clients.DynamoStore", lambda *_, **__: store):
            return MotoEngine.ports(by_boto3, table)

    def note(client: Any, operation: str, request: dict[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        if service != "dynamodb":
            recorder.note(service, operation, request)
        return real(client, operation, request)

    def unheard(asked: Callable[..., bool]) -> Callable[..., bool]:
        # The cloud asks whether a tick would find anything, in the middle of whatever runs.
        def ask(*args: Any) -> bool:
            with recorder.silent():
                return asked(*args)

        return ask

    limited = property(lambda platform: replace(bare(platform), limits=LIMITS))
    with pytest.MonkeyPatch.context() as patched:
        # A ledger has pages from the second start on.
        patched.setattr(limits, "LEDGER_HEAD_SLOTS", 1)
        patched.setattr(Platform, "deployment", limited)
        patched.setattr(MemoryEngine, "ports", ports)
        patched.setattr(BaseClient, "_make_api_call", note)
        for asked in (would_act, would_record):
            patched.setattr(
                f"workpool_aws.local.services.deployment.{asked.__name__}", unheard(asked)
            )
        with cloud:
            for name, value in environment(cloud).items():
                patched.setenv(name, value)
            run_everything(cloud, recorder)
    return recorder.calls


@cache
def all_calls() -> dict[str, set[Call]]:
    """By actor, over a few seeds, with faults that make recovery and watchdog act.

    Kept beyond the module, to which a process of a parallel run may come back.
    """
    total: dict[str, set[Call]] = {}
    for seed in SEEDS:
        for actor, made in noted_calls(seed).items():
            total.setdefault(actor, set()).update(made)
    return total


@pytest.fixture(scope="module")
def calls() -> dict[str, set[Call]]:
    return all_calls()


def environment(cloud: LocalCloud) -> dict[str, str]:
    return {
        "WORKPOOL_LOOP_ARN": cloud.loop_arn,
        "WORKPOOL_COMPLETION_ARN": cloud.completion_arn,
        "WORKPOOL_METRICS": "pools",
    }


def test_role_may_make_every_call_that_is_made_in_it(calls: dict[str, set[Call]]) -> None:
    refused = [
        (actor, call)
        for actor in ROLES
        for call in sorted(calls.get(actor, set()))
        if not any(allows(each, call) for each in statements_for(ROLES[actor]))
    ]

    assert refused == [], f"seeds {SEEDS}"


def refusing(
    cloud: LocalCloud, real: Callable[..., Any], refused: list[tuple[str, Call]]
) -> Callable[..., Any]:
    """The calls of the cloud's functions, as far as their roles may make them."""

    def make(client: Any, operation: str, request: dict[str, Any]) -> Any:
        task = cloud._open.kernel.current()
        actor = None if task is None else re.split(r"[#/]", task.name)[0]
        for call in (
            judged(client.meta.service_model.service_name, operation, request)
            if actor in ROLES
            else ()
        ):
            if not any(allows(each, call) for each in statements_for(ROLES[actor])):
                refused.append((actor, call))
                raise ClientError(
                    {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}},
                    operation,
                )
        return real(client, operation, request)

    return make


def test_workers_that_may_not_make_status_anew_leave_that_to_watchdog() -> None:
    """[WP-3] [WP-20] Of a pool whose status was removed by hand while works ran: nothing is lost, and nothing fails."""
    refused: list[tuple[str, Call]] = []
    with LocalCloud(engine="moto") as cloud:
        pool = cloud.workpool("email", max_parallelism=2)

        @pool.action
        def send_email(work: Work, takes: int = 1) -> int:
            return takes

        fn = cloud.function(send_email, takes=lambda event: timedelta(seconds=event["takes"]))
        with patch.object(
            BaseClient, "_make_api_call", refusing(cloud, BaseClient._make_api_call, refused)
        ):
            ids = [pool.enqueue_action(None, fn, {"takes": takes}) for takes in (8, 9, 1, 1)]
            cloud.advance(timedelta(seconds=5))
            cloud._engine_open.quiet(cloud.table).delete(StatusRef("email"))
            cloud.run_until_idle()

        assert [pool.result(None, each).return_value for each in ids] == [8, 9, 1, 1]
        assert {(actor, call.action, call.what) for actor, call in refused} == {
            ("send_email", "dynamodb:GetItem", "#pools")
        }
        assert [each.outcome for each in cloud.invocations(fn)] == ["success"] * 4


BY_LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
"""Acts of Lambda in the name of a role."""
SHARED = {"sqs:GetQueueUrl"}
"""The cloud's functions are one process: one of them asks, and all know."""
BY_CHANCE = {
    # It looks a work item up by itself only where an answer was lost.
    "PoolsLoopRole": {"dynamodb:GetItem work"},
    # It kicks only where the loop's promise to be there is over.
    "SendEmailServiceRole": {"dynamodb:UpdateItem control"},
    # It counts an occurrence only where that fell due between a change and its landing.
    "AdminServiceRole": {"dynamodb:UpdateItem schedules"},
    # The same, for schedules that a deployment declares.
    "PoolsWatchdogRole": {"dynamodb:UpdateItem schedules"},
    # It reads the jobs only where no caller of its process has read them a moment before.
    "BoardServiceRole": {"dynamodb:GetItem #deployment"},
}
"""Acts under faults, which no small number of seeds is sure to show."""
NEVER_SEEN = {
    # PassRole is judged when a schedule is created.
    "PoolsLoopRole": BY_LAMBDA - {"sqs:SendMessage"} | {"iam:PassRole"},
    "PoolsCompletionRole": BY_LAMBDA - {"sqs:SendMessage"},
    "PoolsWatchdogRole": BY_LAMBDA,
    "LegacyServiceRole": {"lambda:InvokeFunction"},  # its destination
    "EmailSentServiceRole": {"lambda:InvokeFunction"},  # the same
}


def test_no_role_may_do_what_is_never_done_in_it(calls: dict[str, set[Call]]) -> None:
    unused = {
        role: grants_of(role)
        - used_by(calls.get(actor, set()))
        - (grants_of(ROLES["enqueuer"]) if actor == "starter" else set())
        - SHARED
        - BY_CHANCE.get(role, set())
        for actor, role in ROLES.items()
    }

    assert {role: grants for role, grants in unused.items() if grants} == NEVER_SEEN, (
        f"seeds {SEEDS}"
    )
