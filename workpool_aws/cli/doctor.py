"""The command `workpool doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.cli.codes import FAILED
from workpool_aws.cli.output import note
from workpool_aws.cli.target import output_of, ports_of, table_of
from workpool_aws.insights.insights import Insights

if TYPE_CHECKING:
    import argparse

__all__ = ["run_doctor"]


def run_doctor(options: argparse.Namespace) -> int:
    """`workpool doctor`."""
    table, output = table_of(options), output_of(options)
    answer = Insights(table, ports=ports_of(options, table)).doctor()
    if output.as_json:
        output.json(
            {
                "findings": [
                    {
                        "code": each.code,
                        "subject": each.subject,
                        "text": each.text,
                        "remedy": each.remedy,
                    }
                    for each in answer.value
                ],
                "read_units": answer.cost.read_units,
            }
        )
    else:
        for each in answer.value:
            output.fields([(each.subject, f"{each.text} [{each.code}]"), ("  remedy", each.remedy)])
        found = len(answer.value)
        note(f"{found or 'no'} {'finding' if found == 1 else 'findings'} in table {table}")
    return FAILED if answer.value else 0
