"""The shim of the emulated AWS was written for the version that its lock pins."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements" / "ministack.txt").read_text(encoding="utf-8")
SHIM = ROOT / "tests" / "emulator" / "shim" / "__main__.py"


def test_shim_was_written_for_version_that_is_installed() -> None:
    tree = ast.parse(SHIM.read_text(encoding="utf-8"))
    version = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION"
    )

    assert f"\nministack=={version} " in LOCK
