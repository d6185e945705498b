"""Every IAM statement of a deployment, in words that do not change with names.

`python -m tests.infra.statements` writes them to `iam.json` (`make iam`). A reviewer looks at the
difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("iam.json")
_HASH = re.compile(r"(?<=[A-Za-z])[0-9A-F]{8}\b")
_UNIQUE = re.compile(r"MailPools[0-9A-F]{8}")


def statements_of(template: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the statements of each role, and those that may assume it."""
    found: dict[str, list[dict[str, Any]]] = {}
    resources: Mapping[str, Mapping[str, Any]] = template["Resources"]
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::IAM::Role":
                found.setdefault(_word(name), []).extend(
                    _plain(properties["AssumeRolePolicyDocument"]["Statement"])
                )
            case "AWS::IAM::Policy":
                for role in properties["Roles"]:
                    found.setdefault(_word(role["Ref"]), []).extend(
                        _plain(properties["PolicyDocument"]["Statement"])
                    )
            case "AWS::SQS::QueuePolicy" | "AWS::SNS::TopicPolicy":
                found.setdefault(_word(name), []).extend(
                    _plain(properties["PolicyDocument"]["Statement"])
                )
            case _:
                pass
    return {
        role: sorted(found[role], key=lambda each: json.dumps(each, sort_keys=True))
        for role in sorted(found)
    }


def _plain(value: Any) -> Any:
    match value:
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            return f"<{_word(name)}>"
        case {"Ref": str(name)}:
            return f"<{_word(name)}>"
        case {"Fn::Join": ["", list(parts)]}:
            return "".join(_plain(part) for part in parts)
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case str():
            return re.sub(r"-[0-9A-F]{8}\b", "", value)
        case _:
            return value


def _word(name: str) -> str:
    return _HASH.sub("", _UNIQUE.sub("", name))


def statements_now() -> dict[str, list[dict[str, Any]]]:
    """Those of a deployment in which everything was added."""
    from tests.infra.deployment import everything  # noqa: PLC0415 - needs aws-cdk-lib

    return statements_of(everything().template())


if __name__ == "__main__":
    PATH.write_text(json.dumps(statements_now(), indent=1) + "\n", encoding="utf-8")
