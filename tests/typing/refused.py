"""Calls that a type checker refuses.

Each line with an ignore must be an error to mypy and to pyright: both report an ignore that is not
needed.
"""

from datetime import timedelta

from workpool_aws import EnqueueOptions, Work, Workpool
from workpool_aws.local import LocalCloud

pool = Workpool("my-table")


@pool.action(retry=True)
def send_email(to: str, template: str = "welcome") -> int:
    return len(to + template)


@pool.action
def crawl(work: Work, url: str) -> int:
    return work.attempt + len(url)


def an_unknown_option() -> None:
    pool.enqueue_action(None, "fn", {}, run_afer=timedelta(minutes=5))  # type: ignore[call-arg]
    pool.enqueue_query_batch(None, "fn", [{}], retries=3)  # type: ignore[call-arg]
    pool.enqueue_mutation(None, "fn", {}, run_afer=timedelta(minutes=5))  # type: ignore[call-arg]


def a_value_of_another_type() -> None:
    pool.enqueue_action(None, "fn", {}, retry="yes")  # type: ignore[arg-type]
    pool.enqueue_action(None, "fn", {}, run_after=5)  # type: ignore[arg-type]
    pool.enqueue_action(None, "fn", {}, on_complete_exclude=["sucess"])  # type: ignore[list-item]


def options_of_a_pool_of_a_cloud(cloud: LocalCloud) -> None:
    cloud.workpool("email", max_paralelism=3)  # type: ignore[call-arg]
    cloud.workpool("email", max_parallelism="3")  # type: ignore[arg-type]


def an_option_by_position() -> None:
    pool.enqueue_action(None, "fn", {}, None)  # type: ignore[call-arg]


def options_made_apart() -> None:
    options: EnqueueOptions = {"retry": True}  # type: ignore[typeddict-unknown-key]
    pool.enqueue_action(None, "fn", {}, **options)


def arguments_of_a_job() -> None:
    send_email.enqueue(None)  # type: ignore[call-arg]
    send_email.enqueue(None, to=5)  # type: ignore[arg-type]
    send_email.enqueue(None, 5)  # type: ignore[arg-type]
    send_email.enqueue(None, to="a", subject="b")  # type: ignore[call-arg]
    send_email.enqueue("context", to="a")  # type: ignore[arg-type]
    send_email.with_options(retry=False).enqueue(None, to=5)  # type: ignore[arg-type]
    send_email.enqueue_batch(None, {"to": "a"})  # type: ignore[arg-type]
    crawl.enqueue(None, url=5)  # type: ignore[arg-type]


def the_handle_as_an_argument_of_a_job(work: Work) -> None:
    crawl.enqueue(None, work, "example.com")  # type: ignore[call-arg,arg-type]
    crawl.enqueue(None, work=work, url="example.com")  # type: ignore[call-arg]


def options_of_a_job() -> None:
    send_email.with_options(retries=3)  # type: ignore[call-arg]
    send_email.with_options(retry="yes")  # type: ignore[arg-type]
    pool.action(retries=3)  # type: ignore[call-overload]
    pool.action(name=5)  # type: ignore[call-overload]


def a_target_that_is_no_job() -> None:
    pool.enqueue_action(None, len, {})  # type: ignore[arg-type]


def a_return_value_of_another_type() -> str:
    result = send_email.result(None, "id")
    return result.return_value if result is not None else ""  # type: ignore[return-value]
