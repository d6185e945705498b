"""Lean calls: the requests that a busy loop makes thousands of times, past most of botocore's Python.

A third of the CPU of an ordinary call remains: botocore still resolves the credentials, signs the
request and sends it over its own connections, but no model validates the parameters, serializes the
request or parses the answer. Subscribers of `before-send` are still asked, so that what stands in
for AWS in tests stands in here, too.

Only the answers that the protocol expects are read here. Any other (an error, a damaged answer, no
answer at all) goes to the ordinary client: it repeats the request, with its own pauses, and its
error is the one that callers see. A repeated write may meet the effect of the first, as after any
repetition by the SDK.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from zlib import crc32

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from workpool_aws.adapters.aws.sdk_errors import SDK_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.awsrequest import AWSResponse
    from botocore.client import BaseClient
    from botocore.credentials import Credentials
    from botocore.httpsession import URLLib3Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient

__all__ = ["TRACE_HEADER", "LeanDynamoDB", "LeanLambda", "Transport", "transport_of"]

TRACE_HEADER: Final = "X-Amzn-Trace-Id"

_OK: Final = 200
_ACCEPTED: Final = 202
_UNRESERVED: Final = "-._~"
_CALLABLE: Final = re.compile(r"[A-Za-z0-9:_.$-]{1,170}")
"""Names and ARNs of functions that Lambda's API takes. Any other is for the ordinary client."""
_BAD_REQUEST: Final = 400
_EXPECTED_REFUSALS: Final = frozenset(
    {"ConditionalCheckFailedException", "TransactionCanceledException"}
)
_REFUSAL_DETAILS: Final = ("Item", "CancellationReasons")


class Transport:
    """Signs requests and sends them over the connections of a client."""

    def __init__(
        self,
        client: BaseClient,
        http: URLLib3Session,
        credentials: Callable[[], Credentials | None],
    ) -> None:
        """`credentials` are asked for with every request, since they change."""
        meta = client.meta
        self._url = meta.endpoint_url.rstrip("/")
        self._events = meta.events
        self._service = meta.service_model.service_id.hyphenize()
        self._signing_name = meta.service_model.signing_name
        self._region = meta.region_name
        self._user_agent = f"{getattr(meta.config, 'user_agent', '')} workpool-lean"
        self._http = http
        self._credentials = credentials

    def post(
        self, operation: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> AWSResponse | None:
        """Return the answer. `None` means that there are no credentials; nothing was sent."""
        credentials = self._credentials()
        if credentials is None:
            return None
        request = AWSRequest(
            "POST", self._url + path, {"User-Agent": self._user_agent, **headers}, body
        )
        SigV4Auth(credentials.get_frozen_credentials(), self._signing_name, self._region).add_auth(
            request
        )
        prepared = request.prepare()
        answers = self._events.emit(f"before-send.{self._service}.{operation}", request=prepared)
        response: AWSResponse | None = next(
            (answer for _handler, answer in answers if answer is not None), None
        )
        return self._http.send(prepared) if response is None else response


def transport_of(
    client: BaseClient, credentials: Callable[[], Credentials | None]
) -> Transport | None:
    """Return a transport over a client's connections.

    `None` means that this version of botocore keeps them elsewhere, or that the client does not
    sign by version 4: it is to be used as it is.
    """
    http = getattr(getattr(client, "_endpoint", None), "http_session", None)
    if http is None or getattr(client.meta.config, "signature_version", None) != "v4":
        return None
    return Transport(client, http, credentials)


class LeanDynamoDB:
    """The requests of a store, with the answers and errors of the ordinary client."""

    def __init__(self, client: DynamoDBClient, transport: Transport) -> None:
        """`client` repeats what this one cannot do."""
        self._client = client
        self._transport = transport

    def get_item(self, **request: Any) -> Any:
        """As the client's."""
        return self._call("GetItem", request) or self._client.get_item(**request)

    def batch_get_item(self, **request: Any) -> Any:
        """As the client's."""
        return self._call("BatchGetItem", request) or self._client.batch_get_item(**request)

    def query(self, **request: Any) -> Any:
        """As the client's."""
        return self._call("Query", request) or self._client.query(**request)

    def put_item(self, **request: Any) -> Any:
        """As the client's."""
        return self._call("PutItem", request) or self._client.put_item(**request)

    def update_item(self, **request: Any) -> Any:
        """As the client's."""
        return self._call("UpdateItem", request) or self._client.update_item(**request)

    def delete_item(self, **request: Any) -> Any:
        """As the client's."""
        return self._call("DeleteItem", request) or self._client.delete_item(**request)

    def transact_write_items(self, **request: Any) -> Any:
        """As the client's. `request` names its ClientRequestToken, or a repetition could apply it twice."""
        answer = self._call("TransactWriteItems", request)
        return answer or self._client.transact_write_items(**request)

    def _call(self, operation: str, request: Mapping[str, object]) -> dict[str, Any] | None:
        """Return the answer, or `None` for one that the ordinary client has to get.

        Raises ClientError for a condition that did not hold.
        """
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        }
        try:
            body = json.dumps(request, separators=(",", ":"), default=_base64).encode()
            response = self._transport.post(operation, "/", headers, body)
            return None if response is None else _read(response, operation)
        except ClientError:
            raise
        except SDK_ERRORS:
            return None


class LeanLambda:
    """Asynchronous Invokes, with the answers and errors of the ordinary client."""

    def __init__(
        self,
        client: LambdaClient,
        transport: Transport,
        *,
        trace: Callable[[], str],
        repeats: bool,
    ) -> None:
        """`trace` returns the trace header of one Invoke.

        `client` makes every other request. With `repeats` it also repeats an Invoke that was not
        accepted; without, nothing does, since a second Invoke may be a second start.
        """
        self._client = client
        self._transport = transport
        self._trace = trace
        self._repeats = repeats

    def invoke(self, **request: Any) -> Any:
        """As the client's, of asynchronous Invokes."""
        name = request["FunctionName"]
        if _CALLABLE.fullmatch(name) is None:
            return self._client.invoke(**request)  # it refuses what no function is called
        path = f"/2015-03-31/functions/{quote(name, safe=_UNRESERVED)}/invocations"
        headers = {
            "X-Amz-Invocation-Type": request["InvocationType"],
            TRACE_HEADER: self._trace(),
        }
        try:
            response = self._transport.post("Invoke", path, headers, request["Payload"])
            if response is None:
                return self._client.invoke(**request)  # says why there are no credentials
            return _accepted(response)
        except SDK_ERRORS:
            if not self._repeats:
                raise
            return self._client.invoke(**request)

    def __getattr__(self, name: str) -> Any:
        """Any other request is the client's."""
        return getattr(self._client, name)


def _read(response: AWSResponse, operation: str) -> dict[str, Any] | None:
    """Return the answer, or `None` for one that is not to be read here.

    Raises ClientError for a condition that did not hold.
    """
    if response.status_code not in (_OK, _BAD_REQUEST):
        return None
    content = response.content
    headers = {name.lower(): value for name, value in response.headers.items()}
    if not _is_whole(content, headers.get("x-amz-crc32")):
        return None
    # Binary values are rare (the ledger's alone), and a hook is called for every value.
    answer: Any = json.loads(content, object_hook=_binary if b'"B"' in content else None)
    if response.status_code == _OK:
        return {**answer, "ResponseMetadata": {"HTTPHeaders": headers}}
    code = str(answer.get("__type", "")).rpartition("#")[2]
    if code not in _EXPECTED_REFUSALS:
        return None
    details = {name: answer[name] for name in _REFUSAL_DETAILS if name in answer}
    refusal: Any = {**_parsed("json", response), **details}
    raise ClientError(refusal, operation)


def _accepted(response: AWSResponse) -> dict[str, Any]:
    """Return the answer to an Invoke. Raises ClientError for any but "accepted"."""
    if response.status_code != _ACCEPTED:
        raise ClientError(_parsed("rest-json", response), "Invoke")
    return {"StatusCode": response.status_code}


def _parsed(protocol: str, response: AWSResponse) -> Any:
    """Return an error as botocore's generic parser reads it."""
    answer = {
        "headers": response.headers,
        "status_code": response.status_code,
        "body": response.content,
    }
    parse: Any = create_parser(protocol).parse  # an error needs no shape
    return parse(answer, None)


def _is_whole(content: bytes, checksum: str | None) -> bool:
    """True if the checksum that DynamoDB sends fits, or if none was sent."""
    return checksum is None or checksum == str(crc32(content))


def _base64(value: object) -> str:
    """Return binary data as JSON carries it. Raises TypeError for anything else."""
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is no JSON")
    return base64.b64encode(value).decode()


def _binary(value: dict[str, Any]) -> dict[str, Any]:
    """Return an attribute's value with its binary data decoded."""
    text = value.get("B")
    if len(value) == 1 and isinstance(text, str):
        return {"B": base64.b64decode(text, validate=True)}
    return value
