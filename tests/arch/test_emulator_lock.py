"""requirements/ministack.txt pins what the emulated AWS needs, and its shim was written for that version."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements" / "ministack.txt").read_text(encoding="utf-8")
SHIM = ROOT / "tests" / "emulator" / "shim" / "__main__.py"


def test_every_pin_has_a_hash() -> None:
    blocks = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]

    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_lock_names_no_place_to_fetch_from() -> None:
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", LOCK) == []


def test_the_shim_was_written_for_the_version_that_is_installed() -> None:
    tree = ast.parse(SHIM.read_text(encoding="utf-8"))
    version = next(
        ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION"
    )

    assert f"\nministack=={version} " in LOCK
