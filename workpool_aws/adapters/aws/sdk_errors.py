"""Translates errors of AWS's SDK and its configuration into ours, with advice on what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidConfigError,
    InvalidRegionError,
    LoginError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    RefreshWithMFAUnsupportedError,
    SSLError,
    SSOError,
    TokenRetrievalError,
    UndefinedModelAttributeError,
    UnknownCredentialError,
    UnknownEndpointError,
    UnknownFIPSEndpointError,
    UnknownRegionError,
)
from botocore.exceptions import (
    ConnectionError as SdkConnectionError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from workpool_aws.errors import StoreUnavailable, UsageError, WorkpoolError
from workpool_aws.text import NOTHING, Words, as_line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CALL_ERRORS", "NEVER_SENT", "SDK_ERRORS", "advice_for", "described", "made"]

T = TypeVar("T")
Kinds = tuple[type[Exception], ...]

_MISSHAPEN: Final[Kinds] = (AttributeError, LookupError, TypeError)
"""Errors that botocore raises, unguarded, from a credential process, a cache of tokens or a setting
that answers with a value of another shape."""
SDK_ERRORS: Final[Kinds] = (
    BotoCoreError,
    ClientError,
    Boto3Error,
    ResponseParserError,
    UndefinedModelAttributeError,
    # What files of tokens and settings, proxies and endpoints raise through the SDK as it is;
    # RuntimeError: credentials that stay expired.
    HTTPError,
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    *_MISSHAPEN,
)
CALL_ERRORS: Final[Kinds] = (WorkpoolError, *SDK_ERRORS)
"""The errors of a call, with those of making its client."""
_TEXT_MAX: Final = 500

_REGIONS: Final[Kinds] = (
    InvalidRegionError,
    UnknownRegionError,
    UnknownEndpointError,
    UnknownFIPSEndpointError,
)
_ABSENT: Final[Kinds] = (NoCredentialsError, NoAuthTokenError)
_HALF: Final[Kinds] = (PartialCredentialsError, UnknownCredentialError)
_RENEWED: Final[Kinds] = (
    CredentialRetrievalError,
    LoginError,
    MetadataRetrievalError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)
_CREDENTIALS: Final[Kinds] = (*_ABSENT, *_RENEWED)
NEVER_SENT: Final[Kinds] = (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoRegionError,
    ProxyConnectionError,
    *_CREDENTIALS,
    *_HALF,
)
"""The errors that end a call before anything was sent."""

_ADVICE: Final[tuple[tuple[Kinds, str], ...]] = (
    (_ABSENT, "give credentials by a role, a profile or AWS_ACCESS_KEY_ID"),
    (_HALF, "complete the credentials: a key id and its secret"),
    (
        _RENEWED,
        "renew the credentials: log in again, or look at the role or process that gives them",
    ),
    ((ProxyConnectionError,), "look at HTTPS_PROXY"),
    ((SSLError,), "look at AWS_CA_BUNDLE and at the machine's certificates"),
    (
        (ProfileNotFound, ConfigParseError, ConfigNotFound, InvalidConfigError),
        "look at AWS_PROFILE and the AWS config file",
    ),
    ((NoRegionError, *_REGIONS), "name a region, in AWS_REGION or a profile"),
    (
        (EndpointConnectionError, ConnectTimeoutError),
        "look at the region, the endpoint and the network",
    ),
    ((SdkConnectionError, ConnectionClosedError, HTTPClientError), "try again"),
    ((RuntimeError,), "renew the credentials, if it is them"),
    ((OSError,), "look at the files that the AWS configuration names"),
    (
        _MISSHAPEN,
        "look at the AWS config file, and at the process or the cached token that gives the credentials",
    ),
)


def made(make: Callable[[], T]) -> T:
    """Make something of AWS's SDK, a session or a client. Nothing is sent to the service.

    Raises:
        UsageError: the configuration does not allow it; the field names the part.
        StoreUnavailable: there are no credentials, or what gives them did not.
    """
    try:
        return make()
    except WorkpoolError:
        raise
    except SDK_ERRORS as error:
        raise _not_made(error) from error


def _not_made(error: Exception) -> WorkpoolError:
    if isinstance(error, _CREDENTIALS):
        return StoreUnavailable(f"AWS cannot be called: {advice_for(error)} ({described(error)})")
    if isinstance(error, NoRegionError):
        return UsageError(
            "region", NOTHING, "given, in AWS_REGION, in a profile, or by a session that has one"
        )
    if isinstance(error, _REGIONS):
        return UsageError(
            "region", Words(described(error)), "the name of an AWS region, as eu-west-1"
        )
    if isinstance(error, ProfileNotFound):
        return UsageError(
            "profile", Words(described(error)), "one of the AWS config or credentials file"
        )
    if isinstance(error, _HALF):
        return UsageError("credentials", Words(described(error)), "a key id and its secret")
    if isinstance(error, ConfigParseError | ConfigNotFound | InvalidConfigError):
        return UsageError("AWS config file", Words(described(error)), "one that boto3 can read")
    if isinstance(error, _MISSHAPEN):
        return UsageError(
            "AWS configuration",
            Words(described(error)),
            "of the shape that boto3 reads, what a credential process answers included",
        )
    return UsageError(
        "AWS configuration", Words(described(error)), "one that boto3 makes a client of"
    )


def advice_for(error: Exception) -> str:
    """Return advice on an error of a call: "try again", where nothing better is known."""
    return next((advice for kinds, advice in _ADVICE if isinstance(error, kinds)), "try again")


def described(error: Exception) -> str:
    """Return the class of an error and its text.

    For invalid parameters it is the class alone, since the text quotes values, which may be secret.
    """
    name = type(error).__name__
    return (
        name
        if isinstance(error, ParamValidationError)
        else f"{name}: {as_line(str(error), limit=_TEXT_MAX)}"
    )
