"""Importing is cheap: what a cold start need not load, it does not load.

Judged by modules, not by time.
"""

import subprocess
import sys

import pytest

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


def loaded_by(statement: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after the statement."""
    script = f"import sys\n{statement}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_loaded_package_would_be_seen() -> None:
    assert "botocore" in loaded_by("import boto3")


@pytest.mark.parametrize(
    "statement",
    [
        "import workpool_aws",
        "from workpool_aws import RetryPolicy, Status, Result, WorkId, UsageError",
        "from workpool_aws import Workpool; Workpool('my-table')",
        "from workpool_aws import TaskPool; TaskPool().done()",
        "from workpool_aws.task_pool import DurableTask, TaskPoolMiddleware, with_task_pool",
        "import workpool_aws.adapters.wire.destination",
        "import workpool_aws.compose",
        "import workpool_aws.local",
        "import workpool_aws.local.pytest_plugin",
        "import workpool_aws.testing",
    ],
)
def test_heavy_packages_are_loaded_when_they_are_needed(statement: str) -> None:
    allowed = {"pytest"} if "pytest_plugin" in statement else set()

    assert loaded_by(statement) - allowed == set()


def packages_beside_python(statement: str) -> tuple[set[str], int]:
    """The top-level packages that a statement loads beside the standard library, and how many modules of ours."""
    script = f"""
import sys
before = set(sys.modules)
{statement}
loaded = [name.split(".")[0] for name in set(sys.modules) - before]
print(loaded.count("workpool_aws"), *set(loaded) - sys.stdlib_module_names)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    ours, *names = done.stdout.split()
    return set(names), int(ours)


def test_facade_loads_one_module() -> None:
    assert packages_beside_python("import workpool_aws") == ({"workpool_aws"}, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "from workpool_aws import Workpool; Workpool('my-table')",
        "from workpool_aws import Workpool\n@Workpool('my-table').action\ndef job(n: int) -> None: ...",
        "from workpool_aws import TaskPool; TaskPool().done()",
        "import workpool_aws.handlers.main_loop",
        "import workpool_aws.handlers.completion",
        "import workpool_aws.handlers.watchdog",
    ],
)
def test_module_of_function_loads_only_what_reads_ids_beside_library(
    statement: str,
) -> None:
    """ULIDs are spelled by python-ulid, which needs typing_extensions on Python 3.11. Times of schedules are computed by cronsim."""
    names, _ = packages_beside_python(statement)

    assert names <= {"workpool_aws", "ulid", "typing_extensions", "cronsim"}


@pytest.mark.parametrize("package", ["core", "flow", "model"])
def test_decisions_and_steps_load_no_sdk(package: str) -> None:
    modules = f"import importlib, pkgutil, workpool_aws.{package} as p"
    walk = "[importlib.import_module(f'{p.__name__}.{m.name}') for m in pkgutil.iter_modules(p.__path__)]"

    assert loaded_by(f"{modules}\n{walk}") == set()


def test_local_cloud_leaves_moto_alone_until_it_is_entered() -> None:
    assert "moto" not in loaded_by(
        "from workpool_aws.local import LocalCloud; LocalCloud(clock='virtual')"
    )
