"""Patterns of names that come from outside: pools, tables, functions, queues, topics.

Nothing else in the package spells one.

Patterns are for `fullmatch`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = [
    "FUNCTION_ARN",
    "FUNCTION_NAME",
    "GROUP",
    "GROUP_LENGTH_MAX",
    "JOB",
    "JOB_LENGTH_MAX",
    "LABEL",
    "POOL",
    "POOL_LENGTH_MAX",
    "QUEUE_ARN",
    "RESERVED_KEY",
    "ROLE_ARN",
    "SCHEDULE",
    "SCHEDULE_GROUP",
    "SCHEDULE_LENGTH_MAX",
    "TABLE",
    "TABLE_ARN",
    "TOPIC_ARN",
    "label_of",
    "names_function",
]

RESERVED_KEY: Final = "_workpool"
"""The only top-level argument that users cannot have. The assignment travels under it."""
POOL_LENGTH_MAX: Final = 40
POOL: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{POOL_LENGTH_MAX}}}")
"""Without a `#`, which separates the parts of a key: no pool can collide with another's items, or
with the table's own."""
JOB_LENGTH_MAX: Final = 64
JOB: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{JOB_LENGTH_MAX - 1}}}")
"""A job's name. Function names have no dots, so a job named `mail.send` is never taken for one."""
SCHEDULE_LENGTH_MAX: Final = 64
SCHEDULE: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{SCHEDULE_LENGTH_MAX - 1}}}")
"""A schedule's name."""
GROUP_LENGTH_MAX: Final = 64
GROUP: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{GROUP_LENGTH_MAX - 1}}}")
"""The id of a group."""
TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
LABEL: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}(:[$A-Za-z0-9_-]{1,128})?")
"""A job's name, or a function's with or without a version or alias (`label_of`)."""
TABLE_ARN: Final = re.compile(
    r"arn:aws[A-Za-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]{1,255}"
)

# Names as CreateFunction allows them, ARNs as Invoke does (API reference of Lambda, 2015-03-31:
# FunctionName, NamespacedFunctionName), without Invoke's partial forms: what is stored must mean
# the same function wherever it is read.
_NAME: Final = r"(?P<name>[A-Za-z0-9_-]{1,64})(?P<qualifier>:(?:\$LATEST|[A-Za-z0-9_-]{1,128}))?"
_ARN: Final = (
    r"arn:(?P<partition>aws[A-Za-z-]*):lambda:(?P<region>[a-z]{2,5}(?:-[a-z]{1,16}){1,4}-[0-9]):(?P<account>[0-9]{12}):function:"
    + _NAME
)
FUNCTION_NAME: Final = re.compile(_NAME)
"""A function's name, with or without a version or alias."""
FUNCTION_ARN: Final = re.compile(_ARN)
"""A function's ARN, with or without a version or alias."""
_PLACE: Final = r"[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?"
QUEUE_ARN: Final = re.compile(r"arn:aws[A-Za-z-]*:sqs:" + _PLACE)
"""The ARN of an SQS queue."""
TOPIC_ARN: Final = re.compile(r"arn:aws[A-Za-z-]*:sns:" + _PLACE)
"""The ARN of an SNS topic."""
ROLE_ARN: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
SCHEDULE_GROUP: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}")


@lru_cache(maxsize=256)
def label_of(job: str | None, target: str) -> str:
    """Returns the job's name, or else the function's with its version or alias.

    It matches `LABEL` whatever is stored. "-" stands for names that nothing can have.
    """
    arn = None if job is not None else FUNCTION_ARN.fullmatch(target)
    found = (job or target) if arn is None else f"{arn['name']}{arn['qualifier'] or ''}"
    # As plain text: a member of an enumeration that equals it would be shown by its own name.
    return str.__str__(found) if LABEL.fullmatch(found) else "-"


@lru_cache(maxsize=256)
def names_function(listed: str, target: str) -> bool:
    """True if `target` is the function that a list names, with whatever version or alias.

    The ARNs are the same up to it.

    Where one of the two is a mere name, the names must be the same.
    """
    one, other = FUNCTION_ARN.fullmatch(listed), FUNCTION_ARN.fullmatch(target)
    if one is not None and other is not None:
        return one.group("partition", "region", "account", "name") == other.group(
            "partition", "region", "account", "name"
        )
    named, asked = one or FUNCTION_NAME.fullmatch(listed), other or FUNCTION_NAME.fullmatch(target)
    return named is not None and asked is not None and named["name"] == asked["name"]
