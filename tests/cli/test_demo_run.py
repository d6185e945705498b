"""The demo from end to end: a pool on this machine opens real models."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NoReturn

import pytest
from botocore.exceptions import EndpointConnectionError

from workpool_aws.cli.demo import run as demo
from workpool_aws.cli.demo.report import DemoReport, Progress
from workpool_aws.cli.demo.run import RETRY, DemoOptions, items_of, run_demo
from workpool_aws.cli.demo.worker import PAUSE_MAX, PAUSE_MIN, Fate, fate_of, open_model
from workpool_aws.cli.main import main
from workpool_aws.errors import StoreUnavailable
from workpool_aws.local import LocalCloud, LocalCloudError

SERVICES = ["dynamodb", "lambda", "s3", "sns", "sqs", "sts"]
OPTIONS = DemoOptions(parallelism=3, fail_rate=0.3, seed=1, engine="memory", clock="virtual")


def run(options: DemoOptions, services: list[str]) -> tuple[DemoReport, list[Progress]]:
    seen: list[Progress] = []
    report = run_demo(options, items_of(options, services), seen.append)
    return report, seen


def designed(options: DemoOptions, service: str) -> list[Fate]:
    """The fates of a service's attempts, to its end."""
    fates: list[Fate] = []
    for attempt in range(1, RETRY.max_attempts + 1):
        fates.append(
            fate_of(service, lap=0, attempt=attempt, seed=options.seed, fail_rate=options.fail_rate)
        )
        if fates[-1] is not Fate.FAILS:
            break
    return fates


# On the real clock backoffs take time: these services have a failure and retries as well.
@pytest.mark.parametrize(
    ("clock", "services"),
    [("real", ["dynamodb", "lambda", "s3"]), ("virtual", SERVICES)],
    ids=["real", "virtual"],
)
def test_every_work_reaches_end_that_design_foretells(
    clock: Literal["real", "virtual"], services: list[str]
) -> None:
    options = replace(OPTIONS, clock=clock)
    foretold = {service: designed(options, service) for service in services}
    count = len(services)

    report, seen = run(options, services)

    assert report.ok
    assert (report.items, report.finished) == (count, count)
    assert report.retries
    assert report.failures
    assert report.attempts == sum(map(len, foretold.values()))
    assert [failure.service for failure in report.failures] == sorted(
        s for s, fates in foretold.items() if fates[-1] is not Fate.WORKS
    )
    assert 1 <= report.usage.max_concurrency <= 3
    assert (seen[-1].done, seen[-1].running, seen[-1].pending, seen[-1].retries) == (
        count,
        0,
        0,
        report.retries,
    )


def test_results_are_those_of_models() -> None:
    report, _ = run(replace(OPTIONS, fail_rate=0.0), SERVICES)

    assert [one.service for one in report.largest][:3] == ["s3", "lambda", "dynamodb"]
    assert all(one.shapes > one.operations > 5 for one in report.largest)
    assert report.failures == ()
    assert report.retries == 0


def test_run_ends_every_work_though_every_attempt_fails() -> None:
    report, _ = run(replace(OPTIONS, fail_rate=1.0), SERVICES)

    assert report.ok
    assert (report.finished, report.succeeded, report.failed) == (6, 0, 6)
    assert {failure.error_type for failure in report.failures} <= {
        "ServiceOutage",
        "NonRetryableError",
    }


def test_run_in_virtual_time_repeats() -> None:
    first, again = (run(OPTIONS, SERVICES)[0] for _ in range(2))

    assert first == again


def test_action_costs_units() -> None:
    report, _ = run(OPTIONS, SERVICES)

    assert report.write_units_per_action is not None
    assert report.write_units_per_action >= 4
    assert report.read_units_per_action is not None
    assert report.read_units_per_action > 0


def raising(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


def test_pool_that_comes_to_halt_is_reported_not_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LocalCloud, "run_until_idle", raising(LocalCloudError("6 unfinished")))

    report, _ = run(OPTIONS, SERVICES)

    assert (report.ok, report.problem, report.finished) == (False, "6 unfinished", 0)
    assert report.seconds == 0


def test_engine_that_does_not_answer_is_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        demo, "LocalCloud", raising(EndpointConnectionError(endpoint_url="http://db:8000"))
    )

    with pytest.raises(StoreUnavailable, match=r"^engine http://db:8000: Could not connect"):
        run(replace(OPTIONS, engine="http://db:8000"), SERVICES)


def test_error_of_display_is_raised_not_lost() -> None:
    with pytest.raises(BrokenPipeError):
        run_demo(OPTIONS, items_of(OPTIONS, SERVICES), raising(BrokenPipeError()))


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_command_runs_on_its_own_engines(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["demo", "--items", "6", "--engine", engine, "--clock", "virtual", "--json"])

    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 0
    assert said["ok"] is True
    assert (said["items"], said["finished"], said["engine"], said["limit"]) == (6, 6, engine, 8)


def test_slots_are_kept_busy() -> None:
    options = replace(OPTIONS, items=40, parallelism=4, fail_rate=0)
    mean_s = (PAUSE_MIN + PAUSE_MAX).total_seconds() / 2

    report, _ = run(options, ["sns", "sqs", "sts"])  # small models

    assert report.usage.max_concurrency == 4
    assert report.seconds < 40 * mean_s / 4 * 1.4


def test_worker_is_ordinary_function_underneath() -> None:
    assert open_model.function.__name__ == "open_model"
