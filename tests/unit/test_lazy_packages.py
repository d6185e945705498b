"""Packages that load a public name when it is first asked for have all of them, and no others."""

from __future__ import annotations

from importlib import import_module

import pytest

PACKAGES = ["dashboard", "insights", "local", "task_pool"]


@pytest.mark.parametrize("name", ["workpool_aws", *(f"workpool_aws.{each}" for each in PACKAGES)])
def test_package_has_each_public_name_and_no_other(name: str) -> None:
    package = import_module(name)
    load = vars(package)["__getattr__"]

    # Asked for as if none had been loaded yet: an attribute that is there asks nobody.
    lazy = [
        each for each in package.__all__ if each in vars(package).get("_HOMES", package.__all__)
    ]
    assert [each for each in lazy if load(each) is not getattr(package, each)] == []
    assert [each for each in package.__all__ if getattr(package, each, None) is None] == []
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        load("nothing")
