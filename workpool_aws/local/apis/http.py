"""Requests to AWS and their answers, as the stand-ins for Lambda and Scheduler see them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from http import HTTPStatus

    from botocore.awsrequest import AWSPreparedRequest

__all__ = ["Reply", "Request", "ServiceError", "json_reply"]


class ServiceError(Exception):
    """AWS's answer is an error. Nothing was done."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(
    status: HTTPStatus, body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Reply:
    """Return an answer with a JSON body."""
    return Reply(
        status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request to AWS.

    `service` is the host's first label; DynamoDB's may carry an account, so its target header
    decides.
    """

    service: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, prepared: AWSPreparedRequest) -> Request:
        """Return the request that botocore is about to send."""
        url = urlsplit(prepared.url)
        sent: Iterable[tuple[str, object]] = prepared.headers.items()
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in sent
        }
        is_dynamodb = headers.get("x-amz-target", "").startswith("DynamoDB_")
        return cls(
            service="dynamodb" if is_dynamodb else (url.hostname or "").partition(".")[0],
            method=prepared.method or "",
            path=unquote(url.path),
            query=dict(parse_qsl(url.query)),
            headers=headers,
            body=_bytes(prepared.body),
        )

    @property
    def operation(self) -> str:
        """Name of the operation where a header has it, else method and path."""
        return (
            self.headers.get("x-amz-target", "").rpartition(".")[2] or f"{self.method} {self.path}"
        )

    @property
    def writes(self) -> bool:
        """True if it may change something."""
        if self.service == "dynamodb":
            return not self.operation.startswith(
                ("Get", "Query", "Scan", "BatchGet", "TransactGet", "Describe", "List")
            )
        return self.method != "GET"

    def json(self) -> dict[str, Any]:
        """Return the body's fields, or none where it is no JSON object."""
        try:
            value: object = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def _bytes(body: Any) -> bytes:  # noqa: ANN401 - botocore takes text, bytes and files
    if hasattr(body, "read"):
        content = bytes(body.read())
        body.seek(0)
        return content
    return body.encode() if isinstance(body, str) else bytes(body or b"")
