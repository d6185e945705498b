"""Every example runs, and prints what its README says."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
IN_ITS_OWN_PROCESS = "undecorated"
"""As a user runs it. The others need no second process that imports AWS's SDK and moto."""
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/app.py"))


def test_there_are_examples() -> None:
    assert [folder.name for folder in FOLDERS] == [
        "bank_transfer",
        "email",
        "order_outbox",
        "undecorated",
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_example_prints_what_its_readme_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = re.search(
        r"^```text\n(.*?)^```",
        (folder / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert said is not None

    if folder.name == IN_ITS_OWN_PROCESS:
        done = subprocess.run(
            [sys.executable, str(folder / "app.py")],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")
        printed = done.stdout
    else:
        monkeypatch.syspath_prepend(str(folder))
        runpy.run_path(str(folder / "app.py"), run_name="__main__")
        for module in folder.glob("*.py"):
            sys.modules.pop(module.stem, None)
        printed, complained = capsys.readouterr()
        assert complained == ""

    assert printed == said[1]
