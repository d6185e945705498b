"""Options of the command `workpool demo`. They load without the demo, for the help of all commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.cli.argument_types import engine, share, whole
from workpool_aws.cli.manage import lazily
from workpool_aws.core import limits

if TYPE_CHECKING:
    import argparse

__all__ = ["CODES", "DESCRIPTION", "add_options"]

_FAIL_RATE: Final = "1/12"
_ITEMS_MAX: Final = 10_000
_SEED_MAX: Final = 2**63 - 1

DESCRIPTION: Final = """\
Run a pool on this machine, on real input: no AWS account, no network.

botocore ships a model of every AWS service. The demo enqueues one action for each: open the
model, count its operations and shapes, find the longest operation name. Some attempts fail by
design and are retried, and a few work items are due later. The demo shows the pool at work.
Then it reports the results, the failures with their reasons, the parallelism beside its limit,
and the cost of an action in DynamoDB units.
"""
CODES: Final = """\
exit codes: 0 every work item reached its end and the limit was never exceeded; 1 otherwise;
2 a wrong option; 130 interrupted
"""


def add_options(demo: argparse.ArgumentParser) -> None:
    """Add the options of the demo to its parser."""
    demo.add_argument(
        "--items",
        type=whole(1, _ITEMS_MAX),
        metavar="N",
        help="how many models to open (all, once each)",
    )
    demo.add_argument(
        "--parallelism",
        type=whole(1, limits.PARALLELISM_MAX),
        default=8,
        metavar="N",
        help="at most so many at a time (8)",
    )
    demo.add_argument(
        "--fail-rate",
        type=share,
        default=_FAIL_RATE,
        metavar="F",
        help=f"share of attempts that fails by design, 0 to 1 ({_FAIL_RATE})",
    )
    demo.add_argument(
        "--seed",
        type=whole(0, _SEED_MAX),
        default=0,
        metavar="S",
        help="the order of the work items, and the attempts that fail (0)",
    )
    demo.add_argument(
        "--engine",
        type=engine,
        default="memory",
        metavar="E",
        help="memory, moto, or the URL of a DynamoDB endpoint (memory)",
    )
    demo.add_argument(
        "--clock",
        choices=("real", "virtual"),
        default="real",
        metavar="C",
        help="real, or virtual: simulated time, a run repeats exactly (real)",
    )
    demo.add_argument(
        "--json",
        action="store_true",
        help="the last line is one JSON object; the rest goes to stderr",
    )
    demo.set_defaults(run=lazily("workpool_aws.cli.demo.run:run"))
