"""Answers in this process what botocore would send to AWS.

The replacement stands in botocore's classes, so it reaches every client, also one that a module
made when it was imported. A process that does not load botocore is not made to: a hook waits for
its import. Requests to an endpoint given by its URL go where they are sent to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from botocore.awsrequest import AWSPreparedRequest

    from workpool_aws.local.apis.http import Reply

__all__ = ["intercepted", "is_aws", "remembering", "replaced"]

_Patch = Callable[[ExitStack], None]

_AWS_DOMAINS: Final = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".api.aws",
    ".on.aws",
    ".api.amazonwebservices.com.cn",
    ".api.amazonwebservices.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".csp.hci.ic.gov",
    ".cloud.adc-e.uk",
)
"""The domains of botocore's partitions."""
_PLACEHOLDER: Final = "local"
_ANSWERS_KEPT: Final = 1_000


def is_aws(url: str) -> bool:
    """True for a URL that leads to AWS itself."""
    return (urlsplit(url).hostname or "").endswith(_AWS_DOMAINS)


@contextmanager
def intercepted(
    answer: Callable[[AWSPreparedRequest], Reply],
    before: Callable[[], None],
    passes: Callable[[], bool],
) -> Iterator[None]:
    """Inside, `answer` stands for AWS, but for requests of threads for which `passes` is true.

    `before` is called before each request, when handlers of botocore's events have not seen it yet.

    boto3's default session is another one inside: it has found the surrounding environment.
    """
    stand_in = _StandIn(answer, before, passes)
    patches: Mapping[str, _Patch] = {
        "botocore.endpoint": stand_in.replace_transport,
        "botocore.signers": stand_in.replace_signatures,
        "botocore.session": _read_services_once,
    }
    with ExitStack() as undo:
        later = {name: patch for name, patch in patches.items() if name not in sys.modules}
        hook = _ImportHook(undo, later)
        sys.meta_path.insert(0, hook)
        undo.callback(sys.meta_path.remove, hook)
        for name in patches.keys() - hook.awaited.keys():
            patches[name](undo)
        undo.enter_context(_another_default_session())
        yield


@contextmanager
def replaced(owner: object, name: str, new: object) -> Iterator[None]:
    """Inside, this attribute is another one."""
    own = name in vars(owner)
    old = getattr(owner, name)
    setattr(owner, name, new)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, old)
        else:
            delattr(owner, name)


@cache
def remembering(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that keeps its latest answers; the same one for all clouds of a process."""
    return lru_cache(_ANSWERS_KEPT)(function)


def _read_services_once(undo: ExitStack) -> None:
    # A cloud has sessions of its own, and reading a service takes longer than most tests.
    from botocore import session

    undo.enter_context(replaced(session, "create_loader", remembering(session.create_loader)))


@contextmanager
def _another_default_session() -> Iterator[None]:
    boto3: Any = sys.modules.get("boto3")
    outside = None if boto3 is None else boto3.DEFAULT_SESSION
    if boto3 is not None:
        boto3.DEFAULT_SESSION = None
    try:
        yield
    finally:
        boto3 = sys.modules.get("boto3")
        if boto3 is not None:
            boto3.DEFAULT_SESSION = outside


@dataclass(frozen=True, slots=True)
class _StandIn:
    """Stands for AWS in botocore's classes. See `intercepted`."""

    answer: Callable[[AWSPreparedRequest], Reply]
    before: Callable[[], None]
    passes: Callable[[], bool]

    def replace_transport(self, undo: ExitStack) -> None:
        """Answer requests, in the last step of botocore that knows the client."""
        from botocore import awsrequest, endpoint

        response: Any = awsrequest.AWSResponse
        transport: Any = endpoint.Endpoint
        make_request, send = transport.make_request, transport._send
        here = self

        def make_request_here(self: Any, *args: Any, **options: Any) -> Any:
            here.before()
            return make_request(self, *args, **options)

        def send_here(self: Any, request: AWSPreparedRequest) -> Any:
            if here.passes() or not is_aws(self.host):
                return send(self, request)
            reply = here.answer(request)
            return response(request.url, reply.status, dict(reply.headers), _Body(reply.body))

        undo.enter_context(replaced(transport, "make_request", make_request_here))
        undo.enter_context(replaced(transport, "_send", send_here))

    def replace_signatures(self, undo: ExitStack) -> None:
        """Sign no request that AWS does not get."""
        from botocore.signers import RequestSigner

        authenticator: Callable[..., Any] = RequestSigner.get_auth_instance
        passes = self.passes

        def authenticator_here(self: Any, *args: Any, **options: Any) -> Any:
            signer = authenticator(self, *args, **options)
            return signer if passes() else _Unsigned(signer)

        undo.enter_context(replaced(RequestSigner, "get_auth_instance", authenticator_here))


class _Unsigned:
    """Names the signer instead of signing, where AWS is not asked.

    A client that was made without credentials works, too.
    """

    def __init__(self, signer: Any) -> None:
        self._signer = signer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._signer, name)

    def add_auth(self, request: Any) -> None:
        from botocore.auth import SigV4Auth
        from botocore.credentials import Credentials

        signer: Any = self._signer
        if type(self._signer) is SigV4Auth and is_aws(request.url):
            key = signer.credentials.access_key if signer.credentials is not None else _PLACEHOLDER
            place = f"{signer._region_name}/{signer._service_name}"
            scope = f"{key}/{datetime.now(UTC):%Y%m%d}/{place}/aws4_request"
            request.headers["Authorization"] = (
                f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
            )
            return
        if getattr(signer, "credentials", self) is None and is_aws(request.url):
            signer.credentials = Credentials(_PLACEHOLDER, _PLACEHOLDER)
        signer.add_auth(request)


class _Body(BytesIO):
    """A body as botocore reads one."""

    def stream(self, **_: object) -> Iterator[bytes]:
        content = self.read()
        if content:
            yield content


class _ImportHook(MetaPathFinder):
    """Changes modules of botocore as soon as they are loaded.

    A module that cannot be changed is not loaded, so nothing gets past it.
    """

    def __init__(self, undo: ExitStack, awaited: Mapping[str, _Patch]) -> None:
        self.awaited = dict(awaited)
        self._undo = undo
        self._finding: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        _path: Sequence[str] | None,
        _target: ModuleType | None = None,
        /,
    ) -> ModuleSpec | None:
        """See MetaPathFinder."""
        if fullname not in self.awaited or fullname in self._finding:
            return None
        self._finding.add(fullname)
        try:
            spec = find_spec(fullname)
        finally:
            self._finding.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader, partial(self.awaited[fullname], self._undo))
        return spec


class _PatchingLoader(Loader):
    """Loads as another loader does, and changes the module then."""

    def __init__(self, loader: Loader, patch: Callable[[], None]) -> None:
        self._loader = loader
        self._patch = patch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """See Loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """See Loader."""
        self._loader.exec_module(module)
        self._patch()
