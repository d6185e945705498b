"""The locks serve every Python and platform that is promised, though each was resolved on one; extras are kept.

They are judged by the requirements that `make lock` recorded of every locked package, so a lock
that is not installed here is judged too.
"""

import json
import re
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement

from tests.arch.locks import LOCKS, ROOT, Lock, Pin, holes, pins, record

pytestmark = pytest.mark.form

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PLATFORMS = [
    ("linux", "Linux", "x86_64"),
    ("linux", "Linux", "aarch64"),
    ("darwin", "Darwin", "arm64"),
]
ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "platform_machine": machine,
    }
    for python in PYTHONS
    for sys_platform, platform_system, machine in PLATFORMS
]
each_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.path)


def installed_together(lock: Lock) -> dict[str, Pin]:
    beside = [pins((ROOT / path).read_text(encoding="utf-8")) for path in lock.beside]
    return {name: pin for part in (*beside, pins(lock.text())) for name, pin in part.items()}


@each_lock
def test_lock_has_no_hole(lock: Lock) -> None:
    pinned = pins(lock.text())
    declared = record()

    assert {
        hole
        for environment in ENVIRONMENTS
        for hole in holes(lock.roots, pinned, declared, environment)
    } == set()


@pytest.mark.parametrize(
    ("lock", "name"),
    [(lock, pin.name) for lock in LOCKS for pin in pins(lock.text()).values() if pin.extras],
    ids=lambda value: str(value)[:40],
)
def test_pin_that_loses_its_extra_is_hole(lock: Lock, name: str) -> None:
    pinned = pins(lock.text())
    pinned[name] = Pin(name, pinned[name].version, frozenset(), pinned[name].hashes)

    found = holes(lock.roots, pinned, record(), ENVIRONMENTS[0])

    assert found
    assert all(f"the lock has {name}==" in hole for hole in found)


@pytest.mark.parametrize(
    "wanted", ["b[x]", "b[X]>=1", "b[x,y] ; python_version >= '3.11'", "b[y]>=1"]
)
def test_extra_is_looked_for_wherever_it_is_asked_for(wanted: str) -> None:
    declared = {"a==1": [wanted], "b==1": ["c ; extra == 'x'", "c ; extra == 'y'"], "c==1": []}
    bare, whole = (
        pins(f"a==1 --hash=sha256:0\n{line}==1 --hash=sha256:0\nc==1 --hash=sha256:0")
        for line in ("b", "b[x,y]")
    )
    roots = (Requirement("a"),)

    assert holes(roots, bare, declared, ENVIRONMENTS[0]) == {
        f"a wants {Requirement(wanted)}; the lock has b==1"
    }
    assert holes(roots, whole, declared, ENVIRONMENTS[0]) == set()


@each_lock
def test_requirements_of_every_pin_are_recorded(lock: Lock) -> None:
    recorded = record()

    missing = [
        pin.name
        for pin in pins(lock.text()).values()
        if f"{pin.name}=={pin.version}" not in recorded
    ]

    assert missing == [], "`make lock` writes requirements/metadata.json"


def test_metadata_records_nothing_else() -> None:
    locked = {f"{pin.name}=={pin.version}" for lock in LOCKS for pin in pins(lock.text()).values()}

    assert sorted(record().keys() - locked) == []


@each_lock
def test_record_is_what_installed_packages_say(lock: Lock) -> None:
    """Of those that are installed here in the locked version."""
    recorded = record()
    differing = []
    for pin in pins(lock.text()).values():
        try:
            found = distribution(pin.name)
        except PackageNotFoundError:
            continue
        key = f"{pin.name}=={pin.version}"
        if found.version == pin.version and set(found.requires or []) != set(recorded[key]):
            differing.append(key)

    assert differing == []


@each_lock
def test_every_pin_has_hash(lock: Lock) -> None:
    found = pins(lock.text()).values()

    assert found
    assert [
        pin.name for pin in found if not any(each.startswith("sha256:") for each in pin.hashes)
    ] == []


@each_lock
def test_lock_names_no_place_to_fetch_from(lock: Lock) -> None:
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", lock.text()) == []


def test_locks_that_are_installed_together_agree() -> None:
    for lock in LOCKS:
        together = installed_together(lock)
        for path in lock.beside:
            first = pins((ROOT / path).read_text(encoding="utf-8"))
            assert {
                name for name, pin in first.items() if pin.version != together[name].version
            } == set()


def test_functions_are_deployed_with_versions_that_were_tested() -> None:
    tested = pins((ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"))
    deployed = pins(
        (ROOT / "infra/cdk/workpool_cdk/lambda-requirements.txt").read_text(encoding="utf-8")
    )

    assert {name: pin.version for name, pin in deployed.items()} == {
        name: tested[name].version for name in deployed
    }


def test_every_lock_of_repository_is_judged() -> None:
    hashed = {
        str(path.relative_to(ROOT))
        for folder in ("requirements", "infra/cdk", "tools", "examples")
        for path in (ROOT / folder).rglob("*.txt")
        if not {"node_modules", "cdk.out"} & set(path.parts)
        and "--hash=" in path.read_text(encoding="utf-8")
    }

    assert hashed == {lock.path for lock in LOCKS} | {
        "infra/cdk/workpool_cdk/installer-requirements.txt"
    }


def test_construct_bundles_with_same_installer() -> None:
    """It is published without the folder of the locks, so it has a copy."""
    copied = ROOT / "infra" / "cdk" / "workpool_cdk" / "installer-requirements.txt"

    assert copied.read_text(encoding="utf-8") == (
        ROOT / "requirements" / "installer.txt"
    ).read_text(encoding="utf-8")


def test_npm_packages_are_locked_with_hashes() -> None:
    lock = json.loads((ROOT / "infra/cdk/package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((ROOT / "infra/cdk/package.json").read_text(encoding="utf-8"))[
        "devDependencies"
    ]
    packages = {path: each for path, each in lock["packages"].items() if path}

    assert [
        path
        for path, each in packages.items()
        if not each.get("integrity", "").startswith("sha512-")
    ] == []
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
