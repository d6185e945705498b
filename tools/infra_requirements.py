"""Prints what the construct and its checks need from the package index: what `make lock` resolves for `infra/cdk/requirements.txt`."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = "workpool-aws"


def requirements() -> list[str]:
    """The construct's own and its checks', but for the library, which lies beside it."""
    project = tomllib.loads(
        (ROOT / "infra" / "cdk" / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["check"]]
    return [each for each in wanted if not each.startswith(OURS)]


if __name__ == "__main__":
    print("\n".join(requirements()))
