"""The `>>>` examples in docstrings run, and print what they show."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import workpool_aws

PACKAGE = Path(workpool_aws.__file__).parent
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]
SHOWN = [
    "EnqueueOptions",
    "NonRetryableError",
    "OnCompleteEvent",
    "RateLimit",
    "RetryLater",
    "RetryPolicy",
    "Snooze",
    "Status",
    "TaskPool",
    "UsageError",
    "Work",
    "Workpool",
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_module_print_what_they_show(module: str) -> None:
    failed, tried = doctest.testmod(
        import_module(module), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )

    assert (failed, tried > 0) == (0, True)


@pytest.mark.parametrize("name", SHOWN)
def test_public_name_has_example(name: str) -> None:
    assert ">>> " in (getattr(workpool_aws, name).__doc__ or "")
