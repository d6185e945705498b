"""Options of the commands that show and manage a pool in AWS.

A command loads when it runs, so help needs no SDK.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Final

from workpool_aws.cli.argument_types import one_of, rate, whole
from workpool_aws.core import limits
from workpool_aws.model.bounds import ATTEMPTS_MAX

__all__ = ["MANAGE_CODES", "add_commands", "lazily"]

MANAGE_CODES: Final = """\
exit codes: 0 done; 1 AWS did not answer, or the answer could not be written; 2 a wrong option
or configuration; 3 a pool, schedule, group, error or work item is unknown, or a work item is not in a state for it;
4 not confirmed, nothing was changed; 130 interrupted
"""
_STATES: Final = ("pending", "running", "finished", "success", "failed", "canceled", "dead")
_KINDS: Final = ("action", "query", "mutation")
_ACTS: Final = ("pause", "resume", "run")
_MARKS: Final = ("resolve", "ignore", "open")
_WINDOW_MIN_MAX: Final = limits.STATS_WINDOW_MS_MAX // 60_000

Adder = Callable[[str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def add_commands(add: Adder) -> None:
    """Add all commands.

    `add` makes the parser of a command from its name, its help and its function.
    """
    group = _Groups(add)
    group.enqueue()
    group.works()
    group.work()
    group.why()
    group.pools()
    group.limits()
    group.stats()
    group.table()
    group.dev()
    group.schedules()
    group.errors()
    group.groups()


@dataclass(frozen=True, slots=True)
class _Groups:
    """The commands by their subjects."""

    add: Adder

    def enqueue(self) -> None:
        """Add `enqueue`."""
        enqueue = self.add(
            "enqueue", "enqueue one work item", lazily("workpool_aws.cli.enqueue:run_enqueue")
        )
        enqueue.add_argument(
            "target", metavar="TARGET", help="a job's name, or a function's name or ARN"
        )
        enqueue.add_argument(
            "args", metavar="ARGS", nargs="?", default="{}", help="a JSON object; -: from stdin"
        )
        enqueue.add_argument(
            "--kind", type=one_of(*_KINDS), default="action", metavar="K", help=", ".join(_KINDS)
        )
        enqueue.add_argument(
            "--attempts",
            type=whole(1, ATTEMPTS_MAX),
            metavar="N",
            help="at most so many, with growing delays (an action makes one, the others five)",
        )
        enqueue.add_argument("--run-after", metavar="T", help="not before this span, such as 15m")
        enqueue.add_argument(
            "--request-id", metavar="R", help="repetitions with this id enqueue nothing further"
        )
        enqueue.add_argument(
            "--new", action="store_true", help="also where the table does not know the pool yet"
        )
        _with_target(enqueue)

    def works(self) -> None:
        """Add `ls`."""
        ls = self.add("ls", "list work items", lazily("workpool_aws.cli.works:run_ls"))
        ls.add_argument(
            "--state", type=one_of(*_STATES), metavar="S", help=f"one of {', '.join(_STATES)}"
        )
        ls.add_argument(
            "--wide", action="store_true", help="functions by their whole ARNs, errors uncut"
        )
        _with_job(ls, "only work items of this job or function")
        ls.add_argument("--error", metavar="T", help="only with this text in the error or its type")
        ls.add_argument(
            "--contains", metavar="T", help="only with this text in their arguments, of up to 4 KB"
        )
        ls.add_argument("--group", metavar="ID", help="only members of this group")
        ls.add_argument(
            "--since",
            metavar="T",
            help="only from this time on: an ISO time, or 2h for two hours ago",
        )
        ls.add_argument("--before", metavar="T", help="only before this time, as --since")
        ls.add_argument("--newest", action="store_true", help="newest first (oldest first)")
        ls.add_argument(
            "--limit",
            type=whole(1, limits.LIST_MAX),
            default=50,
            metavar="N",
            help="at most so many (50)",
        )
        ls.add_argument("--after", metavar="C", help="go on after a page that said so")
        _with_target(ls)

    def work(self) -> None:
        """Add the commands about one work item or some."""
        show = self.add(
            "show", "everything about one work item", lazily("workpool_aws.cli.works:run_show")
        )
        show.add_argument("id", metavar="ID")
        show.add_argument(
            "--args", action="store_true", help="with its arguments, which may be secret"
        )
        show.add_argument("--result", action="store_true", help="with what it returned")
        _with_target(show)

        cancel = self.add(
            "cancel",
            "keep work items from starting again",
            lazily("workpool_aws.cli.works:run_cancel"),
        )
        cancel.add_argument("ids", metavar="ID", nargs="*")
        cancel.add_argument(
            "--all", action="store_true", help="everything that the pool has, due or not"
        )
        _with_yes(cancel)

        redrive = self.add(
            "redrive",
            "enqueue work items again that failed for good, and deliver dead callbacks again",
            lazily("workpool_aws.cli.works:run_redrive"),
        )
        redrive.add_argument("ids", metavar="ID", nargs="*")
        redrive.add_argument("--all", action="store_true", help="every dead letter")
        _with_job(redrive, "with --all: only those of this job or function")
        _with_yes(redrive)

    def why(self) -> None:
        """Add `why`."""
        why = self.add(
            "why",
            "why a work item does not run, and what would change it",
            lazily("workpool_aws.cli.why:run_why"),
        )
        why.add_argument("id", metavar="ID")
        _with_target(why)

    def pools(self) -> None:
        """Add the commands about pools."""
        pools = self.add(
            "pools", "list the pools of a table", lazily("workpool_aws.cli.pools:run_pools")
        )
        _with_table(pools.add_argument_group("which table"))
        jobs = self.add(
            "jobs",
            "list the jobs of a table's deployment",
            lazily("workpool_aws.cli.pools:run_jobs"),
        )
        _with_table(jobs.add_argument_group("which table"))

    def limits(self) -> None:
        """Add the commands about the limit of a pool."""
        pause = self.add(
            "pause", "start nothing, go on accepting", lazily("workpool_aws.cli.pools:run_pause")
        )
        pause.add_argument(
            "--new", action="store_true", help="also where the table does not know the pool yet"
        )
        _with_target(pause)

        _with_target(
            self.add(
                "resume", "start work items again", lazily("workpool_aws.cli.pools:run_resume")
            )
        )

        limit = self.add(
            "limit",
            "show or set the number of work items that may run at a time",
            lazily("workpool_aws.cli.pools:run_limit"),
        )
        slots = whole(0, limits.PARALLELISM_MAX)
        limit.add_argument(
            "limit", type=slots, nargs="?", metavar="N", help="at most so many; none: show"
        )
        limit.add_argument(
            "--new", action="store_true", help="also where the table does not know the pool yet"
        )
        limit.add_argument(
            "--reset", action="store_true", help="drop what overrides the programs' own limits"
        )
        _with_target(limit)
        self.rate()

    def rate(self) -> None:
        """Add the command about the rate limit of a pool."""
        command = self.add(
            "rate",
            "show or set the number of starts in a window of time",
            lazily("workpool_aws.cli.pools:run_rate"),
        )
        command.add_argument(
            "rate",
            type=rate,
            nargs="?",
            metavar="N/WINDOW",
            help="as 100/1m, 10/s or, with a burst, 100/1m/5; none: no rate limit; left out: show",
        )
        command.add_argument(
            "--new", action="store_true", help="also where the table does not know the pool yet"
        )
        _with_target(command)

    def stats(self) -> None:
        """Add `stats`."""
        stats = self.add(
            "stats",
            "backlog, rates and lags of the pool",
            lazily("workpool_aws.cli.pools:run_stats"),
        )
        minutes = whole(1, _WINDOW_MIN_MAX)
        stats.add_argument(
            "--minutes", type=minutes, default=5, metavar="N", help="minutes to count back (5)"
        )
        stats.add_argument("--by-job", action="store_true", help="the figures of each job, too")
        _with_target(stats)

    def dev(self) -> None:
        """Add `dev`."""
        dev = self.add(
            "dev",
            "run your jobs on this machine with the dashboard, no AWS account needed",
            lazily("workpool_aws.cli.dev:run_dev"),
        )
        dev.add_argument(
            "handlers", metavar="MODULE:HANDLER", nargs="*", help="functions to deploy (the demo's)"
        )
        dev.add_argument(
            "--port", type=whole(0, 65_535), default=8766, metavar="N", help="the port (8766)"
        )
        dev.add_argument(
            "--speed",
            type=whole(1, 1_000),
            default=1,
            metavar="N",
            help="run time N times faster (1)",
        )
        dev.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
        dev.add_argument("--no-reload", action="store_true", help="do not begin again on a change")

    def table(self) -> None:
        """Add the commands about a whole table."""
        doctor = self.add(
            "doctor",
            "examine a table, its functions and its pools; exit code 1 if anything is found",
            lazily("workpool_aws.cli.doctor:run_doctor"),
        )
        _with_table(doctor.add_argument_group("which table"))

        dashboard = self.add(
            "dashboard",
            "show all pools of a table in a browser, and act on them",
            lazily("workpool_aws.cli.dashboard:run_dashboard"),
        )
        dashboard.add_argument("--read-only", action="store_true", help="refuse every act")
        dashboard.add_argument(
            "--host", default="127.0.0.1", metavar="H", help="the address to serve at (127.0.0.1)"
        )
        dashboard.add_argument(
            "--port", type=whole(0, 65_535), default=8765, metavar="N", help="the port (8765)"
        )
        dashboard.add_argument(
            "--name",
            action="append",
            metavar="N",
            help="with --host: a name by which browsers may address it; repeatable",
        )
        _with_table(dashboard.add_argument_group("which table"))

    def schedules(self) -> None:
        """Add the commands about schedules."""
        found = self.add(
            "schedules",
            "list the schedules of a pool",
            lazily("workpool_aws.cli.schedules:run_schedules"),
        )
        _with_target(found)
        change = self.add(
            "schedule",
            "pause or resume a schedule, or run its function now",
            lazily("workpool_aws.cli.schedules:run_schedule"),
        )
        change.add_argument("act", type=one_of(*_ACTS), metavar="ACT", help=", ".join(_ACTS))
        change.add_argument("name", metavar="NAME", help="the name of the schedule")
        change.add_argument(
            "--request-id",
            metavar="R",
            help="with `run`: repetitions with this id enqueue nothing further",
        )
        _with_target(change)

    def errors(self) -> None:
        """Add the commands about dead letters by their errors."""
        found = self.add(
            "errors", "list dead letters by error", lazily("workpool_aws.cli.errors:run_errors")
        )
        found.add_argument("--all", action="store_true", help="also those resolved or ignored")
        _with_target(found)
        mark = self.add(
            "error",
            "resolve or ignore an error, or open it again",
            lazily("workpool_aws.cli.errors:run_error"),
        )
        mark.add_argument("act", type=one_of(*_MARKS), metavar="ACT", help=", ".join(_MARKS))
        mark.add_argument("fingerprint", metavar="ERROR", help="its fingerprint, of 16 digits")
        _with_target(mark)

    def groups(self) -> None:
        """Add the commands about groups of work items."""
        found = self.add(
            "groups", "list the groups of a pool", lazily("workpool_aws.cli.groups:run_groups")
        )
        found.add_argument(
            "--limit",
            type=whole(1, limits.GROUPS_LIST_MAX),
            default=50,
            metavar="N",
            help="at most so many (50)",
        )
        found.add_argument("--after", metavar="ID", help="go on after a page that said so")
        _with_target(found)
        one = self.add(
            "group",
            "how far a group of work items is",
            lazily("workpool_aws.cli.groups:run_group"),
        )
        one.add_argument("id", metavar="ID", help="the id of the group")
        one.add_argument(
            "--cancel", action="store_true", help="keep those that have not started from starting"
        )
        _with_yes(one)


def _with_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    _with_target(parser)


def _with_job(parser: argparse.ArgumentParser, help_: str) -> None:
    parser.add_argument("--job", "--fn", dest="fn", metavar="J", help=f"{help_}: a name or an ARN")


def _with_target(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which pool")
    group.add_argument("--pool", metavar="P", help="the pool (WORKPOOL_POOL, else default)")
    _with_table(group)


def _with_table(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--table", metavar="T", help="the DynamoDB table (WORKPOOL_TABLE)")
    group.add_argument(
        "--region", metavar="R", help="the AWS region (AWS_REGION, else the profile's)"
    )
    group.add_argument(
        "--profile", metavar="N", help="the profile of the AWS config file (AWS_PROFILE)"
    )
    group.add_argument(
        "--json", action="store_true", help="answer with one JSON object (WORKPOOL_JSON)"
    )


def lazily(command: str) -> Callable[[argparse.Namespace], int]:
    """Return the function that carries out a command, loaded when it runs.

    `command` is `module:function`.
    """

    def run(options: argparse.Namespace) -> int:
        carry_out: Callable[[argparse.Namespace], int] = resolve_name(command)
        return carry_out(options)

    return run
