"""A stand-in for AWS's side of the connection, below boto3: real clients, real requests, no network."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from tests.kit.clocks import CountedEntropy, ManualClock
from workpool_aws.adapters.aws.clients import CLIENT_CONFIGS


class _Body:
    def __init__(self, content):
        self._content = content

    def stream(self):
        return iter([self._content])

    def read(self, *_):
        content, self._content = self._content, b""
        return content


class Far:
    """The other end, which answers each request with the next of `answers`, or with `default`.

    It raises answers that are errors.
    """

    def __init__(self):
        self.requests = []
        self.answers = []
        self.default = (202, {}, "")

    def listen(self, client):
        client.meta.events.register_first("before-send", self._send)
        return client

    def _send(self, request, **_):
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else self.default
        if isinstance(answer, Exception):
            raise answer
        status, body, code = answer
        headers = {"x-amzn-errortype": code} if code else {}
        return AWSResponse(request.url, status, headers, _Body(json.dumps(body).encode()))

    @property
    def bodies(self):
        return [json.loads(request.body or b"null") for request in self.requests]


def refusal(status, code):
    """AWS's answer to a request it does not carry out."""
    return (status, {"Message": f"because of {code}"}, code)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def entropy():
    return CountedEntropy()


@pytest.fixture
def far():
    return Far()


@pytest.fixture(scope="session")
def session():
    # One for all tests: it keeps the service models, which are slow to read.
    return boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1"
    )


@pytest.fixture(scope="session")
def kept_clients(session):
    """Clients of configurations that repeat no request, since making one takes longer than a test.

    One that repeats keeps count of that, and is each test's own.
    """
    return {"lambda": session.client("lambda", config=CLIENT_CONFIGS["lambda"])}


@contextmanager
def borrowed(client):
    """The client, whose events have no handler more at the end than at the beginning."""
    events = client.meta.events
    added = []

    def noting(name, handler):
        added.append((name, handler))
        register_first(name, handler)

    register_first = events.register_first
    with patch.object(events, "register_first", noting):
        yield client
    for name, handler in added:
        events.unregister(name, handler)


@pytest.fixture
def client_of(kept_clients, far):
    """Return the kept client of a configuration, whose requests the far end answers."""
    with ExitStack() as undo:
        yield lambda name: far.listen(undo.enter_context(borrowed(kept_clients[name])))


@pytest.fixture
def answer_with():
    return refusal
