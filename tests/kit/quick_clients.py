"""Clients of boto3 remember under which names events of others are known.

By itself each client finds that out anew for each event that it sends, by trying a hundred names.
"""

from __future__ import annotations

from typing import Any

from botocore.hooks import EVENT_ALIASES, EventAliaser


def remember_names() -> None:
    """Keep what a client has found for all clients of this process."""
    names: dict[str, str] = {}
    by_itself = EventAliaser.__init__

    def begin(self: Any, *args: Any, **kwargs: Any) -> None:
        by_itself(self, *args, **kwargs)
        if self._event_aliases == EVENT_ALIASES:
            self._alias_name_cache = names

    EventAliaser.__init__ = begin
