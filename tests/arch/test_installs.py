"""Each environment begins with the pinned installer, and nothing is resolved."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.metadata import distributions

import pytest

from tests.arch.locks import ROOT, pins

INSTALLER = "requirements/installer.txt"
ENVIRONMENTS = {
    ".venv": "requirements/dev.txt",
    "build/audit-venv": "requirements/audit.txt",
    "build/dist-venv": "requirements/dist.txt",
    "build/infra-venv": "infra/cdk/requirements.txt",
    "build/lock-venv": "requirements/lock.txt",
    "build/ministack-venv": "requirements/ministack.txt",
}
MAKE = shutil.which("make") or "make"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def recipe(target: str) -> list[str]:
    """The lines that make would run for a target if nothing were there yet."""
    command = [MAKE, "--dry-run", "--always-make", "--no-print-directory", target]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.replace("\\\n", " ").splitlines()


def installs(lines: list[str]) -> list[str]:
    return [line for line in lines if re.search(r"-m pip .*\binstall\b", line)]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_environment_begins_with_pinned_installer(environment: str) -> None:
    lines = recipe(f"{environment}/.installed")
    made = [number for number, line in enumerate(lines) if re.search(r"-m venv\b", line)]
    first, *others = installs(lines)

    assert len(made) == 1
    assert lines.index(first) > made[0]
    assert first.split()[-2:] == ["-r", INSTALLER]
    assert ENVIRONMENTS[environment] in " ".join(others)
    assert all(line.startswith(f"{environment}/bin/python -I -m pip ") for line in (first, *others))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_environment_is_made_without_resolving_or_building_unlocked(
    environment: str,
) -> None:
    for line in installs(recipe(f"{environment}/.installed")):
        assert "--no-deps" in line.split()
        if "--editable" in line.split():
            assert "--no-build-isolation" in line.split()
        else:
            assert {"--require-hashes", "--only-binary=:all:", "-r"} <= set(line.split())


def test_every_environment_that_makefile_makes_is_looked_at() -> None:
    everything = "\n".join(
        line
        for target in ("audit", "cdk", "dist", "e2e", "infra", "lock", "test")
        for line in recipe(target)
    )

    assert set(re.findall(r"-m venv ([\w./-]+)", everything)) == set(ENVIRONMENTS)


@pytest.mark.parametrize("folder", ENVIRONMENTS)
def test_environment_that_is_there_has_pinned_installer(folder: str) -> None:
    (pin,) = pins((ROOT / INSTALLER).read_text(encoding="utf-8")).values()
    packages = sorted((ROOT / folder).glob("lib/python*/site-packages"))
    if not (ROOT / folder / ".installed").exists():
        pytest.skip(f"{folder} is not there")

    found = {each.version for each in distributions(name="pip", path=list(map(str, packages)))}

    assert found == {pin.version}, "`make clean install` makes it anew"


def test_installer_is_one_package_with_no_extra() -> None:
    """Whatever pip a Python brings can install it, and nothing has to be resolved."""
    (pin,) = pins((ROOT / INSTALLER).read_text(encoding="utf-8")).values()

    assert (pin.name, pin.extras) == ("pip", frozenset())


def test_tool_is_run_without_current_folder() -> None:
    """`-I` keeps a pip.py, a venv.py or a sitecustomize.py of the folder, or of a PYTHONPATH, from being run in place of the tool."""
    commands = re.findall(
        r"(?:python|\$\(PYTHON\)\"?) ((?:-\w+ )*)-m (pip|venv|pytest|piptools|ensurepip|pip_audit|hatchling|twine|check_wheel_contents)\b",
        MAKEFILE,
    )
    bare = [tool for options, tool in commands if "-I" not in options.split()]

    assert commands
    assert bare == []


def test_packages_of_node_are_locked_ones_and_run_nothing_when_installed() -> None:
    commands = [line.strip() for line in MAKEFILE.splitlines() if re.search(r"\bnpm\b", line)]

    assert [re.findall(r"npm (\w+) --ignore-scripts\b", line) for line in commands] == [["ci"]]


def test_help_lists_every_target() -> None:
    phony = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split())
    said = subprocess.run(
        [MAKE, "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert set(re.findall(r"^  make (\S+) ", said, re.MULTILINE)) == phony
    assert phony == set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
    assert all(len(line) < 200 for line in said.splitlines())


def test_pipeline_runs_every_check_of_makefile() -> None:
    steps = re.findall(
        r"^(?:step|make PYTHON=\"\$python\") (\S+)",
        (ROOT / ".ci" / "run").read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    assert {"check", "test", "dist", "sim", "engines", "infra", "e2e"} <= set(steps)
