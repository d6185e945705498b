"""Handlers of events are looked at quickly, and the same ones are accepted (`tests/kit/quick_clients.py`)."""

from __future__ import annotations

from functools import partial

import pytest
from botocore import compat, hooks


class Handlers:
    def with_keywords(self, **kwargs: object) -> None: ...
    def without(self, kwargs: object) -> None: ...
    def __call__(self, **kwargs: object) -> None: ...


def test_same_handlers_are_accepted_as_by_botocore_itself() -> None:
    handlers = Handlers()
    accepted = [handlers.with_keywords, handlers, partial(handlers), lambda name, **kwargs: None]
    refused = [handlers.without, lambda *args: None, partial(handlers.without, 1)]

    for handler in [*accepted, *refused]:
        by_botocore = bool(compat.accepts_kwargs(handler))
        assert bool(hooks.accepts_kwargs(handler)) is by_botocore is (handler in accepted)


def test_handler_without_keywords_is_refused() -> None:
    with pytest.raises(ValueError, match="must accept keyword"):
        hooks.HierarchicalEmitter().register("before-call", Handlers().without)
