"""Makes the requests of a busy loop without most of botocore's Python.

A third of the CPU of an ordinary call remains: botocore still resolves the credentials, signs the
request and sends it over its own connections, but no model validates the parameters, serializes the
request or parses the answer. Subscribers of `before-send` still see each request, so a stand-in for
AWS in tests also answers these.

Only the answers that the protocol expects are read here. Any other (an error, a damaged answer, no
answer at all) goes to the ordinary client. It repeats the request, with its own pauses, and callers
see its error. A repeated write may meet the effect of the first, as after any repetition by the
SDK.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from zlib import crc32

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, prepare_request_dict
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from workpool_aws.adapters.aws.sdk_errors import SDK_ERRORS
from workpool_aws.core import limits
from workpool_aws.errors import TimedOut
from workpool_aws.incarnation import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from botocore.awsrequest import AWSResponse
    from botocore.client import BaseClient
    from botocore.credentials import Credentials
    from botocore.httpsession import URLLib3Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient

    from workpool_aws.ports import Clock

__all__ = [
    "TRACE_HEADER",
    "LeanDynamoDB",
    "LeanLambda",
    "Transport",
    "transport_of",
]

TRACE_HEADER: Final = "X-Amzn-Trace-Id"

_OK: Final = 200
_REDIRECTS: Final = 300
_UNRESERVED: Final = "-._~"
_CALLABLE: Final = re.compile(r"[A-Za-z0-9:_.$-]{1,170}")
"""Names and ARNs of functions that Lambda's API takes. Any other is for the ordinary client."""
_BAD_REQUEST: Final = 400
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_EXPECTED_REFUSALS: Final = frozenset(
    {"ConditionalCheckFailedException", "TransactionCanceledException"}
)
_REFUSAL_DETAILS: Final = ("Item", "CancellationReasons")
_MAPS: Final = ("Item", "Attributes", "LastEvaluatedKey", "Responses", "UnprocessedKeys")
_LISTS: Final = ("Items", "CancellationReasons")
"""Members that callers read: maps, and lists of maps. Their values are for the codec to refuse."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Address of an operation, and the region and service that its signature names."""

    url: str
    region: str
    service: str


class Transport:
    """Signs requests and sends them over the connections of a client."""

    def __init__(
        self,
        client: BaseClient,
        http: URLLib3Session,
        credentials: Credentials,
        resolve: Callable[..., tuple[str, Mapping[str, str], object]],
        clock: Clock,
    ) -> None:
        """`resolve` applies the client's rules of endpoints, as botocore's own requests do.

        `clock` ages the connections.
        """
        meta = client.meta
        self._meta = meta
        self._events = meta.events
        self._service = meta.service_model.service_id.hyphenize()
        self._user_agent = f"{getattr(meta.config, 'user_agent', '')} workpool-lean"
        self._http = http
        self._credentials = credentials
        self._resolve = resolve
        self._places: dict[tuple[str, str, str | None], _Place] = {}
        self._clock = clock
        self._used_at = clock.now()
        self._lock = ForkSafeLock()

    def post(
        self,
        operation: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        parameters: Mapping[str, object],
    ) -> AWSResponse:
        """Return the answer. Raises the SDK's errors.

        All requests of one operation and path name the same table, by its name or its ARN.
        """
        credentials = self._credentials.get_frozen_credentials()
        place = self._place(operation, path, getattr(credentials, "account_id", None), parameters)
        request = AWSRequest("POST", place.url, {"User-Agent": self._user_agent, **headers}, body)
        SigV4Auth(credentials, place.service, place.region).add_auth(request)
        prepared = request.prepare()
        answers = self._events.emit(f"before-send.{self._service}.{operation}", request=prepared)
        response: AWSResponse | None = next(
            (answer for _handler, answer in answers if answer is not None), None
        )
        if response is not None:
            return response
        self._drop_old_connections()
        return self._http.send(prepared)

    def _drop_old_connections(self) -> None:
        """Close the connections if none was used for a while.

        A server closes what is idle. An environment that Lambda had frozen does not learn of that,
        and a request on such a connection ends without an answer. botocore's own Invoke takes a new
        connection each time.
        """
        with self._lock:
            now = self._clock.now()
            idle_ms, self._used_at = abs(now - self._used_at), now
            # Longer than any request, so that no other thread is using them.
            if idle_ms > limits.CONNECTION_IDLE_MS_MAX:
                self._http.close()

    def _place(
        self, operation: str, path: str, account: str | None, parameters: Mapping[str, object]
    ) -> _Place:
        """Return the address of an operation. It may depend on the account of the credentials."""
        key = (operation, path, account)
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= limits.ADDRESSES_KEPT_MAX:
                self._places.clear()
            place = self._places[key] = self._find(operation, path, parameters)
        return place

    def _find(self, operation: str, path: str, parameters: Mapping[str, object]) -> _Place:
        meta = self._meta
        context: dict[str, Any] = {"client_region": meta.region_name, "client_config": meta.config}
        model = meta.service_model.operation_model(operation)
        endpoint, _headers, _properties = self._resolve(model, parameters, context)
        signing = context.get("signing", {})
        request: dict[str, Any] = {"url_path": path, "query_string": {}, "headers": {}}
        prepare_request_dict(request, endpoint)
        return _Place(
            request["url"],
            signing.get("region", meta.region_name),
            signing.get("signing_name", meta.service_model.signing_name),
        )


def transport_of(
    client: BaseClient, credentials: Credentials | None, clock: Clock
) -> Transport | None:
    """Return a transport over a client's connections.

    `None` means that the client is to be used as it is. This version of botocore keeps connections
    or rules of endpoints elsewhere, the client does not sign by version 4, or there are no
    credentials.
    """
    http = getattr(getattr(client, "_endpoint", None), "http_session", None)
    resolve = getattr(client, "_resolve_endpoint_ruleset", None)
    signs = getattr(client.meta.config, "signature_version", None) == "v4"
    if http is None or resolve is None or credentials is None or not signs:
        return None
    return Transport(client, http, credentials, resolve, clock)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer of AWS that no model has parsed."""

    response: AWSResponse

    def of_dynamodb(self, operation: str) -> dict[str, Any] | None:
        """Return the answer, or `None` for one that the ordinary client has to get.

        Raises ClientError for a condition that did not hold.
        """
        response = self.response
        if response.status_code not in (_OK, _BAD_REQUEST):
            return None
        content = response.content
        checksum = response.headers.get("x-amz-crc32")
        if checksum is not None and checksum != str(crc32(content)):
            return None
        # Binary values are rare (the ledger's alone), and a hook is called for every value.
        answer: Any = json.loads(content, object_hook=_binary if b'"B"' in content else None)
        if not _is_shaped(answer):
            return None
        if response.status_code == _OK:
            return {**answer, "ResponseMetadata": {"HTTPHeaders": response.headers}}
        code = str(answer.get("__type", "")).rpartition("#")[2]
        if code not in _EXPECTED_REFUSALS:
            return None
        details = {name: answer[name] for name in _REFUSAL_DETAILS if name in answer}
        refusal: Any = {**self._as_error("json"), **details}
        raise ClientError(refusal, operation)

    def of_invoke(self) -> dict[str, Any]:
        """Return the answer to an Invoke. Raises ClientError for any but a success."""
        if not _OK <= self.response.status_code < _REDIRECTS:
            raise ClientError(self._as_error("rest-json"), "Invoke")
        return {"StatusCode": self.response.status_code}

    def _as_error(self, protocol: str) -> Any:
        """Return an error as botocore's generic parser reads it."""
        answer = {
            "headers": self.response.headers,
            "status_code": self.response.status_code,
            "body": self.response.content,
        }
        parse: Any = create_parser(protocol).parse  # an error needs no shape
        return parse(answer, None)


class LeanDynamoDB:
    """The requests of a store, with the answers and errors of the ordinary client."""

    def __init__(self, client: DynamoDBClient, transport: Transport) -> None:
        """`client` repeats the requests that got no usable answer here."""
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
        if answer:
            return answer
        try:
            return self._client.transact_write_items(**request)
        except ClientError as error:
            # The lean request was the first try, and may still land.
            metadata: Any = error.response["ResponseMetadata"]
            metadata["RetryAttempts"] = 1 + metadata.get("RetryAttempts", 0)
            raise

    def transact_get_items(self, **request: Any) -> Any:
        """As the client's."""
        return self._client.transact_get_items(**request)

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
            response = self._transport.post(operation, "/", headers, body, request)
            return _Answer(response).of_dynamodb(operation)
        except (ClientError, TimedOut):
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

        `client` makes every other request. With `repeats` it also repeats an Invoke that was
        throttled, failed or was not answered. Without, nothing does, since a second Invoke may be a
        second start.
        """
        self._client = client
        self._transport = transport
        self._trace = trace
        self._repeats = repeats

    def invoke(self, **request: Any) -> Any:
        """As the client's, of asynchronous Invokes."""
        name = request["FunctionName"]
        if _CALLABLE.fullmatch(name) is None:
            return self._client.invoke(**request)  # it refuses names of no function
        path = f"/2015-03-31/functions/{quote(name, safe=_UNRESERVED)}/invocations"
        headers = {
            "X-Amz-Invocation-Type": request["InvocationType"],
            TRACE_HEADER: self._trace(),
        }
        try:
            response = self._transport.post("Invoke", path, headers, request["Payload"], request)
            return _Answer(response).of_invoke()
        except SDK_ERRORS as error:
            if isinstance(error, TimedOut) or not self._repeats or _is_refusal(error):
                raise
            return self._client.invoke(**request)

    def __getattr__(self, name: str) -> Any:
        """Returns the client's own method for any other request."""
        return getattr(self._client, name)


def _is_refusal(error: Exception) -> bool:
    """True for an answer that the SDK takes as final."""
    if not isinstance(error, ClientError):
        return False
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return _BAD_REQUEST <= status < _SERVER_ERRORS and status != _TOO_MANY


def _is_shaped(answer: Mapping[str, Any]) -> bool:
    """True if callers can read the answer. botocore's parser refuses any other."""
    maps = [answer.get(name, {}) for name in _MAPS]
    lists = [answer.get(name, []) for name in _LISTS]
    if not _are(dict, maps) or not _are(list, lists):
        return False
    lists += answer.get("Responses", {}).values()
    if not all(isinstance(rows, list) and _are(dict, rows) for rows in lists):
        return False
    standing = [reason.get("Item", {}) for reason in answer.get("CancellationReasons", [])]
    return _are(dict, [*standing, *answer.get("UnprocessedKeys", {}).values()])


def _are(kind: type, values: Sequence[object]) -> bool:
    return all(isinstance(value, kind) for value in values)


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
