"""Gives every contract test its engines: those in this process, or those that the command line names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from botocore.exceptions import ClientError

from tests.contract.deviations import deviation_of
from tests.contract.engines import (
    ENGINES,
    Engine,
    Table,
    client_of_endpoint,
    client_of_ministack,
    engine_on,
    memory_engine,
    moto_engine,
    table_on,
)
from tests.emulator.server import why_absent
from workpool_aws.ports import Store

# A server that does not answer is no deviation.
IN_PROCESS = ("memory", "moto")
DEVIATIONS_SHOW_AS = (AssertionError, pytest.fail.Exception, ValueError, TypeError, ClientError)

MakeEngine = Callable[[str], AbstractContextManager[Engine]]


def reason_of_absence(config: pytest.Config, engine: str) -> str | None:
    """The reason why an engine is missing here; `None` means that it is there."""
    match engine:
        case "ministack":
            return why_absent()
        case "endpoint" if config.getoption("--dynamodb-endpoint") is None:
            return (
                "no DynamoDB endpoint is named: --dynamodb-endpoint URL, or WORKPOOL_TEST_ENDPOINT"
            )
        case _:
            return None


def engines_for(config: pytest.Config) -> list[str]:
    """The engines of this run."""
    named = config.getoption("--engine")
    for engine in named:
        if engine not in ENGINES:
            raise pytest.UsageError(f"--engine {engine}: there are {', '.join(ENGINES)}")
        reason = reason_of_absence(config, engine)
        if reason is not None:
            raise pytest.UsageError(f"--engine {engine}: {reason}")
    if config.getoption("--dynamodb-endpoint") is not None:
        return named or [*IN_PROCESS, "endpoint"]
    return named or [*IN_PROCESS]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    engines = engines_for(metafunc.config)
    for fixture, left_out in (
        ("engine", ()),
        ("wired", ("memory",)),
        ("other_engine", ("memory",)),
    ):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(
                fixture, [each for each in engines if each not in left_out], indirect=True
            )


@pytest.fixture(scope="session")
def ministack_table(ministack) -> Iterator[Table]:
    with table_on(client_of_ministack(ministack.url)) as table:
        yield table


@pytest.fixture(scope="session")
def endpoint_table(request: pytest.FixtureRequest) -> Iterator[Table]:
    with table_on(client_of_endpoint(request.config.getoption("--dynamodb-endpoint"))) as table:
        yield table


@pytest.fixture
def make_engine(request: pytest.FixtureRequest) -> MakeEngine:
    """Makes an engine of a name, with nothing in its table."""

    @contextmanager
    def on_server(name: str) -> Iterator[Engine]:
        table: Table = request.getfixturevalue(f"{name}_table")
        try:
            yield engine_on(name, table)
        finally:
            table.empty()

    def make(name: str) -> AbstractContextManager[Engine]:
        match name:
            case "memory":
                return memory_engine()
            case "moto":
                return moto_engine()
            case _:
                return on_server(name)

    return make


def expect_deviation(request: pytest.FixtureRequest, engine: str) -> None:
    """Have a test that the table names fail here, or leave it out where whether it fails is luck."""
    known = deviation_of(engine, request.node.originalname)
    if known is None:
        return
    if known.varies:
        pytest.skip(f"{engine}: {known.what}")
    request.applymarker(
        pytest.mark.xfail(reason=f"{engine}: {known.what}", strict=True, raises=DEVIATIONS_SHOW_AS)
    )


@pytest.fixture
def engine(request: pytest.FixtureRequest, make_engine: MakeEngine) -> Iterator[Engine]:
    expect_deviation(request, request.param)
    with make_engine(request.param) as made:
        yield made


@pytest.fixture
def wired(request: pytest.FixtureRequest, make_engine: MakeEngine) -> Iterator[Table]:
    """A table as boto3 sees it, on every engine but the one in memory."""
    expect_deviation(request, request.param)
    with make_engine(request.param) as made:
        assert made.table is not None
        yield made.table


@pytest.fixture
def store(engine: Engine) -> Store:
    return engine.store


@pytest.fixture
def other_engine(request: pytest.FixtureRequest) -> str:
    """The name of an engine to be compared with the one in memory."""
    return request.param
