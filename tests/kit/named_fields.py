"""Every UsageError of a test must name a field, and not its value, in whatever test it is raised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from workpool_aws.errors import UsageError
from workpool_aws.text import Words

__all__ = ["named_fields"]

_FIELD = re.compile(r"(--)?[A-Za-z_]\w*(?![\w/:@])")


@contextmanager
def named_fields() -> Iterator[None]:
    """Fail the test in which a UsageError has a field that can be none: a value in its place."""
    plain = UsageError.__init__

    def checked(self: UsageError, field: Any, *others: Any, **named: Any) -> None:
        assert isinstance(field, str), f"{field!r} names no field"
        assert not isinstance(field, Words), f"{field!r} describes a value"
        assert _FIELD.match(field), f"{field!r} names no field"
        plain(self, field, *others, **named)

    with patch.object(UsageError, "__init__", checked):
        yield
