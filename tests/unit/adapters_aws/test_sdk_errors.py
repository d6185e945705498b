"""Whatever AWS's SDK or its configuration raises, wherever it raises it, reaches the user as an error of this package."""

from __future__ import annotations

import contextlib
import inspect
import string
import warnings
from datetime import timedelta

import boto3
import boto3.exceptions
import botocore.exceptions
import pytest
import urllib3.exceptions
from botocore.parsers import ResponseParserError
from moto import mock_aws

from workpool_aws import Workpool
from workpool_aws.adapters.aws import clients as aws
from workpool_aws.adapters.aws.clients import aws_ports, session_of
from workpool_aws.adapters.dynamodb.answers import TryAgain, translated
from workpool_aws.errors import StoreUnavailable, UsageError, WorkpoolError
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import LoopRequest
from workpool_aws.ports import (
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    StoreDenied,
    TimerUnavailable,
)
from workpool_aws.settings import Settings

SECRET = "hunter2"


def made_of(kind):
    """An error of a class, whatever its template wants to know."""
    if issubclass(kind, botocore.exceptions.ClientError):
        return kind({"Error": {"Code": "SomethingNew", "Message": "no\x1b[31m"}}, "GetItem")
    template = getattr(kind, "fmt", None)
    if template is None:
        return kind("text")
    names = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    names |= {
        name
        for name, one in inspect.signature(kind).parameters.items()
        if one.kind is one.POSITIONAL_OR_KEYWORD
    }
    return kind(**dict.fromkeys(names, "some\x1b[31m"))


SDK = [
    kind
    for _, kind in sorted(vars(botocore.exceptions).items())
    if inspect.isclass(kind)
    and issubclass(kind, Exception)
    and not issubclass(kind, Warning)
    and kind.__module__ == "botocore.exceptions"
]
ERRORS = [made_of(kind) for kind in SDK] + [
    boto3.exceptions.Boto3Error("text"),
    ResponseParserError("unable to parse"),
    ValueError("Invalid endpoint: x"),
    FileNotFoundError(2, "No such file", "/token"),
    PermissionError(13, "Permission denied"),
    ConnectionResetError(),
    TimeoutError(),
    EOFError(),
    RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
    urllib3.exceptions.HTTPError("text"),
    urllib3.exceptions.LocationParseError("nowhere"),
    urllib3.exceptions.ProxySchemeUnknown("ftp"),
    urllib3.exceptions.SSLError("certificate verify failed"),
    urllib3.exceptions.ProtocolError("Connection aborted."),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
    AttributeError(
        "'list' object has no attribute 'get'"
    ),  # a credential process that answers with a list
    IndexError("list index out of range"),  # an empty credential_process
    KeyError("11f6ad8e"),  # a cached token that is no JSON
    TypeError("sequence item 0: expected str instance, int found"),  # a key id that is a number
]


def faults_of(check):
    """Return the faults that a check finds in errors, by the types of these."""
    faults = {}
    for error in ERRORS:
        try:
            check(error)
        except (AssertionError, pytest.fail.Exception) as fault:
            faults[type(error).__name__] = f"{type(fault).__name__}: {fault}"
    return faults


def raising(error):
    def act(*_, **__):
        raise error

    return act


class Client:
    """Every call of it raises."""

    def __init__(self, error):
        self.__dict__["error"] = error
        self.meta = type(
            "Meta",
            (),
            {"events": type("Events", (), {"register_first": staticmethod(lambda *_: None)})},
        )

    def __getattr__(self, name):
        return raising(self.error)


class Session:
    """Its clients raise; or the making of them does."""

    region_name = "eu-west-1"

    def __init__(self, error, *, making):
        self.error, self.making = error, making

    def client(self, *_, **__):
        if self.making:
            raise self.error
        return Client(self.error)


def is_one_sentence_of_ours(error):
    text = str(error)
    assert isinstance(error, WorkpoolError)
    assert text.isprintable()
    assert len(text) < 1_500
    return True


def everything_of(pool):
    target = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    return [
        lambda: pool.enqueue_action(None, target, {}),
        lambda: pool.enqueue_action_batch(None, target, [{}] * 3, run_after=timedelta(1)),
        lambda: pool.status(None, "01KDVDNA00EZ2YE4WMTY1PFSQ0"),
        lambda: pool.result(None, "01KDVDNA00EZ2YE4WMTY1PFSQ0"),
        lambda: pool.cancel(None, "01KDVDNA00EZ2YE4WMTY1PFSQ0"),
        lambda: pool.cancel_all(None),
        lambda: pool.list(None),
        lambda: pool.redrive(None, "01KDVDNA00EZ2YE4WMTY1PFSQ0"),
        lambda: pool.redrive_all(None),
        lambda: pool.configure(None, paused=True),
        lambda: pool.config(None),
        lambda: pool.stats(None),
    ]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("workpool_aws.adapters.system.SystemClock.sleep", lambda *_: None)


def test_error_of_making_session_is_ours(monkeypatch):
    def check(error):
        monkeypatch.setattr(boto3, "Session", raising(error))
        with pytest.raises(WorkpoolError) as caught:
            aws_ports("t-1", settings=Settings())
        assert is_one_sentence_of_ours(caught.value)

    assert faults_of(check) == {}


@pytest.mark.parametrize("making", [True, False], ids=["making", "calling"])
def test_error_of_session_or_call_is_ours(making):
    def check(error):
        pool = Workpool("t-1", session=Session(error, making=making))
        for act in everything_of(pool):
            with pytest.raises(WorkpoolError) as caught:
                act()
            assert is_one_sentence_of_ours(caught.value)

    assert faults_of(check) == {}


@pytest.mark.parametrize("making", [True, False], ids=["making", "calling"])
def test_other_ports_answer_in_their_own_errors(making, monkeypatch):
    monkeypatch.setattr(aws.DynamoStore, "get", lambda *_: None)

    def check(error):
        session = Session(error, making=False)
        ports = aws_ports(
            "t-1",
            session,
            settings=Settings(loop_arn="arn:l", schedule_group="g", scheduler_role_arn="arn:r"),
        )
        session.making = making
        order = LoopRequest(table="t-1", pool="p", generation=None)
        with pytest.raises((InvokeThrottled, InvokeRefused, InvokeUnanswered)):
            ports.invoker.start_loop("arn:aws:lambda:eu-west-1:123456789012:function:f", order)
        with pytest.raises(TimerUnavailable):
            ports.timer.wake_at("p", EpochMs(5))
        with contextlib.suppress(TimerUnavailable):
            ports.timer.forget("p")
        assert ports.invoker.limits("f").timeout_ms == 900_000

    assert faults_of(check) == {}


def test_check_that_fails_for_an_error_names_it():
    def check(error):
        if isinstance(error, EOFError):
            pytest.fail("no")
        assert not isinstance(error, KeyError)

    assert set(faults_of(check)) == {"EOFError", "KeyError"}


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (botocore.exceptions.NoRegionError(), UsageError, "region must be given, in AWS_REGION"),
        (
            botocore.exceptions.InvalidRegionError(region_name="x y"),
            UsageError,
            "region must be the name of an AWS region",
        ),
        (
            botocore.exceptions.ProfileNotFound(profile="p"),
            UsageError,
            "profile must be one of the AWS config",
        ),
        (
            botocore.exceptions.ConfigParseError(path="/c", error="x"),
            UsageError,
            "AWS config file must be one that boto3 can read",
        ),
        (
            botocore.exceptions.PartialCredentialsError(provider="env", cred_var="s"),
            UsageError,
            "credentials must be a key id and its secret",
        ),
        (ValueError("Invalid endpoint: x"), UsageError, "AWS configuration must be"),
        (FileNotFoundError(2, "No such file", "/t"), UsageError, "AWS configuration must be"),
        (
            botocore.exceptions.CredentialRetrievalError(provider="p", error_msg="m"),
            StoreUnavailable,
            "renew the credentials",
        ),
        (botocore.exceptions.UnauthorizedSSOTokenError(), StoreUnavailable, "log in again"),
        (botocore.exceptions.NoCredentialsError(), StoreUnavailable, "give credentials by a role"),
    ],
)
def test_client_that_cannot_be_made_says_what_to_do(error, kind, words):
    with pytest.raises(kind) as caught:
        aws_ports("t-1", Session(error, making=True), settings=Settings())
    assert words in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (botocore.exceptions.NoCredentialsError(), "give credentials by a role"),
        (botocore.exceptions.SSLError(endpoint_url="u", error="e"), "AWS_CA_BUNDLE"),
        (botocore.exceptions.ProxyConnectionError(proxy_url="u"), "HTTPS_PROXY"),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="u"),
            "look at the region, the endpoint and the network",
        ),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="u"), "try again"),
        (PermissionError(13, "Permission denied"), "files that the AWS configuration names"),
    ],
)
def test_call_without_answer_says_what_to_do(error, words):
    told = translated(error, "t-1")
    assert isinstance(told, StoreUnavailable)
    assert "table 't-1': no answer from DynamoDB" in str(told)
    assert words in str(told)


@pytest.mark.parametrize(
    ("code", "message", "kind", "words"),
    [
        (
            "ValidationException",
            "Cannot read from backfilling global secondary index: dead_letters",
            StoreUnavailable,
            "still being filled",
        ),
        (
            "ValidationException",
            "The provided key element does not match the schema",
            UsageError,
            "it is no workpool table",
        ),
        (
            "ValidationException",
            "One or more parameter values were invalid: Missing the key id in the item",
            UsageError,
            "no workpool table",
        ),
        (
            "ValidationException",
            "Query condition missed key schema element: id",
            UsageError,
            "no workpool table",
        ),
        (
            "ValidationException",
            "Type mismatch for key pk expected: N actual: S",
            UsageError,
            "no workpool table",
        ),
        (
            "ValidationException",
            "Item size has exceeded the maximum",
            UsageError,
            "request must be one that DynamoDB takes",
        ),
        (
            "ResourceNotFoundException",
            "Requested resource not found",
            StoreUnavailable,
            "does not exist in this account and region",
        ),
        (
            "AccessDeniedException",
            "User is not authorized",
            StoreDenied,
            "dynamodb:GetItem is not allowed with these credentials: grant it",
        ),
        ("ExpiredTokenException", "expired", StoreUnavailable, "renew them"),
        (
            "UnrecognizedClientException",
            "The security token is invalid",
            StoreUnavailable,
            "renew them",
        ),
        ("ThrottlingException", "slow", StoreUnavailable, "try again"),
    ],
)
def test_refusal_of_dynamodb_says_what_to_do(code, message, kind, words):
    error = botocore.exceptions.ClientError(
        {"Error": {"Code": code, "Message": message}}, "GetItem"
    )
    told = translated(error, "jobs")
    assert type(told) is kind
    assert words in str(told)
    assert "jobs" in str(told)


def test_foreign_table_is_named_in_transaction_too():
    reasons = [
        {
            "Code": "ValidationError",
            "Message": "The provided key element does not match the schema",
        },
        {"Code": "None"},
    ]
    error = botocore.exceptions.ClientError(
        {
            "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
            "CancellationReasons": reasons,
        },
        "TransactWriteItems",
    )
    assert "it is no workpool table" in str(translated(error, "jobs"))


def test_invalid_parameters_are_not_quoted():
    client = boto3.client(
        "dynamodb", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with pytest.raises(botocore.exceptions.ParamValidationError) as caught:
        client.get_item(TableName="t", Key=SECRET)
    assert SECRET in str(caught.value)
    assert SECRET not in str(translated(caught.value, "t"))


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1"])
def test_aws_region_is_honoured(region, monkeypatch):
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_REGION", region)
    for session in (None, boto3.Session()):
        assert aws_ports("t-1", session).store._client().meta.region_name == region


def test_aws_region_beats_default_region_and_sessions_own_region_beats_both(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert aws_ports("t-1").store._client().meta.region_name == "eu-west-1"
    assert (
        aws_ports("t-1", boto3.Session(region_name="ap-south-1")).store._client().meta.region_name
        == "ap-south-1"
    )


def test_profile_that_does_not_exist_is_ours(monkeypatch):
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(
        UsageError,
        match=r"^profile must be one of the AWS config or credentials file; got ProfileNotFound: .*nope",
    ):
        session_of(profile="nope")


@pytest.mark.parametrize("session", ["x", 5, object(), boto3, boto3.Session, {"client": 1}])
def test_what_is_no_session_is_refused_when_pool_is_made(session):
    with pytest.raises(
        UsageError, match=r"^session must be a boto3\.Session, or None \(boto3's own choice\); got "
    ):
        Workpool("t-1", session=session)


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "a b",
        "f\n",
        "arn:aws:sqs:us-east-1:123456789012:q",
        "x" * 65,
        5,
        "arn:aws:lambda:x",
        "a/b",
        b"f",
    ],
)
def test_target_that_can_be_no_function_is_refused(junk):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pool = Workpool("t-1")
    for act in (lambda: pool.list(None, fn=junk), lambda: pool.redrive_all(None, fn=junk)):
        with pytest.raises(
            UsageError,
            match=r"^fn must be None \(any\), a decorated function, the name of a job, or the name or ARN",
        ):
            act()


@pytest.mark.parametrize(
    "keys",
    [
        [("id", "S", "HASH")],
        [("id", "S", "HASH"), ("at", "N", "RANGE")],
        [("pk", "S", "HASH")],
        [("PK", "S", "HASH"), ("SK", "S", "RANGE")],
    ],
)
def test_foreign_table_is_recognized(keys, session):
    with mock_aws():
        session.client("dynamodb").create_table(
            TableName="foreign",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind} for name, kind, _ in keys
            ],
            KeySchema=[{"AttributeName": name, "KeyType": role} for name, _, role in keys],
        )
        pool = Workpool("foreign", session=session)
        for act in everything_of(pool):
            with pytest.raises(WorkpoolError) as caught:
                act()
            assert isinstance(caught.value, UsageError), caught.value
            assert "it is no workpool table" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("TransactionConflict", True),
        ("ThrottlingError", True),
        ("ProvisionedThroughputExceeded", True),
        ("ValidationError", False),
        ("ItemCollectionSizeLimitExceeded", False),
        ("AccessDenied", False),
        ("OfAYearToCome", False),
    ],
)
def test_only_known_reasons_of_a_canceled_transaction_are_worth_another_try(code, again):
    reasons = [{"Code": "None"}, {"Code": code, "Message": "because"}]
    error = botocore.exceptions.ClientError(
        {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons},
        "TransactWriteItems",
    )
    told = translated(error, "jobs", guests={1: "orders"})
    if again:
        assert told is TryAgain.CONFLICT
    else:
        assert isinstance(told, UsageError)
        assert f"table 'orders': {code}: because" in str(told)
