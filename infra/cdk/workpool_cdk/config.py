"""Reads `workpool.toml`, the configuration of the app of this directory."""

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
    """The deployment that a file describes."""

    stack: str
    table: str | None
    """`None` means that CloudFormation names it."""
    keep_table: bool
    """True if the table stays when the stack is deleted, and refuses to be deleted itself."""
    monitoring: Monitoring
    pools: Mapping[str, Mapping[str, object]]


def read_config(path: Path) -> AppConfig:
    """Returns the deployment of a file, with defaults for keys that it leaves out.

    Raises:
        ConfigurationError: There is no such file, it is no TOML, or it has an unknown key.
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
    pools = _value(path, said, "pools", dict, default={"default": {}})
    strays = [name for name, options in pools.items() if not isinstance(options, dict)]
    if strays:
        raise must_be(
            f"{path}: pools.{strays[0]}",
            f"a table: write [pools.{strays[0]}], and its options below",
            pools[strays[0]],
        )
    return AppConfig(
        stack=_stack(path, _value(path, said, "stack", str, default="Workpool")),
        table=_value(path, said, "table", str, default="") or None,
        keep_table=_value(path, said, "keep_table", bool, default=True),
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


def _value(path: Path, said: Mapping[str, object], key: str, kind: type[T], *, default: T) -> T:
    value = said.get(key, default)
    if not isinstance(value, kind):
        raise must_be(f"{path}: {key}", _KINDS[kind], value)
    return value
