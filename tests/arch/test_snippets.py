"""Every block of Python in the documents is run by a test, and every command exists.

The comment above a block of Python names its kind, and `RUN_BY` the test of each kind.

Blocks marked `fragment` run here, page by page, in a LocalCloud. A page assumes some names, which
`PAGES` gives it, and that its decorated functions are deployed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.middleware_factory import lambda_handler_decorator
from pydantic import BaseModel

from workpool_aws import OnCompleteEvent, TaskPool, Transaction
from workpool_aws.cli.main import make_parser
from workpool_aws.local import LocalCloud
from workpool_aws.local.current import current_cloud
from workpool_aws.testing import lambda_context

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/*/*.md"),
        *ROOT.glob("infra/cdk/*.md"),
    ]
)
RUN_BY = {
    "runnable": "tests/arch/test_readme.py",
    "worker": "tests/arch/test_readme.py",
    "caller": "tests/arch/test_readme.py",
    "file": "tests/arch/test_project_pages.py",
    "recipe": "tests/unit/task_pool/test_task_pool_recipes.py",
    "fragment": "tests/arch/test_snippets.py",
    "script": "tests/integration/test_tracing.py",
    "stack": "tests/infra/test_stacks_of_pages.py",
    "sam-code": "tests/e2e/plain.py",
}
"""The test that runs the blocks of a mark."""

BLOCK = re.compile(r"^(?P<mark>.*)\n[ \t]*```python\n", re.MULTILINE)
FRAGMENT = re.compile(
    r"^(?P<indent> *)<!-- fragment -->\n *```python\n(?P<code>.*?)^ *```", re.MULTILINE | re.DOTALL
)


class Receipt(BaseModel):
    """A model that a page names and does not define."""

    number: int = 1


class Deploying:
    """A pool whose decorated functions are deployed at once."""

    def __init__(self, cloud: LocalCloud, name: str) -> None:
        self._cloud = cloud
        self._pool = cloud.workpool(name)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._pool, name)
        return (
            self._deploying(value)
            if name in {"action", "query", "mutation", "on_complete"}
            else value
        )

    def _deploying(self, decorate: Callable[..., Any]) -> Callable[..., Any]:
        def decorated(*function: Any, **options: Any) -> Any:
            if not function:
                return self._deploying(decorate(**options))
            made = decorate(*function)
            self._cloud.function(made)
            return made

        return decorated


def names_of_workers(pool: Any) -> dict[str, Any]:
    @pool.action
    def crawl(url: str) -> None: ...

    @pool.on_complete
    def email_sent(event: OnCompleteEvent) -> None: ...

    @lambda_handler_decorator
    def my_middleware(handler, event, context):
        return handler(event, context)

    return {
        "crawl": crawl,
        "email_sent": email_sent,
        "my_middleware": my_middleware,
        "logger": Logger(service="pages"),
        "tracer": SimpleNamespace(capture_lambda_handler=lambda handler: handler),
        "Receipt": Receipt,
    }


def no_names(pool: Any) -> dict[str, Any]:
    return {}


def names_of_readme(pool: Any) -> dict[str, Any]:
    return {"upload": lambda image: None}


def names_of_local_cloud(pool: Any) -> dict[str, Any]:
    return {"pytest": pytest}


def names_of_sqs(pool: Any) -> dict[str, Any]:
    return {"send_invoice": lambda to, cents: None}


def names_of_transactions(pool: Any) -> dict[str, Any]:
    boto3.client("dynamodb").create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    cloud = current_cloud()
    assert cloud is not None
    cloud.function(lambda event, context: None, name="send-email")
    return {}


def names_of_unique_work(pool: Any) -> dict[str, Any]:
    names_of_transactions(pool)
    cloud = current_cloud()
    assert cloud is not None

    @pool.action
    def ship(order: str) -> None: ...

    @pool.action(name="mail")
    def send_email(order: str) -> None: ...

    cloud.function(ship)
    cloud.function(send_email)
    return {
        "ship": ship,
        "send_email": send_email,
        "message": {"messageId": "m-1"},
        "Transaction": Transaction,
    }


def names_of_celery(pool: Any) -> dict[str, Any]:
    return {"deliver": lambda to, key: None}


def names_of_schedules(pool: Any) -> dict[str, Any]:
    @pool.action
    def report() -> None: ...

    return {"report": report}


def names_of_groups(pool: Any) -> dict[str, Any]:
    @pool.action
    def resize(image: str) -> str:
        return image

    @pool.action
    def publish(album: int | str, images: int = 0) -> None: ...

    @pool.action
    def alert(album: str, failed: int) -> None: ...

    @pool.on_complete
    def album_done(event: OnCompleteEvent) -> None: ...

    @pool.on_complete
    def image_done(event: OnCompleteEvent) -> None: ...

    return {
        "resize": resize,
        "publish": publish,
        "alert": alert,
        "album_done": album_done,
        "image_done": image_done,
        "names": ["a.png"],
        "BaseModel": BaseModel,
        "OnCompleteEvent": OnCompleteEvent,
        "Transaction": Transaction,
    }


PAGES = {
    "docs/groups.md": names_of_groups,
    "docs/how-to/fan-out-and-join.md": names_of_groups,
    "docs/schedules.md": names_of_schedules,
    "README.md": names_of_readme,
    "docs/dashboard.md": no_names,
    "docs/how-to/after-downtime.md": no_names,
    "docs/how-to/every-hour.md": no_names,
    "docs/how-to/migrate-from-celery.md": names_of_celery,
    "docs/how-to/migrate-from-sqs.md": names_of_sqs,
    "docs/how-to/one-at-a-time.md": no_names,
    "docs/how-to/schedules-from-code.md": names_of_schedules,
    "docs/how-to/stop-a-job-that-hangs.md": no_names,
    "docs/local-cloud.md": names_of_local_cloud,
    "docs/transactions.md": names_of_transactions,
    "docs/unique-work.md": names_of_unique_work,
    "docs/workers.md": names_of_workers,
}


SHELL = re.compile(r"^ *```sh\n(?P<code>.*?)^ *```", re.MULTILINE | re.DOTALL)
ASSIGNMENT = re.compile(r"^(?:export )?(?:\w+=\S+ )*")


def commands_of(page: Path, program: str) -> list[str]:
    """The commands of one program in the shell blocks of a page, without comments."""
    blocks = "".join(SHELL.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    lines = [re.sub(r"\s#.*", "", line) for line in blocks.splitlines()]
    commands = [
        ASSIGNMENT.sub("", command.strip())
        for line in lines
        for command in re.split(r"&&|;|\|", line)
    ]
    return [each for each in commands if each.split()[:1] == [program]]


def fragments_of(page: Path) -> list[str]:
    return [
        re.sub(rf"^{found['indent']}", "", found["code"], flags=re.MULTILINE)
        for found in FRAGMENT.finditer(page.read_text(encoding="utf-8"))
    ]


def test_every_block_is_run_by_test_that_exists() -> None:
    marks = [
        (re.sub(r"^\s*<!-- ([\w-]+)\b.*", r"\1", found["mark"]), path.relative_to(ROOT).as_posix())
        for path in DOCUMENTS
        for found in BLOCK.finditer(path.read_text(encoding="utf-8"))
    ]

    assert [(mark, page) for mark, page in marks if mark not in RUN_BY] == []
    assert {mark for mark, _ in marks} == set(RUN_BY)
    assert [path for path in RUN_BY.values() if not (ROOT / path).is_file()] == []


def test_every_page_with_fragments_is_looked_at() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in DOCUMENTS if fragments_of(path)} == set(
        PAGES
    )


def test_targets_that_documents_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    named = {
        word
        for path in DOCUMENTS
        for command in commands_of(path, "make")
        for word in command.split()[1:]
        if re.fullmatch(r"[a-z][a-z0-9-]*", word)
    }

    assert "demo" in named
    assert named <= targets


def test_commands_that_documents_name_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    refused = []
    commands = [each for path in DOCUMENTS for each in commands_of(path, "workpool")]
    for command in commands:
        try:
            make_parser().parse_args(shlex.split(command)[1:])
        except SystemExit:
            refused.append((command, capsys.readouterr().err))

    assert len(commands) > 20
    assert refused == []


@pytest.mark.parametrize("page", PAGES)
def test_fragments_of_page_run_one_after_another(page: str) -> None:
    with LocalCloud(clock="virtual") as cloud:
        pool = Deploying(cloud, "pages")
        names = {"__name__": "page", "pool": pool, "context": lambda_context("caller")}
        names |= {"timedelta": timedelta} | PAGES[page](pool)
        for code in fragments_of(ROOT / page):
            exec(compile(code, page, "exec"), names)  # noqa: S102 - the documents' own code is what is tested
        cloud.run_until_idle(raise_failures=True)
    TaskPool.shared().done()
