"""requirements/dev.txt serves every Python and platform that is promised, though it was resolved on one."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)
LOCKED = {canonicalize_name(name): version for name, version in PIN.findall(LOCK)}
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PLATFORMS = [("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64")]


def project_requirements() -> Iterator[Requirement]:
    extras = PROJECT["optional-dependencies"]
    for text in (*PROJECT["dependencies"], *extras["local"], *extras["cli"], *extras["dev"]):
        yield Requirement(text)


def wanted(environment: dict[str, str]) -> Iterator[tuple[str, Requirement]]:
    """Every requirement, with who has it, that this environment reaches from the project's own."""
    queue = [("workpool-aws", requirement) for requirement in project_requirements()]
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        parent, requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        yield parent, requirement
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            children = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue  # not in the lock: told by whoever iterates
        extras = ["", *requirement.extras]
        queue += [
            (name, child)
            for child in children
            if child.marker is None or any(child.marker.evaluate({**environment, "extra": extra}) for extra in extras)
        ]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("sys_platform", "platform_system", "machine"), PLATFORMS, ids=lambda value: value)
def test_the_lock_has_no_hole(python: str, sys_platform: str, platform_system: str, machine: str) -> None:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "platform_machine": machine,
    }

    holes = {
        f"{parent} wants {requirement}"
        for parent, requirement in wanted(environment)
        if not requirement.specifier.contains(LOCKED.get(canonicalize_name(requirement.name), "0.dev0"), prereleases=True)
    }

    assert holes == set()


def test_every_pin_has_a_hash() -> None:
    blocks = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]

    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert len(blocks) == len(LOCKED)


def test_the_lock_names_no_place_to_fetch_from() -> None:
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", LOCK) == []
