"""A world for each test."""

import pytest

from pool_world import World


@pytest.fixture
def world() -> World:
    return World()
