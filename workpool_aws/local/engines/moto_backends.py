"""Moto: loaded and started when something is first asked of it, one for all clouds of a process, without data when they are left."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.local.apis.dynamodb_tokens import dynamodb_error
from workpool_aws.local.apis.http import Reply
from workpool_aws.local.apis.interception import is_aws, replaced
from workpool_aws.local.engines.moto_speed import spared
from workpool_aws.local.kernel.kernel import LocalCloudError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

__all__ = ["EXTRA", "MotoBackends"]

EXTRA: Final = "workpool-aws[local]"

_SNAPSHOT_MAX: Final = 100
"""Items of one TransactGetItems. moto's own bound is the one that AWS had until 2022."""
_Answer = tuple[int, Mapping[str, Any], str | bytes]


class MotoBackends:
    """moto's services. moto has no locks, so it serves one request at a time."""

    def __init__(
        self, answer: Callable[[AWSPreparedRequest], Reply], passes: Callable[[], bool]
    ) -> None:
        """`answer` gets what moto's own hook in botocore would take, but in threads for which `passes` is true."""
        self._answer = answer
        self._passes = passes
        self._serving = threading.RLock()
        self._undo = ExitStack()
        self._ask: Callable[[AWSPreparedRequest], _Answer | None] | None = None
        self._started = False

    @property
    def started(self) -> bool:
        """True once something was asked of it since the clouds were entered."""
        return self._started

    def take_over(self) -> None:
        """Take over the hook of a moto that user code loaded, which answers before anything else in botocore does."""
        if self._ask is None and "moto.core.models" in sys.modules:
            with self._serving:
                self._replace_hook()

    def start(self) -> None:
        """Let it serve from now on. Raises LocalCloudError: it is not installed."""
        with self._serving:
            if self._started:
                return
            try:
                from moto import mock_aws
                from moto.dynamodb import responses
            except ImportError as error:
                needs = f"engine 'moto', and boto3 in any LocalCloud, need moto: install {EXTRA}"
                raise LocalCloudError(needs) from error
            self._replace_hook()
            self._undo.enter_context(mock_aws())
            self._undo.enter_context(spared())
            self._undo.enter_context(replaced(responses, "TRANSACTION_MAX_ITEMS", _SNAPSHOT_MAX))
            self._started = True

    def stop(self) -> None:
        """Serve no longer, and forget all data."""
        with self._serving:
            self._undo.close()
            self._ask, self._started = None, False

    def ask(self, prepared: AWSPreparedRequest) -> Reply | None:
        """Return its answer; `None` means that it knows no such service.

        Raises LocalCloudError: it is not installed.
        """
        self.start()
        with self._serving:
            answer = self._asked(prepared)
        if answer is None:
            return None
        status, headers, body = answer
        return Reply(
            status,
            body.encode() if isinstance(body, str) else body,
            {name: str(value) for name, value in headers.items()},
        )

    def _asked(self, prepared: AWSPreparedRequest) -> _Answer | None:
        if self._ask is None:
            return None
        try:
            return self._ask(prepared)
        except ValueError as error:
            # moto's parser of conditions answers so, where DynamoDB says what it is.
            if "dynamodb" not in (prepared.url or ""):
                raise
            reply = dynamodb_error("ValidationException", f"Invalid ConditionExpression: {error}")
            return reply.status, reply.headers, reply.body

    def _replace_hook(self) -> None:
        if self._ask is not None:
            return
        from moto.core.models import botocore_stubber

        self._ask = botocore_stubber.process_request
        self._undo.enter_context(replaced(botocore_stubber, "process_request", self._hook))

    def _hook(self, prepared: AWSPreparedRequest) -> _Answer | None:
        if self._ask is not None and (self._passes() or not is_aws(prepared.url)):
            return self._ask(prepared)
        reply = self._answer(prepared)
        return reply.status, reply.headers, reply.body
