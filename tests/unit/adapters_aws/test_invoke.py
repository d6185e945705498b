"""Calls to Lambda: what each answer means, fresh traces, and the limits of a target."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest
from botocore import exceptions as sdk
from botocore.credentials import Credentials

from workpool_aws.adapters.aws.clients import CLIENT_CONFIGS
from workpool_aws.adapters.aws.invoke import (
    LambdaInvoker,
    answer_of,
    fresh_trace,
    start_fresh_traces,
    was_never_sent,
)
from workpool_aws.adapters.aws.lean import LeanLambda, transport_of
from workpool_aws.adapters.telemetry import ListTelemetry
from workpool_aws.adapters.wire.assignment import assignment_from_wire
from workpool_aws.adapters.wire.loop import request_from_wire
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.events import LimitsDenied
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.messages import Assignment, LoopRequest
from workpool_aws.model.spec import Kind
from workpool_aws.ports import FunctionLimits, InvokeRefused, InvokeThrottled, InvokeUnanswered

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:send"
URL = "https://lambda.eu-west-1.amazonaws.com"
UPPER_BOUND = FunctionLimits(timeout_ms=900_000, event_age_ms=21_600_000)
ORDER = LoopRequest(table="t-1", pool="email", generation=5)


def assignment(*, claimed):
    return Assignment(
        table="t-1",
        pool="email",
        work_id=WorkId(make_id(EpochMs(1_700_000_000_000), random_bits=7)),
        start=1,
        attempts_made=0,
        kind=Kind.ACTION,
        retry=None,
        claimed=claimed,
        retention_s=None,
        start_by=EpochMs(1_700_000_100_000),
    )


@pytest.fixture
def again():
    """Requests that the retrying client sent."""
    return []


def text_of(header):
    return header.decode() if isinstance(header, bytes) else header


@pytest.fixture(params=[False, True], ids=["ordinary", "lean"])
def is_lean(request):
    """True if Invokes are lean calls."""
    return request.param


@pytest.fixture
def invoker(is_lean, session, client_of, far, again, clock, entropy, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)

    def as_asked(client, *, repeats):
        start_fresh_traces(client, clock, entropy)
        if not is_lean:
            return client
        return LeanLambda(
            client,
            transport_of(client, Credentials("key", "secret"), clock),
            trace=lambda: fresh_trace(clock, entropy),
            repeats=repeats,
        )

    @cache
    def retrying():
        client = far.listen(session.client("lambda", config=CLIENT_CONFIGS["lambda-retrying"]))
        client.meta.events.register_first("before-send", lambda request, **_: again.append(request))
        return as_asked(client, repeats=True)

    once = as_asked(client_of("lambda"), repeats=False)
    return LambdaInvoker(lambda: once, retrying, clock)


def test_start_is_one_event_with_assignment(invoker, far):
    invoker.start_work(f"{ARN}:live", assignment(claimed=False), '{"b":1.0,"a":"ü"}')
    [request] = far.requests
    assert text_of(request.headers["X-Amz-Invocation-Type"]) == "Event"
    assert request.url.endswith(
        "/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Asend%3Alive/invocations"
    )
    assert request.body.startswith('{"b":1.0,"a":"ü","_workpool":{'.encode())
    assert assignment_from_wire(json.loads(request.body)["_workpool"]) == assignment(claimed=False)


def test_loop_gets_its_order(invoker, far):
    invoker.start_loop(ARN, ORDER)
    assert [request_from_wire(body) for body in far.bodies] == [ORDER]
    assert text_of(far.requests[0].headers["X-Amz-Invocation-Type"]) == "Event"


def test_sdk_repeats_claimed_starts_alone(invoker, far, again, is_lean):
    far.default = (500, {}, "ServiceException")
    for send in (
        lambda: invoker.start_loop(ARN, ORDER),
        lambda: invoker.start_work("f", assignment(claimed=False), "{}"),
    ):
        far.requests.clear()
        with pytest.raises(InvokeUnanswered):
            send()
        assert (len(far.requests), len(again)) == (1, 0)
    far.requests.clear()
    with pytest.raises(InvokeUnanswered):
        invoker.start_work("f", assignment(claimed=True), "{}")
    # A lean call comes before those of the ordinary client.
    tries = 3 if is_lean else 2
    assert (len(far.requests), len(again)) == (tries, tries)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "TooManyRequestsException"),
        (429, "SomethingNew"),
        (400, "ThrottlingException"),
        (503, "ServiceUnavailableException"),
        (503, ""),
        (502, "EC2ThrottledException"),
        (502, "ENILimitReachedException"),
        (502, "SubnetIPAddressLimitReachedException"),
        (408, "SnapStartTimeoutException"),
        (403, "ExpiredTokenException"),
        (403, "InvalidSignatureException"),
        (403, "UnrecognizedClientException"),
    ],
)
def test_throttled_event_may_be_tried_again(invoker, far, answer_with, status, code):
    far.answers = [answer_with(status, code)]
    with pytest.raises(InvokeThrottled):
        invoker.start_work("f", assignment(claimed=False), "{}")


@pytest.mark.parametrize(
    ("status", "code", "lasting"),
    [
        (413, "RequestTooLargeException", True),
        (413, "", True),
        (400, "InvalidRequestContentException", True),
        (400, "InvalidParameterValueException", True),
        (415, "UnsupportedMediaTypeException", True),
        (404, "ResourceNotFoundException", False),
        (403, "AccessDeniedException", False),
        (409, "ResourceConflictException", False),
        (409, "CodeArtifactUserPendingException", False),
        (400, "RecursiveInvocationException", False),
        (502, "KMSDisabledException", False),
        (502, "KMSInvalidStateException", False),
        (502, "KMSAccessDeniedException", False),
        (502, "KMSNotFoundException", False),
        (502, "InvalidSubnetIDException", False),
        (502, "InvalidZipFileException", False),
        (418, "SomethingNew", False),
    ],
)
def test_refused_event_was_not_taken(invoker, far, answer_with, status, code, lasting):
    far.answers = [answer_with(status, code)]
    with pytest.raises(InvokeRefused) as caught:
        invoker.start_work("f", assignment(claimed=False), "{}")
    assert caught.value.lasting is lasting
    assert f"because of {code}" in caught.value.reason


def refusal_of(code, status):
    return sdk.ClientError(
        {
            "Error": {"Code": code, "Message": "no"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "Invoke",
    )


NOT_TAKEN = [
    "TooManyRequestsException",
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "SlowDown",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "EC2ThrottledException",
    "ENILimitReachedException",
    "ENINotReadyException",
    "SubnetIPAddressLimitReachedException",
    "ResourceNotReadyException",
    "SnapStartTimeoutException",
    "SnapStartNotReadyException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
]
NEVER_TAKEN = [
    "RequestTooLargeException",
    "SerializedRequestEntityTooLargeException",
    "InvalidRequestContentException",
    "InvalidParameterValueException",
    "UnsupportedMediaTypeException",
    "ValidationException",
    "RequestEntityTooLargeException",
]
SET_UP_BADLY = [
    "KMSDisabledException",
    "EC2AccessDeniedException",
    "InvalidRuntimeException",
    "InvalidSecurityGroupIDException",
    "InvalidSubnetIDException",
    "InvalidZipFileException",
]


@pytest.mark.parametrize("status", [400, 499, 502])
def test_code_means_same_with_any_status(status):
    assert [type(answer_of(refusal_of(code, status))) for code in NOT_TAKEN] == [
        InvokeThrottled
    ] * len(NOT_TAKEN)
    refused = [answer_of(refusal_of(code, status)) for code in NEVER_TAKEN]
    assert [(type(each), each.lasting) for each in refused] == [(InvokeRefused, True)] * len(
        refused
    )
    badly = [answer_of(refusal_of(code, status)) for code in SET_UP_BADLY]
    assert [(type(each), each.lasting) for each in badly] == [(InvokeRefused, False)] * len(badly)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (412, InvokeRefused),
        (413, InvokeRefused),
        (428, InvokeRefused),
        (429, InvokeThrottled),
        (430, InvokeRefused),
        (499, InvokeRefused),
        (500, InvokeUnanswered),
        (502, InvokeUnanswered),
        (503, InvokeThrottled),
        (504, InvokeUnanswered),
    ],
)
def test_unknown_code_means_what_its_status_does(status, meaning):
    answer = answer_of(refusal_of("SomethingNew", status))

    assert type(answer) is meaning
    assert getattr(answer, "lasting", status == 413) == (status == 413)


def test_error_that_says_nothing_is_refusal():
    answer = answer_of(sdk.ClientError({}, "Invoke"))

    assert (type(answer), answer.lasting) == (InvokeRefused, False)


@pytest.mark.parametrize(
    ("error", "never"),
    [
        (sdk.NoCredentialsError(), True),
        (StoreUnavailable("no client"), True),
        (sdk.ReadTimeoutError(endpoint_url=URL), False),
        (ValueError("else"), False),
    ],
)
def test_call_that_failed_before_it_was_sent_is_known(error, never):
    assert was_never_sent(error) is never


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, "ServiceException"),
        (500, {}, ""),
        (502, {}, "EC2UnexpectedException"),
        (504, {}, ""),
        sdk.ReadTimeoutError(endpoint_url=URL),
        sdk.ConnectionClosedError(endpoint_url=URL),
        sdk.SSLError(endpoint_url=URL, error="unexpected eof"),
        sdk.HTTPClientError(error="broken"),
    ],
    ids=str,
)
def test_event_without_clear_answer_may_have_been_taken(invoker, far, answer):
    far.answers = [answer]
    with pytest.raises(InvokeUnanswered):
        invoker.start_work("f", assignment(claimed=False), "{}")


@pytest.mark.parametrize(
    "error",
    [
        sdk.ConnectTimeoutError(endpoint_url=URL),
        sdk.EndpointConnectionError(endpoint_url=URL),
        sdk.ProxyConnectionError(proxy_url=URL),
        sdk.NoCredentialsError(),
        sdk.CredentialRetrievalError(provider="x", error_msg="y"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_event_that_was_never_sent_may_be_tried_again(invoker, far, error):
    far.answers = [error]
    with pytest.raises(InvokeThrottled):
        invoker.start_work("f", assignment(claimed=False), "{}")


def test_arguments_that_are_no_object_are_refused_for_good_unsent(invoker, far):
    with pytest.raises(InvokeRefused) as caught:
        invoker.start_work("f", assignment(claimed=False), "[1]")
    assert (caught.value.lasting, far.requests) == (True, [])


def test_target_that_no_function_can_be_called_is_refused_for_good_unsent(invoker, far):
    with pytest.raises(InvokeRefused) as caught:
        invoker.start_work("", assignment(claimed=False), "{}")
    assert (caught.value.lasting, far.requests) == (True, [])


def test_every_invoke_begins_trace_of_its_own(invoker, far, monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "loop")
    monkeypatch.setenv(
        "_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=15:a1b2c3d4:14"
    )
    invoker.start_work("f", assignment(claimed=False), "{}")
    invoker.start_work("f", assignment(claimed=True), "{}")
    invoker.start_loop(ARN, ORDER)
    traces = [text_of(request.headers["X-Amzn-Trace-Id"]) for request in far.requests]
    assert [
        re.fullmatch(r"Root=1-6955b900-[0-9a-f]{24}", trace) is not None for trace in traces
    ] == [True] * 3
    assert len(set(traces)) == 3


class AllOnes:
    """Chance whose bits are all set."""

    def bits(self, count):
        return (1 << count) - 1


def test_trace_has_second_and_96_bits(session, far, clock):
    client = far.listen(session.client("lambda", config=CLIENT_CONFIGS["lambda"]))
    start_fresh_traces(client, clock, AllOnes())
    LambdaInvoker(lambda: client, lambda: client, clock).start_loop(ARN, ORDER)
    assert far.requests[0].headers["X-Amzn-Trace-Id"] == b"Root=1-6955b900-" + b"f" * 24
    assert b" " not in far.requests[0].body


def configured(timeout_s, age_s):
    """Lambda's answers to the two questions about a target's limits."""
    return [
        (200, {"Timeout": timeout_s}, ""),
        (200, {} if age_s is None else {"MaximumEventAgeInSeconds": age_s}, ""),
    ]


@pytest.mark.parametrize(
    ("target", "paths"),
    [
        ("send", ["/functions/send/configuration", "/functions/send/event-invoke-config"]),
        (
            "send:live",
            [
                "/functions/send/configuration?Qualifier=live",
                "/functions/send/event-invoke-config?Qualifier=live",
            ],
        ),
        (
            "123456789012:function:send:7",
            [
                "/functions/123456789012%3Afunction%3Asend/configuration?Qualifier=7",
                "/functions/123456789012%3Afunction%3Asend/event-invoke-config?Qualifier=7",
            ],
        ),
        (
            "function:live",
            [
                "/functions/function/configuration?Qualifier=live",
                "/functions/function/event-invoke-config?Qualifier=live",
            ],
        ),
        (
            ARN,
            [
                "/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Asend/configuration",
                "/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Asend/event-invoke-config",
            ],
        ),
        (
            f"{ARN}:$LATEST",
            [
                "/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Asend/configuration?Qualifier=%24LATEST",
                "/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Asend/event-invoke-config?Qualifier=%24LATEST",
            ],
        ),
    ],
)
def test_limits_are_those_of_very_version_or_alias(invoker, far, target, paths):
    far.answers = configured(30, 120)
    assert invoker.limits(target) == FunctionLimits(timeout_ms=30_000, event_age_ms=120_000)
    assert [
        re.sub(r"^https://[^/]+/\d{4}-\d\d-\d\d", "", request.url) for request in far.requests
    ] == paths


@pytest.mark.parametrize(
    "second",
    [(404, {}, "ResourceNotFoundException"), (200, {}, "")],
    ids=["none", "without an age"],
)
def test_target_without_event_age_has_lambdas_own(invoker, far, clock, second):
    far.answers = [(200, {"Timeout": 3}, ""), second]
    expected = FunctionLimits(timeout_ms=3_000, event_age_ms=21_600_000)
    assert invoker.limits("send") == expected
    clock.sleep(299_999)
    assert invoker.limits("send") == expected
    assert len(far.requests) == 2


def test_limits_are_asked_again_after_five_minutes(invoker, far, clock):
    far.answers = configured(30, 120) + configured(60, 60)
    assert invoker.limits("send").timeout_ms == 30_000
    clock.sleep(299_999)
    assert invoker.limits("send").timeout_ms == 30_000
    clock.sleep(1)
    assert invoker.limits("send").timeout_ms == 60_000
    assert len(far.requests) == 4


def test_limits_of_two_targets_are_kept_apart(invoker, far):
    far.answers = configured(30, 120) + configured(60, 60)
    assert [invoker.limits(name).timeout_ms for name in ("send", "send:live", "send")] == [
        30_000,
        60_000,
        30_000,
    ]


class StubLambda:
    """Lambda below an invoker, without the SDK between: what it says of any function, and how often it was asked."""

    def __init__(self, configuration=None):
        self.asked = []
        self.configuration = {} if configuration is None else configuration

    def get_function_configuration(self, FunctionName, **_):  # noqa: N803 - boto3's
        self.asked.append(FunctionName)
        if isinstance(self.configuration, Exception):
            raise self.configuration
        return self.configuration

    def get_function_event_invoke_config(self, **_):
        return {}


def test_limits_are_kept_for_thousand_functions(clock):
    client = StubLambda()
    invoker = LambdaInvoker(lambda: client, lambda: client, clock)
    for n in range(1_000):
        invoker.limits(f"f{n}")
    invoker.limits("f0")
    assert len(client.asked) == 1_000

    invoker.limits("f1000")
    invoker.limits("f0")
    assert client.asked[1_000:] == ["f1000", "f0"]


def test_missing_permissions_are_told_for_thousand_functions(clock):
    denied = refusal_of("AccessDenied", 403)
    client, told = StubLambda(denied), ListTelemetry()
    invoker = LambdaInvoker(lambda: client, lambda: client, clock, telemetry=told)
    for n in range(1_001):
        invoker.limits(f"f{n}")
    assert [fact.target for fact in told.events] == [f"f{n}" for n in range(1_000)]
    assert {(fact.pool, fact.error) for fact in told.events} == {("", str(denied))}


def test_missing_permission_without_log_is_passed_over(clock):
    client = StubLambda(refusal_of("AccessDenied", 403))
    assert LambdaInvoker(lambda: client, lambda: client, clock).limits("f") == UPPER_BOUND


def test_limit_that_lambda_leaves_out_is_upper_bound(clock):
    client = StubLambda()
    invoker = LambdaInvoker(lambda: client, lambda: client, clock)
    assert invoker.limits("f") == UPPER_BOUND
    assert not invoker.acknowledges("f")


@pytest.mark.parametrize(
    ("handler", "own"),
    [("workpool_aws.handlers.main_loop.handler", True), ("app.workpool_aws.handlers.", False)],
)
def test_function_of_library_is_known_by_its_handler(clock, handler, own):
    client = StubLambda({"Handler": handler})
    assert LambdaInvoker(lambda: client, lambda: client, clock).limits("f").own is own


def test_limits_stay_those_of_clock_that_was_set_back_little(clock):
    """Set back behind the moment of the answer, they are asked for again."""
    client = StubLambda()
    invoker = LambdaInvoker(lambda: client, lambda: client, clock)
    for shift in (0, 0, -1):
        clock.at += shift
        invoker.limits("f")
    assert len(client.asked) == 2


COMPLETION = ARN.replace("send", "completion")
MARK = {"Environment": {"Variables": {"WORKPOOL_DECORATED": "1", "SECRET": "hidden"}}}
REPORTS_FAILURES = {"DestinationConfig": {"OnFailure": {"Destination": COMPLETION}}}


@pytest.mark.parametrize(
    ("configuration", "events", "claims"),
    [
        (MARK, REPORTS_FAILURES, True),
        ({}, REPORTS_FAILURES, False),
        ({"Environment": {"Variables": {"WORKPOOL_DECORATED": "0"}}}, REPORTS_FAILURES, False),
        (
            {"Environment": {"Error": {"ErrorCode": "AccessDeniedException"}}},
            REPORTS_FAILURES,
            False,
        ),
        (MARK, {}, False),
        (MARK, {"DestinationConfig": {"OnFailure": {"Destination": ARN}}}, False),
        (
            MARK,
            {
                "DestinationConfig": {
                    key: {"Destination": COMPLETION} for key in ("OnSuccess", "OnFailure")
                }
            },
            False,
        ),
    ],
    ids=[
        "marked",
        "not marked",
        "marked as not",
        "not told",
        "no destinations",
        "another's destination",
        "undecorated's destinations",
    ],
)
def test_function_is_known_to_claim_by_mark_and_destinations_together(
    invoker, far, clock, configuration, events, claims
):
    """[WP-5] Destinations alone may be a mistake, and an unclaimed start of such a function would run again and again."""
    asking = LambdaInvoker(invoker._client, invoker._retrying_client, clock, lambda: COMPLETION)
    far.answers = [
        (200, {"Timeout": 3, **configuration}, ""),
        (200, {"MaximumEventAgeInSeconds": 60, **events}, ""),
    ]

    assert asking.limits("send") == FunctionLimits(
        timeout_ms=3_000, event_age_ms=60_000, claims=claims
    )
    assert asking.acknowledges("send") == claims
    assert "hidden" not in repr(vars(asking))


@pytest.mark.parametrize(
    "failure",
    [
        [(404, {}, "ResourceNotFoundException")],
        [(403, {}, "AccessDeniedException")],
        [(429, {}, "TooManyRequestsException")] * 2,
        [sdk.ReadTimeoutError(endpoint_url=URL)] * 2,
        [sdk.EndpointConnectionError(endpoint_url=URL)] * 2,
        [(200, {"Timeout": 3}, ""), (403, {}, "AccessDeniedException")],
    ],
    ids=["gone", "forbidden", "throttled", "unanswered", "unreachable", "half"],
)
def test_limits_that_lambda_does_not_tell_are_upper_bound_for_minute(invoker, far, clock, failure):
    far.answers = failure + configured(30, 120)
    assert invoker.limits("send") == UPPER_BOUND
    clock.sleep(59_999)
    assert invoker.limits("send") == UPPER_BOUND
    clock.sleep(1)
    assert invoker.limits("send") == FunctionLimits(timeout_ms=30_000, event_age_ms=120_000)


def test_clock_that_was_set_back_does_not_keep_limits_for_ever(invoker, far, clock):
    far.answers = configured(30, 120) + configured(60, 60)
    invoker.limits("send")
    clock.at -= 3_600_000
    assert invoker.limits("send").timeout_ms == 60_000


def test_limits_of_nameless_target_are_upper_bound(invoker, far):
    assert invoker.limits("") == UPPER_BOUND
    assert far.requests == []


DENIED = (
    403,
    {"message": "not authorized to perform: lambda:GetFunctionConfiguration"},
    "AccessDeniedException",
)


@pytest.fixture
def told():
    return ListTelemetry()


@pytest.fixture
def listing(invoker, clock, told):
    """An invoker of a deployment that lists `told` as acknowledging; `fails` makes that list unreadable."""

    class Listing:
        fails = False
        reads = 0

        def listed(self):
            self.reads += 1
            if self.fails:
                raise StoreUnavailable("no answer")
            return ("told",)

    listing = Listing()
    listing.invoker = LambdaInvoker(
        invoker._client,
        invoker._retrying_client,
        clock,
        acknowledging=listing.listed,
        telemetry=told,
    )
    return listing


@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
def test_missing_permission_is_reported_once_for_each_function(listing, far, clock, told, code):
    far.default = (*DENIED[:2], code)
    for target in ("send", "send", "other"):
        assert listing.invoker.limits(target) == UPPER_BOUND
        clock.at += 3_600_000

    assert [(fact.target, fact.grant) for fact in told.of(LimitsDenied)] == [
        ("send", "lambda:GetFunctionConfiguration, lambda:GetFunctionEventInvokeConfig"),
        ("other", "lambda:GetFunctionConfiguration, lambda:GetFunctionEventInvokeConfig"),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}, "ResourceNotFoundException"),
        (429, {}, "TooManyRequestsException"),
        (500, {}, "ServiceException"),
    ],
)
def test_other_trouble_with_limits_is_no_missing_permission(listing, far, told, answer):
    far.default = answer
    assert listing.invoker.limits("send") == UPPER_BOUND
    assert told.events == []


@pytest.mark.parametrize(
    ("target", "fails", "acknowledges"),
    [
        ("told", False, True),
        ("told:live", False, True),
        ("send", False, False),
        ("told", True, False),
    ],
)
def test_listed_function_acknowledges_whatever_may_be_read_of_it(
    listing, far, target, fails, acknowledges
):
    far.default = DENIED
    listing.fails = fails

    assert (listing.invoker.acknowledges(target), listing.invoker.limits(target).claims) == (
        acknowledges,
        False,
    )


def test_listed_function_whose_destinations_say_nothing_acknowledges_and_is_not_taken_to_claim(
    listing, far
):
    far.default = (200, {"Timeout": 3, "MaximumEventAgeInSeconds": 60}, None)
    assert listing.invoker.limits("told") == FunctionLimits(
        timeout_ms=3_000, event_age_ms=60_000, claims=False
    )
    assert listing.invoker.acknowledges("told")


def test_list_is_read_once_in_five_minutes_and_what_was_known_outlives_trouble(listing, far, clock):
    far.default = (200, {"Timeout": 3, "MaximumEventAgeInSeconds": 60}, None)
    listing.invoker.acknowledges("told")
    listing.fails = True
    kept = listing.invoker.acknowledges("told")
    clock.at += 300_000

    assert (kept, listing.invoker.acknowledges("told"), listing.reads) == (True, True, 2)


def test_list_is_kept_to_end_of_its_five_minutes_and_read_again_when_time_runs_back(
    listing, far, clock
):
    far.default = (200, {"Timeout": 3, "MaximumEventAgeInSeconds": 60}, None)
    reads = []
    for shift in (0, 0, 299_999, 1, -1):
        clock.at += shift
        listing.invoker.acknowledges("told")
        reads.append(listing.reads)
    assert reads == [1, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AccessDenied", True),
        ("AccessDeniedException", True),
        ("AuthorizationError", True),
        ("AuthorizationErrorException", True),
        ("ResourceNotFoundException", False),
    ],
)
def test_target_that_was_not_added_is_refused_with_what_to_do(code: str, hint: bool) -> None:
    error = sdk.ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}},
        "Invoke",
    )

    meant = answer_of(error)

    assert isinstance(meant, InvokeRefused)
    assert ("add_action" in meant.reason) == hint
    assert not meant.lasting


MANAGED = {
    "CapacityProviderConfig": {
        "LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": "arn"}
    }
}


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        (MANAGED, "Lambda Managed Instances, which do not end code at its timeout"),
        (
            {"DurableConfig": {"ExecutionTimeout": 3_600}},
            "is durable: an execution outlives its timeout",
        ),
        ({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}, "isolates tenants"),
    ],
)
def test_function_whose_starts_cannot_be_followed_is_refused_for_good_unsent(
    invoker, far, configuration, says
):
    far.answers = [
        (200, {"Timeout": 30, **configuration}, ""),
        (200, {"MaximumEventAgeInSeconds": 60}, ""),
    ]
    assert says in (invoker.limits("send").unfit or "")
    with pytest.raises(InvokeRefused, match=says) as refused:
        invoker.start_work("send", assignment(claimed=True), "{}")
    assert refused.value.lasting
    assert len(far.requests) == 2


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {"CapacityProviderConfig": {}},
        {"SnapStart": {"ApplyOn": "PublishedVersions"}},
        {"TenancyConfig": {}},
        {"TenancyConfig": None},
    ],
)
def test_other_features_of_lambda_keep_no_function_from_work(invoker, far, configuration):
    far.answers = [
        (200, {"Timeout": 30, **configuration}, ""),
        (200, {"MaximumEventAgeInSeconds": 60}, ""),
        (202, {}, ""),
    ]
    assert invoker.limits("send").unfit is None
    invoker.start_work("send", assignment(claimed=True), "{}")
    assert len(far.requests) == 3


@pytest.mark.parametrize(
    ("said", "pools", "may"),
    [
        ("email", {"email"}, True),
        ("billing, email", {"billing", "email"}, True),
        ("billing", {"billing"}, False),
        ("emails", {"emails"}, False),
        ("Email", {"Email"}, False),
        ("*", {"*"}, False),
        (",", {""}, False),
        ("", None, True),
        ("  ", None, True),
        (None, None, True),
    ],
)
def test_function_is_started_for_pools_that_its_deployment_names(invoker, far, said, pools, may):
    variables = {} if said is None else {"Environment": {"Variables": {"WORKPOOL_SERVES": said}}}
    far.answers = [
        (200, {"Timeout": 30, **variables}, ""),
        (200, {"MaximumEventAgeInSeconds": 60}, ""),
        (202, {}, ""),
    ]
    assert invoker.limits("send").serves == pools
    if may:
        invoker.start_work("send", assignment(claimed=True), "{}")
    else:
        with pytest.raises(
            InvokeRefused, match="does not serve pool 'email': name it in WORKPOOL_SERVES"
        ) as refused:
            invoker.start_work("send", assignment(claimed=True), "{}")
        assert refused.value.lasting
    assert len(far.requests) == (3 if may else 2)
