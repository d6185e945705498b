"""Synthesized apps go to a folder of the test run."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _out_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        from tests.infra import deployment  # noqa: PLC0415 - needs aws-cdk-lib, which a checkout without Node has not
    except ImportError:
        return
    deployment.OUT = tmp_path_factory.mktemp("cdk")
