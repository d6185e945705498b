"""A table with three pools to look at, and the dashboard over it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from unittest.mock import patch

import jinja2
import pytest
from starlette.applications import Starlette

from tests.kit.asgi import Client
from tests.kit.browser import Browser
from tests.kit.functions import echo
from workpool_aws import Workpool
from workpool_aws.dashboard import dashboard_app, render
from workpool_aws.local import LocalCloud

HOSTILE = "<script>alert(1)</script>\x1b[31m \u202e'; DROP"
SECRET = "hunter2-<i>"
OWN = {"sec-fetch-site": "same-origin"}


def refuse(event: dict[str, int], _: object) -> None:
    raise PermissionError(f"user {event['n']} may not {HOSTILE}")


def crash(event: dict[str, int], _: object) -> None:
    raise MemoryError("no room")


class Compiled(jinja2.BytecodeCache):
    """Keeps the templates' code for all dashboards of a process; by itself each compiles them anew."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Have every dashboard of these tests share its templates' code."""
    environment = partial(jinja2.Environment, bytecode_cache=Compiled())
    with patch.object(render, "Environment", environment):
        yield


@dataclass(frozen=True)
class Scene:
    """A table, its busy pool, and what there is to find in it."""

    cloud: LocalCloud
    pool: Workpool
    good: str
    bad: list[str]
    late: str
    stuck: str

    def app(self, *, read_only: bool = False) -> Starlette:
        """Return a dashboard of the table."""
        ports = self.cloud._ports_of(self.cloud.table)
        return dashboard_app(self.cloud.table, read_only=read_only, ports=ports)

    def client(self, *, read_only: bool = False) -> Client:
        """Return a browser that says that a page of the dashboard made its requests."""
        return Client(self.app(read_only=read_only), base_url="http://localhost:8765", headers=OWN)


def scene_in(cloud: LocalCloud) -> Scene:
    """Fill the pools, and return what there is."""
    pool, paused = cloud.workpool("email", max_parallelism=4), cloud.workpool("paused")

    @pool.action
    def send_email(secret: str) -> str:
        return f"sent {secret}"

    cloud.function(send_email)
    bad, worse = cloud.function(refuse, name="bad"), cloud.function(crash, name="worse")
    good = send_email.enqueue(None, secret=SECRET)
    failed = pool.enqueue_action_batch(None, bad, [{"n": n} for n in range(4)])
    failed += pool.enqueue_action_batch(None, worse, [{}])
    half = cloud.function(lambda event, _: 1 / event["n"], name="half")
    paused.enqueue_group(
        None,
        half,
        [{"n": n} for n in (2, 0, 1)],
        group_id="album",
        on_complete=cloud.function(echo, name="album-done"),
    )
    cloud.run_until_idle()
    late = pool.enqueue_action(None, cloud.function(echo), {}, run_after=timedelta(hours=1))
    pool.schedule(None, "report", worse, {}, cron="30 6 * * MON-FRI")
    paused.configure(None, paused=True)
    stuck = paused.enqueue_action(None, "echo", {})
    paused.enqueue_group(None, "echo", [{}] * 2, group_id="nightly")
    return Scene(cloud, pool, good, failed, late, stuck)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with LocalCloud() as cloud:
        yield scene_in(cloud)


@pytest.fixture(scope="module")
def shared_scene() -> Iterator[Scene]:
    with LocalCloud() as cloud:
        yield scene_in(cloud)


@pytest.fixture
def seen(shared_scene: Scene) -> Iterator[Scene]:
    """A scene of several tests, none of which may change it."""
    before = written(shared_scene)
    yield shared_scene
    assert written(shared_scene) == before


def written(scene: Scene) -> int:
    """Return the write units that were ever used."""
    return scene.cloud.capacity.write_units


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser of all tests in one."""
    with Browser() as browser:
        yield browser
