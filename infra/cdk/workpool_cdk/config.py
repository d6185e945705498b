"""Owns `workpool.toml`: what the app of this directory deploys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from workpool_cdk.checks import member
from workpool_cdk.errors import ConfigurationError, must_be
from workpool_cdk.monitoring import Monitoring

__all__ = ["AppConfig", "read_config"]

T = TypeVar("T")

_KINDS: Final[Mapping[type, str]] = {str: "a text", bool: "true or false", dict: "a table"}
_STACK: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
_KNOWN: Final = frozenset({"stack", "table", "keep_table", "monitoring", "pools"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """What to deploy."""

    stack: str
    table: str | None
    """None: CloudFormation names it."""
    keep_table: bool
    """Whether the table stays when the stack goes, and refuses to be deleted."""
    monitoring: Monitoring
    pools: Mapping[str, Mapping[str, object]]


def read_config(path: Path) -> AppConfig:
    """What a file says; what it does not say has its default.

    Raises:
        ConfigurationError: there is no such file, it is no TOML, or it says something unknown.
            Pools are checked by the construct.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} must be TOML in UTF-8; {error}") from error
    unknown = sorted(set(said) - _KNOWN)
    if unknown:
        raise must_be(f"{path}: a key", f"one of {', '.join(sorted(_KNOWN))}", unknown[0])
    pools = _value(path, said, "pools", dict, {"default": {}})
    strays = [name for name, options in pools.items() if not isinstance(options, dict)]
    if strays:
        raise must_be(
            f"{path}: pools.{strays[0]}",
            f"a table: write [pools.{strays[0]}], and its options below",
            pools[strays[0]],
        )
    return AppConfig(
        stack=_stack(path, _value(path, said, "stack", str, "Workpool")),
        table=_value(path, said, "table", str, "") or None,
        keep_table=_value(path, said, "keep_table", bool, True),  # noqa: FBT003 - the default, not a switch
        monitoring=member(
            f"{path}: monitoring", said.get("monitoring", Monitoring.MINIMAL), Monitoring
        ),
        pools=pools,
    )


def _stack(path: Path, name: str) -> str:
    if not _STACK.fullmatch(name):
        raise must_be(
            f"{path}: stack",
            "a name of CloudFormation: a letter, then up to 127 of A-Z a-z 0-9 -",
            name,
        )
    return name


def _value(path: Path, said: Mapping[str, object], key: str, kind: type[T], default: T) -> T:
    value = said.get(key, default)
    if not isinstance(value, kind):
        raise must_be(f"{path}: {key}", _KINDS[kind], value)
    return value
