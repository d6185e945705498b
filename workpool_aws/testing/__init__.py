"""Helpers for tests of applications: assertions on enqueued work items, and stand-ins for Lambda.

Nothing here needs pytest. `docs/testing-your-application.md` shows them at work.
"""

from __future__ import annotations

from workpool_aws.local.stored_work import EnqueuedWork
from workpool_aws.testing.contexts import lambda_context
from workpool_aws.testing.enqueued import assert_enqueued, refute_enqueued
from workpool_aws.testing.performing import perform

__all__ = ["EnqueuedWork", "assert_enqueued", "lambda_context", "perform", "refute_enqueued"]
