"""Importing is cheap: what a cold start need not load, it does not load.

Judged by modules, not by time.
"""

import subprocess
import sys

from workpool_aws.api import pool as module

HEAVY = (
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "moto",
    "opentelemetry",
    "pydantic",
    "pytest",
    "rich",
)


def loaded_by(*statements: str) -> dict[str, set[str]]:
    """The heavy packages that each statement loads in a fresh interpreter that has run those before it."""
    script = f"""
import sys
seen = set()
for statement in {statements!r}:
    exec(statement, {{}})
    new = {{name for name in {HEAVY!r} if name in sys.modules}} - seen
    seen |= new
    print(*sorted(new))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {
        statement: set(line.split())
        for statement, line in zip(statements, done.stdout.splitlines(), strict=True)
    }


def test_loaded_package_would_be_seen() -> None:
    assert loaded_by("import json", "import boto3", "import botocore") == {
        "import json": set(),
        "import boto3": {"boto3", "botocore"},
        "import botocore": set(),
    }


def test_heavy_packages_are_loaded_when_they_are_needed() -> None:
    """The statements load none of them, so an earlier one hides nothing of a later one."""
    found = loaded_by(
        "import workpool_aws",
        "from workpool_aws import RetryPolicy, Status, Result, WorkId, UsageError",
        "from workpool_aws import Workpool; Workpool('my-table')",
        "from workpool_aws import TaskPool; TaskPool().done()",
        "from workpool_aws.task_pool import DurableTask, TaskPoolMiddleware, with_task_pool",
        "import workpool_aws.adapters.wire.destination",
        "import workpool_aws.compose",
        "import workpool_aws.local",
        "from workpool_aws.local import LocalCloud; LocalCloud(clock='virtual')",
        "import workpool_aws.testing",
        *(every_module_of(package) for package in ("core", "flow", "model")),
    )

    assert {statement: names for statement, names in found.items() if names} == {}


def test_plugin_loads_pytest_alone() -> None:
    [loaded] = loaded_by("import workpool_aws.local.pytest_plugin").values()

    assert loaded <= {"pytest"}


def every_module_of(package: str) -> str:
    """Decisions and steps load no SDK."""
    return (
        f"import importlib, pkgutil, workpool_aws.{package} as p\n"
        "for m in pkgutil.iter_modules(p.__path__): importlib.import_module(f'{p.__name__}.{m.name}')"
    )


def packages_beside_python(*statements: str) -> list[tuple[set[str], int]]:
    """The top-level packages that each statement loads beside the standard library, and how many modules of ours.

    One interpreter runs them one after the other.
    """
    script = f"""
import sys
for statement in {statements!r}:
    before = set(sys.modules)
    exec(statement, {{"__name__": "job_module"}})
    loaded = [name.split(".")[0] for name in set(sys.modules) - before]
    print(loaded.count("workpool_aws"), *set(loaded) - sys.stdlib_module_names)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(statements)
    return [(set(names), int(ours)) for ours, *names in lines]


def test_facade_loads_one_module() -> None:
    assert packages_beside_python("import workpool_aws") == [({"workpool_aws"}, 1)]


def test_module_of_function_loads_only_what_reads_ids_beside_library() -> None:
    """ULIDs are spelled by python-ulid, which needs typing_extensions on Python 3.11. Times of schedules are computed by cronsim."""
    loaded = packages_beside_python(
        "from workpool_aws import Workpool; Workpool('my-table')",
        "from workpool_aws import Workpool\n@Workpool('my-table').action\ndef job(n: int) -> None: ...",
        "from workpool_aws import TaskPool; TaskPool().done()",
        "import workpool_aws.handlers.main_loop",
        "import workpool_aws.handlers.completion",
        "import workpool_aws.handlers.watchdog",
    )

    allowed = {"workpool_aws", "ulid", "typing_extensions", "cronsim"}
    assert [names - allowed for names, _ in loaded] == [set()] * 6


def test_library_is_loaded_as_users_load_it() -> None:
    """Pytest rewrites the assertions of these tests, and tests/conftest.py exempts the library."""
    assert "@pytest_ar" in globals()
    assert "@pytest_ar" not in vars(module)
