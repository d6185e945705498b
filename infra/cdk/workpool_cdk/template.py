"""Writes a plain CloudFormation template and the zip of its code.

The command is `python -m workpool_cdk.template`. Both are the same bytes on every machine and in
every run, for the same configuration and the same sources.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from aws_cdk import App

from workpool_cdk.bundling import COMPILE_CONTEXT, PLATFORM_CONTEXT
from workpool_cdk.config import AppConfig, read_config
from workpool_cdk.errors import ConfigurationError, must_be
from workpool_cdk.naming import NAMES_CONTEXT
from workpool_cdk.plain import PlainStack

__all__ = ["CONTEXT", "TEMPLATE", "Written", "main", "write"]

TEMPLATE: Final = "workpool.template.json"
TEMPLATE_BYTES_MAX: Final = 51_200
"""CloudFormation takes a larger template from S3 only."""
CONTEXT: Final = {
    NAMES_CONTEXT: "stack",
    COMPILE_CONTEXT: False,  # the same bytes whichever Python writes them
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/core:target-partitions": ["aws", "aws-cn", "aws-us-gov"],
    "aws:cdk:enable-path-metadata": False,
    "aws:cdk:enable-asset-metadata": False,
}
_ANY_DAY: Final = (1980, 1, 1, 0, 0, 0)
_READABLE: Final = 0o100644 << 16
"""A plain file that everyone may read, as the user of Lambda's process must."""


@dataclass(frozen=True, slots=True)
class Written:
    """The two files, and the key under which the template expects the second."""

    template: Path
    code: Path


def write(config: AppConfig, folder: Path, *, platform: str = "lambda") -> Written:
    """Write both files into a folder.

    Args:
        config: The pools and their table.
        folder: It exists. Files of the same names are replaced; zips of other versions stay.
        platform: `lambda`, or `host` for an emulated AWS whose functions are processes of this
            machine.

    Raises:
        ConfigurationError: the configuration cannot be deployed, or pip could not install what the
            lock names. Nothing was written.
    """
    with tempfile.TemporaryDirectory(prefix="workpool-template-") as output:
        context = {**CONTEXT, PLATFORM_CONTEXT: platform}
        app = App(context=context, analytics_reporting=False, outdir=output)
        stack = PlainStack(app, config)
        template: dict[str, Any] = app.synth().get_stack_by_name(config.stack).template
        written = Written(folder / TEMPLATE, folder / stack.code_key)
        _zip(Path(output) / stack.code_folder, written.code)
        written.template.write_text(_text(template), encoding="utf-8")
    return written


def _text(template: dict[str, Any]) -> str:
    """Returns readable JSON, or compact JSON if CloudFormation would refuse the former."""
    text = json.dumps(template, indent=1) + "\n"
    if len(text) <= TEMPLATE_BYTES_MAX:
        return text
    return json.dumps(template, separators=(",", ":")) + "\n"


def _zip(folder: Path, archive: Path) -> None:
    with ZipFile(archive, "w", ZIP_DEFLATED) as opened:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = ZipInfo(path.relative_to(folder).as_posix(), _ANY_DAY)
                entry.external_attr = _READABLE
                entry.compress_type = ZIP_DEFLATED
                opened.writestr(entry, path.read_bytes())


def _folder(path: str) -> Path:
    """Makes and returns the folder of the command line, before the bundling takes its time."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = f"a folder, or a path where one can be made ({error.strerror})"
        raise must_be("--out", allowed, path) from error
    return Path(path)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command, and return 0, or 1 with the refusal on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m workpool_cdk.template",
        description="Write a plain CloudFormation template of the pools, and the zip of its code.",
    )
    parser.add_argument(
        "--config", default="workpool.toml", help="the pools (default: %(default)s)"
    )
    parser.add_argument("--out", default="template", help="a folder (default: %(default)s)")
    parser.add_argument(
        "--bundle-for",
        default="lambda",
        help="lambda (default), or host: this machine, for an emulated AWS",
    )
    said = parser.parse_args(words)
    try:
        config = read_config(Path(said.config))
        written = write(config, _folder(said.out), platform=said.bundle_for)
    except ConfigurationError as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    sys.stdout.write(f"{written.template}\n{written.code}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
