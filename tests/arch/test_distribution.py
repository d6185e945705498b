"""The wheels and source distributions that `make dist` builds: their files, their metadata, and a README whose links work elsewhere.

`make dist` also installs them, which needs the package index.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.metadata import Metadata

pytestmark = pytest.mark.form

VENDORED = "workpool_aws/dashboard/static/vendor"
LICENSES = {
    "workpool_aws": (
        "MIT AND 0BSD",
        ["LICENSE", *(f"{VENDORED}/{each}.LICENSE.txt" for each in ("htmx", "idiomorph", "uPlot"))],
    ),
    "workpool_cdk": ("MIT", ["LICENSE"]),
}

ROOT = Path(__file__).parents[2]
CONSTRUCT = ROOT / "infra" / "cdk"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ADDRESS = PROJECT["project"]["urls"]["Source"]
VERSION = PROJECT["project"]["version"]
LINK = re.compile(r"\]\(([^)]+)\)")
FILE_OF_OURS = re.compile(
    rf"{re.escape(ADDRESS)}/(?:blob|tree)/(?:main|v{re.escape(VERSION)})/([^#]+)"
)


def build(source: Path, output: Path, *options: str) -> None:
    command = [sys.executable, "-I", "-m", "hatchling", "build", "-d", str(output), *options]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds all distributions once."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    build(CONSTRUCT, folder)
    return folder


def names_in(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def wheel_of(folder: Path, name: str) -> Path:
    (found,) = folder.glob(f"{name}-*.whl")
    return found


def headers_of(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith("/METADATA")]
        return HeaderParser().parsestr(archive.read(name).decode())


def sources_of(root: Path, package: str) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(("root", "package"), [(ROOT, "workpool_aws"), (CONSTRUCT, "workpool_cdk")])
def test_wheel_holds_whole_package_and_its_licence(built: Path, root: Path, package: str) -> None:
    notes = f"{package}-{VERSION}.dist-info"
    files = names_in(wheel_of(built, package))

    assert {each for each in files if not each.startswith(f"{notes}/")} == sources_of(root, package)
    assert {f"{package}/py.typed", f"{notes}/licenses/LICENSE", f"{notes}/METADATA"} <= files


def test_construct_has_licence_of_library() -> None:
    assert (CONSTRUCT / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("package", ["workpool_aws", "workpool_cdk"])
def test_metadata_is_valid_and_complete(built: Path, package: str) -> None:
    with ZipFile(wheel_of(built, package)) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith("/METADATA")]
        read = Metadata.from_email(archive.read(name), validate=True)

    assert (read.license_expression, read.license_files) == LICENSES[package]
    assert {"Homepage", "Documentation", "Source", "Issues"} <= (read.project_urls or {}).keys()
    assert all(url.startswith(ADDRESS) for url in (read.project_urls or {}).values())
    assert {"3.11", "3.12", "3.13", "3.14"} <= {
        each.rpartition(" :: ")[2] for each in read.classifiers or []
    }
    assert "Typing :: Typed" in (read.classifiers or [])
    assert read.description_content_type == "text/markdown"


@pytest.mark.parametrize("package", ["workpool_aws", "workpool_cdk"])
def test_links_of_readme_work_off_repository(built: Path, package: str) -> None:
    links = LINK.findall(headers_of(wheel_of(built, package)).get_payload())
    ours = [found[1] for each in links if (found := FILE_OF_OURS.match(each))]

    assert links
    assert [each for each in links if not each.startswith(("https://", "#"))] == []
    assert [each for each in ours if not (ROOT / each).exists()] == []
    assert len(ours) == len([each for each in links if each.startswith(f"{ADDRESS}/")])


def test_pictures_of_readme_are_shown_off_repository() -> None:
    """By the rule of pyproject.toml, whether or not the README has one at present."""
    rule, _ = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    raw = ADDRESS.replace("//github.com/", "//raw.githubusercontent.com/")

    shown = re.sub(rule["pattern"], rule["replacement"], "![a demo](docs/demo.svg)")

    assert shown == f"![a demo]({raw}/v$HFPR_VERSION/docs/demo.svg)"


def test_source_distribution_builds_same_wheel(built: Path, tmp_path: Path) -> None:
    (archive,) = built.glob("workpool_aws-*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    source = tmp_path / f"workpool_aws-{VERSION}"

    build(source, tmp_path / "again", "-t", "wheel")

    again = wheel_of(tmp_path / "again", "workpool_aws")
    assert again.read_bytes() == wheel_of(built, "workpool_aws").read_bytes()
    assert (source / "tests" / "arch" / "test_distribution.py").exists()
    assert (source / "infra" / "cdk" / "workpool_cdk" / "lambda-requirements.txt").exists()
    assert not list(source.rglob("node_modules"))
