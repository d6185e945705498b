"""The command that enqueues one work item: enqueue."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from workpool_aws.cli.target import target_of
from workpool_aws.errors import UsageError
from workpool_aws.insights.moments import span_of
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.text import Words

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from workpool_aws import RetryableOptions

__all__ = ["run_enqueue"]


def run_enqueue(options: argparse.Namespace) -> int:
    """`workpool enqueue TARGET [ARGS]`."""
    args = _args_of(sys.stdin.read() if options.args == "-" else options.args)
    asked = _options_of(options)
    target = target_of(options, known=not options.new)
    kinds = {
        "action": target.pool.enqueue_action,
        "query": target.pool.enqueue_query,
        "mutation": target.pool.enqueue_mutation,
    }
    work_id = kinds[options.kind](None, options.target, args, **asked)
    if target.output.as_json:
        target.output.json({"work_id": work_id})
    else:
        target.output.line(work_id)
    return 0


def _args_of(text: str) -> Mapping[str, object]:
    """Return the object that a text spells. What it contains is checked by the enqueue."""
    try:
        args = json.loads(text)
    except ValueError:
        args = None
    if not isinstance(args, dict):
        # Arguments may be secret, and standard error is kept in logs.
        raise UsageError(
            "ARGS", Words("other text"), """a JSON object, such as '{"to": "a@example.com"}'"""
        )
    return args


def _options_of(options: argparse.Namespace) -> RetryableOptions:
    asked: RetryableOptions = {"request_id": options.request_id}
    if options.run_after is not None:
        asked["run_after"] = span_of("--run-after", options.run_after)
    if options.attempts is not None:
        many = options.attempts > 1
        asked["retry"] = RetryPolicy(max_attempts=options.attempts) if many else False
    return asked
