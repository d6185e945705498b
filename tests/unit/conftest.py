"""A world and a stage for each test."""

import pytest

from tests.kit.stage import Stage
from tests.kit.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def stage() -> Stage:
    return Stage()
