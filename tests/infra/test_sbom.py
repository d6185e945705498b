"""The list of what is bundled: complete, in a fixed order, with no word of the machine, and with the licence where one is declared."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from workpool_cdk import ConfigurationError, installing
from workpool_cdk.sbom import bill_of_materials


def reported(name: str, **metadata: Any) -> dict[str, Any]:
    """One package of pip's report."""
    place = {"url": "file:///home/somebody/x.whl", "archive_info": {"hashes": {"sha256": name * 3}}}
    return {"download_info": place, "metadata": {"name": name, "version": "1.0", **metadata}}


@pytest.mark.parametrize(
    ("declared", "licences"),
    [
        (
            {"license_expression": "MIT OR Apache-2.0", "license": "other"},
            [{"expression": "MIT OR Apache-2.0"}],
        ),
        (
            {
                "classifier": ["License :: OSI Approved :: MIT License", "Topic :: X"],
                "license": "MIT",
            },
            [{"license": {"name": "MIT License"}}],
        ),
        ({"license": "BSD-3-Clause"}, [{"license": {"name": "BSD-3-Clause"}}]),
        ({"license": "Copyright\nPermission is granted"}, None),
        ({"license": ""}, None),
        ({}, None),
    ],
)
def test_licence_is_what_package_declares(declared: dict[str, Any], licences: object) -> None:
    (component,) = json.loads(bill_of_materials([reported("six", **declared)]))["components"]

    assert component.get("licenses") == licences


def test_list_is_same_whatever_order_and_machine() -> None:
    one, two = reported("boto3"), reported("typing_extensions")

    assert bill_of_materials([one, two]) == bill_of_materials([two, one])
    assert "somebody" not in bill_of_materials([one, two])
    first, second = json.loads(bill_of_materials([two, one]))["components"]
    assert (first["purl"], second["purl"]) == (
        "pkg:pypi/boto3@1.0",
        "pkg:pypi/typing-extensions@1.0",
    )
    assert first["hashes"] == [{"alg": "SHA-256", "content": "boto3boto3boto3"}]


@pytest.fixture
def _first_of_process() -> Iterator[None]:
    installing._pinned_pip.cache_clear()
    yield
    installing._pinned_pip.cache_clear()


@pytest.mark.usefixtures("_first_of_process")
def test_bundling_begins_with_pinned_installer_and_resolves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], folder: str, failed: str) -> None:
        commands.append(list(command))
        for word in command:
            if word.startswith("--report="):
                Path(word.partition("=")[2]).write_text('{"install": []}', encoding="utf-8")

    monkeypatch.setattr(installing, "_run", run)
    monkeypatch.setattr(installing.shutil, "which", lambda *_, **__: "python-of-its-own")
    for _ in range(2):
        installing.install(tmp_path / "lock.txt", tmp_path / "code", purpose="bundling")

    made, first, second, third = commands
    assert made[1:4] == ["-I", "-m", "venv"]
    assert first[-1].endswith(installing.INSTALLER_LOCK)
    assert second[-1] == third[-1] == f"--requirement={tmp_path / 'lock.txt'}"
    for command in (first, second, third):
        assert command[:5] == ["python-of-its-own", "-I", "-m", "pip", "install"]
        assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(command)


@pytest.mark.usefixtures("_first_of_process")
def test_installer_that_cannot_be_made_is_said_with_purpose_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(installing.shutil, "which", lambda *_, **__: None)
    tried: list[str] = []
    monkeypatch.setattr(installing, "_run", lambda *words: tried.append(words[2]))

    for _ in range(2):
        with pytest.raises(
            ConfigurationError, match=r"bundling for mars: .* without an interpreter"
        ):
            installing.install(tmp_path / "lock.txt", tmp_path / "x", purpose="bundling for mars")

    assert len(tried) == 2
