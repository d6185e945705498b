"""Nothing of what users put into work items leaves by a side door: whole runs under faults, and every stream of them searched."""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import OnCompleteEvent, RetryPolicy, StoreUnavailable, UsageError, Workpool
from workpool_aws.cli.main import main
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Fault, Faults

pool = Workpool("secrets")

ARGUMENT, RESULT, CONTEXT, RAISED, SHOWN = (
    "sk-argument-4111",
    "sk-result-4222",
    "sk-context-4333",
    "sk-raised-4444",
    "sk-repr-4555",
)
PLANTED = (ARGUMENT, RESULT, CONTEXT, RAISED, SHOWN)
RATES = {
    Fault.SERVER_ERROR: 0.04,
    Fault.WRITE_LOST: 0.04,
    Fault.ANSWER_LOST: 0.04,
    Fault.THROTTLED: 0.02,
    Fault.CRASH_AFTER: 0.01,
}
SEEDS = range(3)


class Token:
    def __repr__(self) -> str:
        return SHOWN


@pool.action
def works(password: str) -> dict[str, str]:
    return {"token": RESULT, "for": password}


@pool.action
def fails(password: str) -> None:
    raise ValueError(RAISED + password)


@pool.action
def returns_what_is_no_json(password: str) -> object:
    return {"token": Token(), "for": password}


@pool.action
def takes_a_number(password: int) -> None:
    raise AssertionError("a text is no number, so this is never called")


@pool.on_complete
def told(event: OnCompleteEvent) -> None:
    assert event.context == {"customer": CONTEXT}


HANDLERS = (works, fails, returns_what_is_no_json, takes_a_number)


def run_all(cloud: LocalCloud) -> list[str]:
    """Every kind of work item, run under faults to its end; their ids."""
    own = cloud.workpool("secrets", max_parallelism=3)
    end = cloud.function(told, name="told")
    ids: list[str] = []
    for handler in HANDLERS:
        fn = cloud.function(handler)
        for retry in (None, RetryPolicy(max_attempts=2, initial_backoff=timedelta(seconds=1))):
            for _ in range(3):
                try:
                    args, context = {"password": ARGUMENT}, {"customer": CONTEXT}
                    ids.append(
                        own.enqueue_action(
                            None, fn, args, retry=retry, on_complete=end, context=context
                        )
                    )
                except StoreUnavailable as error:
                    sys.stderr.write(f"{error}\n")
    cloud.run_until_idle(timeout=timedelta(days=2))
    return ids


def nonces_in(event: Any) -> list[str]:
    own = event.get("_workpool") if isinstance(event, dict) else None
    return [own["nonce"]] if isinstance(own, dict) and isinstance(own.get("nonce"), str) else []


def test_streams_of_run_have_nothing_of_users_payloads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKPOOL_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("WORKPOOL_POOL", "secrets")
    carried = 0
    for seed in SEEDS:
        faults = Faults(rates=RATES, budget=80, until=timedelta(minutes=10))
        with LocalCloud(
            engine="memory", seed=seed, faults=faults, lost_deliveries=0.05, lost_destinations=0.1
        ) as cloud:
            ids = run_all(cloud)
            invocations = [
                one for handler in (*HANDLERS, told) for one in cloud.invocations(handler)
            ]
            logged_by_lambda = [one.error or "" for one in invocations]
            secrets = {*PLANTED, *(nonce for one in invocations for nonce in nonces_in(one.event))}
            with suppress(SystemExit):
                for argv in (
                    ["ls", "--wide"],
                    ["ls", "--json"],
                    ["pools"],
                    ["stats"],
                    *(["show", one] for one in ids[:6]),
                ):
                    main([*argv, "--table", cloud.table])
        said = capsys.readouterr()
        carried += sum("ReportNotWritten" in line for line in logged_by_lambda)
        log = "\n".join(
            line
            for line in said.out.splitlines()
            if line.startswith("{") and '"service":"workpool"' in line
        )
        shown = "\n".join(line for line in said.out.splitlines() if line not in log)
        assert log
        assert shown
        # What an exception says stands in the error of its work item, which `ls` and `show` are
        # there to show; nowhere else.
        for secret in secrets:
            assert secret not in log, f"seed {seed}: in a log record"
            assert secret not in "\n".join(logged_by_lambda), (
                f"seed {seed}: in what Lambda logs of an exception"
            )
            assert secret not in said.err, f"seed {seed}: on stderr"
        for secret in secrets - {RAISED, ARGUMENT}:
            assert secret not in shown, f"seed {seed}: in an answer of the command line"
    assert carried > 0, (
        "no report had to be carried: the faults are too few for this test to show anything"
    )


@pytest.mark.parametrize(
    "mistake",
    [
        lambda own: own.enqueue_action(None, "f", {}, context={"password": ARGUMENT}),
        lambda own: own.enqueue_action(None, {"password": ARGUMENT}, "f"),
        lambda own: own.enqueue_action({"password": ARGUMENT}, "f", {}),
        lambda own: own.enqueue_action(None, "f", {}, on_complete={"password": ARGUMENT}),
        lambda own: own.enqueue_action_batch(None, "f", {"password": ARGUMENT}),
        lambda own: own.enqueue_action(None, "f", [{"password": ARGUMENT}]),
        lambda own: own.enqueue_action(None, "f", {"_workpool": ARGUMENT}),
    ],
    ids=[
        "no target",
        "in the target's place",
        "in the context's place",
        "in the callback's place",
        "no list",
        "a list",
        "reserved",
    ],
)
def test_refusals_quote_no_payload(mistake: Callable[[Any], object]) -> None:
    """A caller that does not catch it has it in its log."""
    with LocalCloud(engine="memory") as cloud, pytest.raises(UsageError) as refused:
        mistake(cloud.workpool("secrets"))
    assert ARGUMENT not in str(refused.value)
