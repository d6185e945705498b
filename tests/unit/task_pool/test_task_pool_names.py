"""The names of the package `task_pool`, which load when they are first used."""

from __future__ import annotations

import sys

import pytest

from workpool_aws import task_pool


@pytest.mark.parametrize("name", task_pool.__all__)
def test_name_loads_once_and_is_one_of_its_home(name):
    vars(task_pool).pop(name, None)

    found = getattr(task_pool, name)

    assert found.__name__ == name
    assert vars(task_pool)[name] is found
    assert getattr(sys.modules[found.__module__], name) is found


def test_name_that_is_not_there_is_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match=r"workpool_aws\.task_pool.*'Nothing'"):
        _ = task_pool.Nothing


def test_dir_lists_public_names():
    assert dir(task_pool) == sorted(task_pool.__all__)
