"""The section "Jobs by name, typed": a decorated function enqueues itself, and is a target by name."""

import functools
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from workpool_aws import NotFound, OnCompleteEvent, RetryPolicy, UsageError, Work, Workpool
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)


class Receipt(BaseModel):
    to: str
    sent_at: datetime


@dataclass
class Address:
    street: str


def sends(pool: Workpool) -> Any:
    """A worker that returns a model."""

    @pool.action
    def send_email(to: str, template: str = "welcome") -> Receipt:
        return Receipt(to=f"{template}:{to}", sent_at=datetime(2030, 1, 1, tzinfo=UTC))

    return send_email


def refused(call: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call()
    return caught.value


def nothing_is_stored(pool: Workpool) -> bool:
    return pool.list(None).items == ()


@both_engines
def test_job_is_enqueued_by_itself_and_its_result_has_its_type(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    send_email = sends(pool)
    fn = cloud.function(send_email, name="anything")

    work_id = send_email.enqueue(None, to="a@example.com")
    before = send_email.result(None, work_id)
    cloud.run_until_idle()

    after = send_email.result(None, work_id)
    assert before is None
    assert after.return_value == Receipt(
        to="welcome:a@example.com", sent_at=datetime(2030, 1, 1, tzinfo=UTC)
    )
    assert pool.show(None, work_id).target == fn


def test_job_takes_arguments_by_position_and_leaves_defaults_to_function(
    cloud: LocalCloud,
) -> None:
    pool = cloud.workpool()
    send_email = sends(pool)
    cloud.function(send_email)

    work_id = send_email.enqueue(None, "a@example.com")

    assert pool.show(None, work_id, args=True).args.value == {"to": "a@example.com"}


def test_job_takes_values_that_its_annotations_read(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def bill(at: datetime, amount: Decimal, where: Address, every: timedelta) -> list[str]:
        return [f"{at:%Y}", str(amount), where.street, str(every)]

    cloud.function(bill)
    work_id = bill.enqueue(
        None,
        at=datetime(2030, 1, 1, tzinfo=UTC),
        amount=Decimal("1.10"),
        where=Address("Main St"),
        every=timedelta(hours=1),
    )
    cloud.run_until_idle()

    assert bill.result(None, work_id).return_value == ["2030", "1.10", "Main St", "1:00:00"]


def test_batch_of_job_keeps_its_order(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.query
    def square(n: int) -> int:
        return n**2

    cloud.function(square)
    ids = square.enqueue_batch(None, [{"n": n} for n in range(4)])
    cloud.run_until_idle()

    assert [square.result(None, each).return_value for each in ids] == [0, 1, 4, 9]
    assert {pool.show(None, each).status.kind for each in ids} == {"query"}
    assert square.enqueue_batch(None, []) == []


def test_job_without_its_handle_in_arguments_receives_it(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def crawl(work: Work, url: str) -> str:
        return f"{url} {work.attempt}"

    cloud.function(crawl)
    work_id = crawl.enqueue(None, "example.com")
    cloud.run_until_idle()

    assert crawl.result(None, work_id).return_value == "example.com 1"
    error = refused(lambda: crawl.enqueue(None, url="example.com", work=None))
    assert error.field == "args.work"


BAD_CALLS = {
    "a missing argument": (lambda job: job.enqueue(None), "args.to", "got nothing"),
    "a wrong type": (lambda job: job.enqueue(None, to=5), "args.to", "got a value of type int"),
    "an unknown name": (
        lambda job: job.enqueue(None, to="a", subject="secret"),
        "args.subject",
        "got a value of type str",
    ),
    "too many by position": (
        lambda job: job.enqueue(None, "a", "b", "c"),
        "args",
        "at most 2 (to, template); got 3 by position",
    ),
    "an argument twice": (lambda job: job.enqueue(None, "a", to="b"), "args.to", "given once"),
    "no JSON": (lambda job: job.enqueue(None, to=object()), "args.to", "a JSON value"),
    "in a batch": (
        lambda job: job.enqueue_batch(None, [{"to": "a"}, {"to": None}]),
        "args[1].to",
        "got None",
    ),
    "no batch": (lambda job: job.enqueue_batch(None, {"to": "a"}), "args", "a list"),
    "an option": (lambda job: job.with_options(retry="yes").enqueue(None, to="a"), "retry", "True"),
    "an unknown option": (
        lambda job: job.with_options(run_afer=5).enqueue(None, to="a"),
        "run_afer",
        "run_after",
    ),
    "no context": (lambda job: job.enqueue("context", to="a"), "ctx", "None outside of Lambda"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_call_of_job_is_refused_before_anything_is_stored(cloud: LocalCloud, case: str) -> None:
    call, field, said = BAD_CALLS[case]
    pool = cloud.workpool()
    send_email = sends(pool)
    cloud.function(send_email)

    error = refused(lambda: call(send_email))

    assert error.field == field
    assert said in str(error)
    assert "secret" not in str(error)
    assert nothing_is_stored(pool)


def test_validator_that_fails_otherwise_is_refused_at_call(cloud: LocalCloud) -> None:
    class Picky(BaseModel):
        n: int

        def model_post_init(self, _context: object) -> None:
            raise LookupError(self.n)

    pool = cloud.workpool()

    def work(picky: Any) -> None: ...

    work.__annotations__["picky"] = Picky
    job = pool.action(work)
    cloud.function(job)

    error = refused(lambda: job.enqueue(None, picky={"n": 3}))

    assert error.field == "args"
    assert "LookupError" in str(error)


def test_options_of_call_win_over_those_of_its_handle_and_job(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    soon, later = timedelta(minutes=1), timedelta(hours=1)

    @pool.action(retry=RetryPolicy(max_attempts=2), run_after=later)
    def charge(cents: int) -> int:
        return cents

    fn = cloud.function(charge)

    def asked(work_id: str) -> tuple[int | None, timedelta]:
        details = pool.show(None, work_id)
        wait = details.status.next_run_at - cloud.now
        return (None if details.retry is None else details.retry.max_attempts, wait)

    assert asked(charge.enqueue(None, cents=1)) == (2, later)
    single = charge.with_options(retry=False, run_after=soon)
    assert asked(single.enqueue(None, cents=1)) == (None, soon)
    assert asked(single.with_options(run_after=later).enqueue(None, cents=1)) == (None, later)
    at = single.with_options(run_at=cloud.now + 2 * soon)
    assert asked(at.enqueue(None, cents=1)) == (None, 2 * soon)
    assert asked(pool.enqueue_action(None, charge, {"cents": 1})) == (2, later)
    assert asked(pool.enqueue_action(None, charge, {"cents": 1}, retry=None)) == (2, later)
    assert asked(pool.enqueue_action(None, single, {"cents": 1})) == (None, soon)
    # The default policy of mutations, not that of the action.
    assert asked(pool.enqueue_mutation(None, charge, {"cents": 1})) == (5, later)
    assert asked(pool.enqueue_action(None, fn, {"cents": 1})) == (None, timedelta(0))


@both_engines
def test_decorated_function_and_its_name_are_targets(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action(name="mail.send")
    def send_email(to: str) -> str:
        return to

    fn = cloud.function(send_email)

    @functools.wraps(send_email)
    def wrapped(event: object, context: object) -> object:
        return send_email(event, context)

    targets = (send_email, send_email.handler, wrapped, "mail.send")

    ids = [pool.enqueue_action(None, target, {"to": "a@example.com"}) for target in targets]

    assert {pool.show(None, each).target for each in ids} == {fn}
    error = refused(lambda: pool.enqueue_action(None, send_email, {"too": "a"}))
    assert error.field == "args.to"


def test_job_runs_in_function_that_was_added_last(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    send_email = sends(pool)
    cloud.function(send_email)
    newer = cloud.function(send_email)

    assert pool.show(None, send_email.enqueue(None, to="a")).target == newer


def test_job_is_enqueued_in_pool_that_decorated_it(cloud: LocalCloud) -> None:
    mail, other = cloud.workpool("mail"), cloud.workpool("other")
    send_email = sends(mail)
    cloud.function(send_email)

    own = send_email.enqueue(None, to="a")
    there = other.enqueue_action(None, send_email, {"to": "a"})

    assert mail.status(None, own).state == other.status(None, there).state == "pending"
    with pytest.raises(NotFound):
        send_email.result(None, there)


def test_job_that_is_not_deployed_is_refused_with_those_that_are(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    send_email = sends(pool)
    none = refused(lambda: send_email.enqueue(None, to="a"))
    cloud.function(pool.action(lambda n: n), name="count")
    cloud.function(pool.action(name="mail.receive")(lambda: None))

    some = refused(lambda: send_email.enqueue(None, to="a"))

    assert "none is, so add its function under its name first" in str(none)
    assert "a job that is deployed: lambda, mail.receive; got the job 'send_email'" in str(some)
    assert nothing_is_stored(pool)


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("send_emial", "did you mean send_email?"),
        ("send-email", "did you mean send_email?"),
        ("SEND_Email", "did you mean send_email?"),
        ("mail.send", "a job: send_email"),
        ("billing", None),
        ("send", None),
        ("mailer", None),
    ],
)
def test_name_of_no_job_is_functions_unless_it_is_near_miss(
    cloud: LocalCloud, name: str, refusal: str | None
) -> None:
    pool = cloud.workpool()
    cloud.function(sends(pool), name="mailer")

    if refusal is None:
        assert pool.show(None, pool.enqueue_action(None, name, {})).target == name
    else:
        error = refused(lambda: pool.enqueue_action(None, name, {}))
        assert error.field == "target"
        assert refusal in str(error)
        assert nothing_is_stored(pool)


def test_name_of_jobs_function_is_no_near_miss(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    cloud.function(sends(pool), name="send-email")

    assert pool.show(None, pool.enqueue_action(None, "send-email", {})).target == "send-email"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "-x"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": 5}, "name"),
        ({"retry": 3}, "retry"),
        ({"run_after": 5}, "run_after"),
        ({"run_at": datetime(2030, 1, 1, tzinfo=UTC)}, "run_at"),
        ({"context": {}}, "context"),
        ({"retries": 3}, "retries"),
    ],
)
def test_decorator_refuses_bad_name_or_option(
    cloud: LocalCloud, given: dict[str, Any], field: str
) -> None:
    decorate = cloud.workpool().action(**given)

    assert refused(lambda: decorate(lambda: None)).field == field


@pytest.mark.parametrize("bad", [None, 5, "send_email"])
def test_decorator_refuses_what_is_no_function(cloud: LocalCloud, bad: object) -> None:
    assert refused(lambda: cloud.workpool().action(bad)).field == "function"


def test_job_reads_result_of_its_own_type_alone(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    send_email = sends(pool)
    cloud.function(send_email)

    @pool.action
    def count() -> int:
        return 1

    @pool.action
    def untyped():
        return {"n": 1}

    @pool.action
    def fail() -> int:
        raise LookupError("no")

    for each in (count, untyped, fail):
        cloud.function(each)
    other, plain, failed = count.enqueue(None), untyped.enqueue(None), fail.enqueue(None)
    cloud.run_until_idle()

    error = refused(lambda: send_email.result(None, other))
    assert error.field == "return_value"
    assert untyped.result(None, plain).return_value == {"n": 1}
    assert fail.result(None, failed).error_type == "LookupError"


def test_return_type_that_cannot_be_used_is_refused_when_it_is_read(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    def work():
        return 1

    work.__annotations__["return"] = "Missing"
    job = pool.action(work)
    cloud.function(job)
    work_id = job.enqueue(None)
    cloud.run_until_idle()

    assert "Missing" in str(refused(lambda: job.result(None, work_id)))
    assert pool.result(None, work_id).return_value == 1


def test_annotations_that_cannot_be_used_are_refused_at_call(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    def work(n):
        return n

    work.__annotations__["n"] = "Missing"
    job = pool.action(work)
    cloud.function(job)

    error = refused(lambda: job.enqueue(None, n=1))
    assert error.field == "function"
    assert nothing_is_stored(pool)


@both_engines
def test_callback_handler_and_its_name_are_targets_of_callbacks(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    heard: list[object] = []

    @pool.on_complete(name="mail.sent")
    def email_sent(event: OnCompleteEvent) -> None:
        heard.append(event.context)

    @pool.action(on_complete=email_sent, context="job")
    def send_email(to: str) -> str:
        return to

    for each in (email_sent, send_email):
        cloud.function(each)
    send_email.enqueue(None, to="a")
    send_email.with_options(on_complete="mail.sent", context="name").enqueue(None, to="a")
    pool.enqueue_action(None, send_email, {"to": "a"}, on_complete=email_sent.handler, context=3)
    cloud.run_until_idle()

    assert sorted(map(str, heard)) == ["3", "job", "name"]


def test_worker_is_a_target_of_callbacks(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    heard: list[object] = []

    @pool.action
    def note(work_id: str, context: str, result: dict[str, Any]) -> None:
        heard.append((context, result["kind"]))

    @pool.action
    def send_email(to: str) -> str:
        return to

    for each in (note, send_email):
        cloud.function(each)
    send_email.with_options(on_complete=note, context="mine").enqueue(None, to="a")
    cloud.run_until_idle()

    assert heard == [("mine", "success")]


def test_callback_handler_that_is_not_deployed_is_refused(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    send_email = sends(pool)
    cloud.function(send_email)

    @pool.on_complete
    def email_sent(event: OnCompleteEvent) -> None: ...

    for target in (email_sent, "send_emial"):
        error = refused(
            lambda target=target: send_email.with_options(on_complete=target).enqueue(None, to="a")
        )
        assert error.field == "on_complete"
        assert "send_email" in error.allowed
    assert nothing_is_stored(pool)


@pytest.mark.parametrize("name", ["a b", "", 5])
def test_decorator_of_callbacks_refuses_a_bad_name(cloud: LocalCloud, name: Any) -> None:
    decorate = cloud.workpool().on_complete(name=name)

    assert refused(lambda: decorate(lambda event: None)).field == "name"


@both_engines
def test_one_function_runs_many_jobs_and_callbacks(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    heard: list[object] = []

    @pool.action
    def double(n: int) -> int:
        return 2 * n

    @pool.action(name="math.square")
    def square(n: int) -> int:
        return n * n

    @pool.on_complete
    def doubled(event: OnCompleteEvent) -> None:
        heard.append(("doubled", event.result.return_value))

    @pool.on_complete
    def squared(event: OnCompleteEvent) -> None:
        heard.append(("squared", event.result.return_value))

    fn = cloud.function(pool.handler(double, square, doubled, squared), name="app")
    one = double.with_options(on_complete=doubled).enqueue(None, 5)
    other = pool.enqueue_action(None, "math.square", {"n": 5}, on_complete="squared")
    cloud.run_until_idle()

    assert double.result(None, one).return_value == 10
    assert square.result(None, other).return_value == 25
    assert sorted(heard) == [("doubled", 10), ("squared", 25)]
    assert {each.callback for each in pool.status_batch(None, [one, other])} == {"delivered"}
    listed = {each.work_id: (each.job, each.target) for each in pool.list(None).items}
    assert listed == {one: ("double", fn), other: ("math.square", fn)}
    assert [len(cloud.invocations(each)) for each in (fn, double, "squared")] == [4, 1, 1]


@pytest.mark.parametrize("retry", [False, True])
def test_job_that_its_function_does_not_have_fails_at_once_and_runs_no_other(
    cloud: LocalCloud, retry: bool
) -> None:
    pool = cloud.workpool()
    ran: list[str] = []

    @pool.action
    def old(n: int) -> None:
        ran.append("old")

    @pool.action
    def other(n: int) -> None:
        ran.append("other")

    fn = cloud.function(pool.handler(old, other))
    work_id = old.with_options(retry=retry, run_after=timedelta(hours=1)).enqueue(None, n=1)
    redeploy(cloud, fn, pool.handler(other))
    cloud.run_until_idle(timeout=timedelta(hours=2))

    result = pool.result(None, work_id)
    assert (result.kind, result.error_type) == ("failed", "not_invocable")
    assert result.error == "the function has no job 'old'; its jobs are other"
    assert pool.status(None, work_id).previous_attempts == 0
    assert ran == []


def test_worker_runs_no_job_of_another_name(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    send_email = sends(pool)
    fn = cloud.function(send_email)
    work_id = send_email.with_options(run_after=timedelta(hours=1)).enqueue(None, to="a")
    redeploy(cloud, fn, pool.action(name="other")(send_email.function))
    cloud.run_until_idle(timeout=timedelta(hours=2))

    assert pool.result(None, work_id).error_type == "not_invocable"


def test_function_of_one_job_runs_what_names_none(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    send_email = sends(pool)
    fn = cloud.function(pool.handler(send_email))
    work_id = pool.enqueue_action(None, fn, {"to": "a"})
    cloud.run_until_idle()

    assert pool.result(None, work_id).kind == "success"
    assert pool.list(None).items[0].job is None


def test_function_of_many_jobs_fails_what_names_none(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(pool.handler(sends(pool), pool.action(name="other")(lambda: None)))
    work_id = pool.enqueue_action(None, fn, {"to": "a"})
    cloud.run_until_idle()

    result = pool.result(None, work_id)
    assert result.error_type == "not_invocable"
    assert "its jobs are other, send_email" in str(result.error)


def test_function_of_many_jobs_refuses_events_of_no_pool(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    handler = pool.handler(sends(pool), pool.action(name="other")(lambda: None))

    for event in ({"to": "a"}, {"_workpool": 5}, None):
        error = refused(lambda event=event: handler(event, None))
        assert error.field == "event._workpool.job"
        assert error.allowed == "one of other, send_email"


def test_redrive_keeps_the_job(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def fragile() -> None:
        raise LookupError("no")

    cloud.function(pool.handler(fragile, sends(pool)))
    failed = fragile.enqueue(None)
    cloud.run_until_idle()
    again = pool.redrive(None, failed)
    cloud.run_until_idle()

    assert pool.result(None, again).error_type == "LookupError"
    assert pool.show(None, again).status.job == "fragile"


def test_handler_refuses_what_is_no_decorated_function(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    send_email = sends(pool)
    many = pool.handler(send_email, pool.action(lambda: 1))

    for handlers, field in (
        ((), "handlers"),
        ((send_email, print), "handlers[1]"),
        ((send_email, sends(pool)), "handlers[1]"),
        ((many,), "handlers[0]"),
        ((send_email.with_options(retry=True),), "handlers[0]"),
    ):
        assert refused(lambda handlers=handlers: pool.handler(*handlers)).field == field


def redeploy(cloud: LocalCloud, fn: str, handler: Any) -> None:
    """Gives a function of the cloud other code."""
    functions = cloud._open.functions
    name = fn.rpartition(":")[2]
    functions._by_name[name] = replace(functions._by_name[name], handler=handler)
