"""Locks of the repository as the tests read them: pins, extras, hashes, and the requirements that the packages themselves declare."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "requirements" / "metadata.json"

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[^\]]*)\])?==(?P<version>[^\s;\\]+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock."""

    name: str
    version: str
    extras: frozenset[str]
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock with the requirements that it answers."""

    path: str
    roots: tuple[Requirement, ...]
    beside: tuple[str, ...] = field(default=())
    """Locks that are installed into the same environment, before this one."""

    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")


def pins(text: str) -> dict[str, Pin]:
    """Read the pins of a lock; a line that is neither a pin nor a comment is an error."""
    found: dict[str, Pin] = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _PIN.match(line)
        assert match, f"not a pin: {line[:80]!r}"
        name = canonicalize_name(match["name"])
        assert name not in found, f"{name} is pinned twice"
        extras = frozenset(
            canonicalize_name(each) for each in (match["extras"] or "").split(",") if each.strip()
        )
        found[name] = Pin(name, match["version"], extras, tuple(re.findall(r"--hash=(\S+)", line)))
    return found


def record() -> dict[str, list[str]]:
    """Return the requirements that each locked package declares, by `NAME==VERSION`, as `make lock` wrote them."""
    found: dict[str, list[str]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def holes(
    roots: Sequence[Requirement],
    pinned: Mapping[str, Pin],
    declared: Mapping[str, list[str]],
    environment: dict[str, str],
) -> set[str]:
    """Find the requirements of one environment that a lock does not answer: not pinned, pinned elsewhere, or pinned without an extra."""
    return {
        f"{parent} wants {requirement}; the lock has {_shown(pin)}"
        for parent, requirement in _reached(roots, pinned, declared, environment)
        if (pin := pinned.get(canonicalize_name(requirement.name))) is None
        or not _answers(pin, requirement)
    }


def _answers(pin: Pin, requirement: Requirement) -> bool:
    wanted = {canonicalize_name(each) for each in requirement.extras}
    return requirement.specifier.contains(pin.version, prereleases=True) and wanted <= pin.extras


def _shown(pin: Pin | None) -> str:
    if pin is None:
        return "nothing"
    extras = f"[{','.join(sorted(pin.extras))}]" if pin.extras else ""
    return f"{pin.name}{extras}=={pin.version}"


def _reached(
    roots: Sequence[Requirement],
    pinned: Mapping[str, Pin],
    declared: Mapping[str, list[str]],
    environment: dict[str, str],
) -> Iterator[tuple[str, Requirement]]:
    """Walk from the roots through what the pinned packages declare; each requirement comes with its parent."""
    queue = [("the project", root) for root in roots]
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        parent, requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        yield parent, requirement
        key = (name, frozenset(requirement.extras))
        pin = pinned.get(name)
        if key in seen or pin is None:
            continue
        seen.add(key)
        children = map(Requirement, declared[f"{name}=={pin.version}"])
        queue += [
            (name, child) for child in children if _applies(child, environment, requirement.extras)
        ]


def _applies(requirement: Requirement, environment: dict[str, str], extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)
    )


def _listed(path: str) -> tuple[Requirement, ...]:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return tuple(Requirement(line) for line in lines if line and not line.startswith("#"))


def _project() -> tuple[tuple[Requirement, ...], tuple[Requirement, ...]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    own = tuple(map(Requirement, project["dependencies"]))
    return own, (
        *own,
        *(
            Requirement(text)
            for name in ("local", "cli", "dashboard", "dev")
            for text in extras[name]
        ),
    )


def _construct() -> tuple[Requirement, ...]:
    command = [sys.executable, "-I", str(ROOT / "tools" / "infra_requirements.py")]
    return tuple(
        map(
            Requirement,
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines(),
        )
    )


_OWN, _DEVELOPED = _project()

LOCKS = (
    Lock("requirements/dev.txt", _DEVELOPED),
    Lock("requirements/ministack.txt", _listed("requirements/ministack.in")),
    Lock("infra/cdk/workpool_cdk/lambda-requirements.txt", _OWN),
    Lock("infra/cdk/requirements.txt", _construct(), beside=("requirements/dev.txt",)),
    Lock("requirements/installer.txt", _listed("requirements/installer.in")),
    Lock("requirements/lock.txt", _listed("requirements/lock.in")),
    Lock("requirements/audit.txt", _listed("requirements/audit.in")),
    Lock("requirements/dist.txt", _listed("requirements/dist.in")),
)
