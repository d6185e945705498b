"""The command `workpool`: its options, its messages and its exit codes (`codes`)."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, NoReturn

from workpool_aws.cli.codes import FAILED, INTERRUPTED, UNFIT, USAGE, UnknownPool
from workpool_aws.cli.demo import options as demo
from workpool_aws.cli.manage import MANAGE_CODES, add_commands
from workpool_aws.errors import NotFound, UsageError, WorkpoolError
from workpool_aws.text import as_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _typeshed import SupportsWrite

__all__ = ["main", "make_parser"]

_MESSAGE_MAX: Final = 1_000
_UNWRITABLE: Final = frozenset({errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})


class _Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line, and raises if help cannot be written."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help to standard output."""
        (sys.stdout if file is None else file).write(self.format_help())

    def error(self, message: str) -> NoReturn:
        """Print one line to stderr, and exit with code 2."""
        self.exit(
            USAGE,
            f"{self.prog}: error: {as_line(message, limit=_MESSAGE_MAX)} "
            f"(see {self.prog} --help)\n",
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line, and return the exit code. Defaults to that of this process.

    An error that a user can cause becomes a message and an exit code.
    """
    parser = make_parser()
    return _guarded(lambda: _parse(parser, argv), parser.prog)


def _parse(parser: _Parser, argv: Sequence[str] | None) -> int:
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    if options.version:
        try:
            print(f"workpool {version('workpool-aws')}")
        except PackageNotFoundError:
            print("workpool (run from its sources, not installed)")
        return 0
    if options.run is None:
        parser.print_help(sys.stderr)
        return USAGE
    run: Callable[[argparse.Namespace], int] = options.run
    return _guarded(lambda: run(options), f"{parser.prog} {options.command}")


def _guarded(run: Callable[[], int], name: str) -> int:
    try:
        _prepare_stdout()
        code = run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        _complain(f"{name}: interrupted", first="\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has gone.
        _write_nowhere()
        return FAILED
    except UsageError as error:
        _complain(f"{name}: error: {error}")
        return USAGE
    except (NotFound, UnknownPool) as error:
        _complain(f"{name}: error: {error}")
        return UNFIT
    except (WorkpoolError, ModuleNotFoundError) as error:
        _complain(f"{name}: error: {error}")
        return FAILED
    except OSError as error:
        _write_nowhere()
        cause = "the answer cannot be written: " if error.errno in _UNWRITABLE else ""
        _complain(f"{name}: error: {cause}{error.strerror or error}")
        return FAILED
    return code


def _prepare_stdout() -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    # A terminal of another encoding shows the escapes of characters that it does not have.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _write_nowhere() -> None:
    """Send the rest of stdout to the null device, so that Python's last flush does not fail."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str, *, first: str = "") -> None:
    # If stderr is closed or full, only the exit code is left.
    with suppress(OSError, ValueError):
        print(f"{first}{as_line(text)}", file=sys.stderr, flush=True)


def make_parser() -> _Parser:
    """Make the parser of all commands. It loads none of them."""
    parser = _Parser(
        prog="workpool",
        description="Background work for AWS Lambda on one DynamoDB table.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    demo.add_options(
        commands.add_parser(
            "demo",
            help="watch a pool work on this machine, no AWS account needed",
            description=demo.DESCRIPTION,
            epilog=demo.CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
    )

    def add(
        name: str, text: str, run: Callable[[argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=MANAGE_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.set_defaults(run=run)
        return command

    add_commands(add)
    return parser
