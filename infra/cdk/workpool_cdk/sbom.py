"""Lists the packages in the asset, as a software bill of materials: CycloneDX 1.6, in JSON.

The list is made of pip's report of its own run: the version, the licence that the package declares,
and the hash of the very file that was installed. It has neither a time nor a serial number, so that
the same bundle has the same list.

Source: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import metadata
from typing import Any, Final

__all__ = ["BILL", "bill_of_materials"]

BILL: Final = "sbom.cdx.json"
"""Name of the list, at the top of the asset."""

_OURS: Final = "workpool-aws"
_CLASSIFIER: Final = "License :: OSI Approved :: "


def bill_of_materials(installed: Sequence[Mapping[str, Any]]) -> str:
    """Write the list for the packages that pip reports as installed, beside the library itself."""
    own = metadata(_OURS).json
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _component("application", own)},
        "components": sorted(
            (_package(each) for each in installed), key=lambda each: str(each["bom-ref"])
        ),
    }
    return json.dumps(bill, indent=2, ensure_ascii=True) + "\n"


def _package(reported: Mapping[str, Any]) -> dict[str, object]:
    component = _component("library", reported["metadata"])
    digest = (
        reported.get("download_info", {}).get("archive_info", {}).get("hashes", {}).get("sha256")
    )
    if digest is not None:
        component["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return component


def _component(kind: str, declared: Mapping[str, Any]) -> dict[str, object]:
    name = re.sub(r"[-_.]+", "-", declared["name"]).lower()
    url = f"pkg:pypi/{name}@{declared['version']}"
    component: dict[str, object] = {
        "type": kind,
        "bom-ref": url,
        "name": name,
        "version": declared["version"],
        "purl": url,
    }
    licences = _licences(declared)
    if licences:
        component["licenses"] = licences
    return component


def _licences(declared: Mapping[str, Any]) -> list[dict[str, object]]:
    """Read the licence, the most exact word first: an SPDX expression, a classifier, a short text.

    A whole licence is no name.
    """
    expression = declared.get("license_expression")
    if expression:
        return [{"expression": expression}]
    classified = [
        each.removeprefix(_CLASSIFIER)
        for each in declared.get("classifier", ())
        if each.startswith(_CLASSIFIER)
    ]
    text = str(declared.get("license", "")).strip()
    names = classified or ([text] if text and "\n" not in text else [])
    return [{"license": {"name": each}} for each in sorted(names)]
