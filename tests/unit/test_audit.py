"""`make audit`: which answers of pip-audit are findings, and which are none at all."""

import json

import pytest

from tests.arch import locks
from tools.audit import CLEAN, FOUND, LOCKS, UNREACHED, advice


def said(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


WELL = {"name": "six", "version": "1.17.0", "vulns": []}
ILL = {
    "name": "pip",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": []}],
}
UNKNOWN = {"name": "idna", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("stdout", "code", "text"),
    [
        (said(WELL), CLEAN, "lock: 1 packages, no advisory"),
        (said(WELL, ILL), FOUND, "lock: pip 1.0: PYSEC-1, mended in 2.0"),
        (said(ILL, UNKNOWN), FOUND, "lock: 1 of 2 packages not compared (idna): not found"),
        (said(WELL, UNKNOWN), UNREACHED, "lock: 1 of 2 packages not compared (idna): not found"),
        ("", UNREACHED, "lock: not compared: no route to the service"),
        ('{"dependencies"', UNREACHED, "lock: not compared: no route to the service"),
        ("[]", UNREACHED, "lock: not compared: no route to the service"),
    ],
)
def test_clean_audit_is_whole_answer_without_findings(stdout: str, code: int, text: str) -> None:
    answer = advice("lock", 1, stdout, "Traceback\nno route to the service\n")

    assert answer.code == code
    assert text in answer.lines


def test_every_lock_is_compared() -> None:

    assert set(LOCKS) == {lock.path for lock in locks.LOCKS}
