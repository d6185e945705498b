"""Environment variables inside a cloud: dummy credentials and a region, and nothing that leads elsewhere."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from workpool_aws.local.services.functions import REGION
from workpool_aws.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import boto3

__all__ = ["asked_log_level", "asks_for_tracing", "cloud_environment", "cloud_session"]

_KEY: Final = "local"
_SET: Final[Mapping[str, str]] = {
    "AWS_ACCESS_KEY_ID": _KEY,
    "AWS_SECRET_ACCESS_KEY": _KEY,
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    # A default profile may name an endpoint, too.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_REMOVED: Final = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")
_REMOVED_PREFIX: Final = "AWS_ENDPOINT_URL"
_LOG_LEVEL: Final = "WORKPOOL_LOG_LEVEL"
_TRACING: Final = "WORKPOOL_TRACING"


def asked_log_level() -> int | None:
    """Return the level that the environment asks for; `None` means it asks for none."""
    asked = os.environ.get(_LOG_LEVEL)
    return read_settings({_LOG_LEVEL: asked}).log_level if asked else None


def asks_for_tracing() -> bool:
    """Return True if the environment asks for spans."""
    return read_settings({_TRACING: os.environ.get(_TRACING, "")}).tracing


@cache
def cloud_session() -> boto3.Session:
    """Return the session of all clouds of this process.

    It keeps what botocore knows of services, which takes longer to load than to use.
    """
    import boto3

    return boto3.Session(aws_access_key_id=_KEY, aws_secret_access_key=_KEY, region_name=REGION)


@contextmanager
def cloud_environment() -> Iterator[None]:
    """Inside, boto3 finds dummy credentials and this cloud's region.

    On leaving, these variables are as they were.
    """
    removed = [name for name in os.environ if name in _REMOVED or name.startswith(_REMOVED_PREFIX)]
    before = {name: os.environ.get(name) for name in (*_SET, *removed)}
    for name in removed:
        del os.environ[name]
    os.environ.update(_SET)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
