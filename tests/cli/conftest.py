"""Makes once what every command of a process makes, since a process of a user's has one command."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from unittest.mock import patch

import pytest


@pytest.fixture(scope="session", autouse=True)
def kept() -> Iterator[None]:
    """Keep the parser of all commands, which takes as long as most of them, and the demo's services.

    Neither depends on the environment.
    """
    main, demo = (import_module(f"workpool_aws.cli.{name}") for name in ("main", "demo.run"))
    with (
        patch.object(main, "make_parser", cache(main.make_parser)),
        patch.object(demo, "service_names", cache(demo.service_names)),
    ):
        yield
