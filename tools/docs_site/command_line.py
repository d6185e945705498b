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
        line
        for name, parser in _commands("workpool", make_parser())
        for line in _section(name, parser)
    )


def _commands(
    name: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The parsers that run something, those of nested commands too, by their whole names."""
    nested = [each for each in _actions(parser) if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001 - argparse has no public view of what was added
    if not nested:
        yield name, parser
    for action in nested:
        for word, inner in action.choices.items():
            yield from _commands(f"{name} {word}", inner)


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [each for each in parser._actions if not isinstance(each, argparse._HelpAction)]  # noqa: SLF001 - as above


def _section(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    actions = _actions(parser)
    yield from (f"## {name}", "", (parser.description or "").split("\n\n")[0], "")
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
