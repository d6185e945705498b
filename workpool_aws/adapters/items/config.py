"""The fields of a pool's config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.adapters.items import forms, rates
from workpool_aws.adapters.items.field import Field

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONFIG_FIELDS"]

CONFIG_FIELDS: Final[Mapping[str, Field]] = {
    "version": Field("v", forms.GENERATION),
    "max_parallelism": Field("max", forms.PARALLELISM),
    "base_by": Field("bb", forms.TEXT),
    "base_at": Field("ba", forms.MOMENT),
    "override_parallelism": Field("omax", forms.PARALLELISM, absent=None),
    "override_paused": Field("op", forms.FLAG, absent=None),
    "override_by": Field("ob", forms.TEXT, absent=None),
    "override_at": Field("oa", forms.MOMENT, absent=None),
    "epoch": Field("ep", forms.COUNT, absent=0),
    "epoch_at": Field("ea", forms.MOMENT, absent=None),
    "deployed_parallelism": Field("dmax", forms.PARALLELISM, absent=None),
    "deployed_at": Field("da", forms.MOMENT, absent=None),
    "rate_limit": Field("rl", rates.RATE_LIMIT, absent=None),
    "deployed_rate": Field("drl", rates.RATE_LIMIT, absent=None),
    "override_rate": Field("orl", rates.RATE_LIMIT, absent=None),
    "override_unrated": Field("onr", forms.FLAG, absent=None),
}
