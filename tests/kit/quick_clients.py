"""Clients and sessions of boto3 are made quickly, and remember under which names events of others are known.

By itself each client copies the handlers of its session by looking at the type of everything, which
takes a third of its making, and finds out the name of each event that it sends by trying a hundred.
A session works out the whole signature of each of its 130 handlers, and looks only for keyword
arguments: that takes three quarters of its making.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import CO_VARKEYWORDS
from typing import Any

from botocore import hooks
from botocore.hooks import EVENT_ALIASES, EventAliaser, NodeList, _PrefixTrie


def make_quickly() -> None:
    """Have the sessions and clients of this process look at handlers quickly, and share the names that they find."""
    names: dict[str, str] = {}
    by_itself = EventAliaser.__init__

    def begin(self: Any, *args: Any, **kwargs: Any) -> None:
        by_itself(self, *args, **kwargs)
        if self._event_aliases == EVENT_ALIASES:
            self._alias_name_cache = names

    def copy_of(self: Any) -> Any:
        copied = type(self)()
        copied._root = copy_of_node(self._root)
        return copied

    EventAliaser.__init__ = begin
    _PrefixTrie.__copy__ = copy_of
    hooks.accepts_kwargs = quick_look_for_keywords(hooks.accepts_kwargs)


def quick_look_for_keywords(by_itself: Callable[[Any], object]) -> Callable[[Any], object]:
    def accepts_keywords(handler: Any) -> object:
        code = getattr(getattr(handler, "__func__", handler), "__code__", None)
        return by_itself(handler) if code is None else code.co_flags & CO_VARKEYWORDS

    return accepts_keywords


def copy_of_node(node: dict[str, Any]) -> dict[str, Any]:
    values = node["values"]
    return {
        "chunk": node["chunk"],
        "children": {name: copy_of_node(child) for name, child in node["children"].items()},
        "values": None if values is None else NodeList(*(list(each) for each in values)),
    }
