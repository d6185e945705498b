"""The reference of the command line, made from its parser."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from workpool_aws.cli.main import make_parser

if TYPE_CHECKING:
    from collections.abc import Iterator


def command_line() -> str:
    """The commands with their options, as sections of a page in Markdown."""
    return "\n".join(
        line for name, parser in _commands().items() for line in _section(name, parser)
    )


def _commands() -> dict[str, argparse.ArgumentParser]:
    [commands] = [
        action
        for action in make_parser()._actions  # noqa: SLF001 - argparse has no public view of what was added
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - as above
    ]
    return dict(commands.choices)


def _section(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    actions = [
        action
        for action in parser._actions  # noqa: SLF001 - as above
        if not isinstance(action, argparse._HelpAction)  # noqa: SLF001 - as above
    ]
    yield from (f"## workpool {name}", "", (parser.description or "").split("\n\n")[0], "")
    if actions:
        yield from ("| option | meaning |", "|---|---|")
        yield from (f"| `{_spelling(each)}` | {_meaning(each)} |" for each in actions)
    yield ""


def _spelling(action: argparse.Action) -> str:
    value = action.metavar or action.dest.upper()
    if not action.option_strings:
        return f"[{value}]" if action.nargs in {"?", "*"} else str(value)
    names = ", ".join(action.option_strings)
    return names if action.nargs == 0 else f"{names} {value}"


def _meaning(action: argparse.Action) -> str:
    return (action.help or "").replace("|", r"\|").replace("%%", "%")
