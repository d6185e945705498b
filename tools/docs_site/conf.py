"""The configuration of the documentation site: `make site`."""

import re
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import NewType

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "infra" / "cdk")]

from docutils import nodes  # noqa: E402 - after the line above
from sphinx import addnodes  # noqa: E402 - as above
from sphinx.application import Sphinx  # noqa: E402 - as above
from sphinx.util import inspect  # noqa: E402 - as above
from sphinx.util.inspect import stringify_signature  # noqa: E402 - as above

from tools.docs_site.sources import PROJECT  # noqa: E402 - found by that line

project = "workpool_aws"
version = release = PROJECT["version"]
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "tools.docs_site.attributes",
    "tools.docs_site.llms",
    "tools.docs_site.offline",
    "tools.docs_site.sequence",
]
default_role = "literal"  # docstrings mark code as Markdown does
myst_heading_anchors = 4  # links lead to headings, as in the repository

autodoc_default_options = {
    "members": True,
    "inherited-members": "object, BaseException, Enum, dict, str",  # those of our own classes
}
autodoc_member_order = "bysource"
autodoc_mock_imports = ["aws_cdk", "constructs", "jsii"]  # the construct is read without Node
autodoc_typehints = "signature"
napoleon_custom_sections = []
python_display_short_literal_types = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"workpool_aws {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False  # `llms` writes each page as Markdown
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "tango"
pygments_dark_style = "native"


def setup(app: Sphinx) -> None:
    """Connect what the pages of classes need."""
    app.connect("autodoc-process-signature", _signature_of_class)
    app.connect("autodoc-process-docstring", _without_docs_of_new_type)
    app.connect("doctree-read", _lead_to_library)


_WITHOUT_SIGNATURE = ("JobHandle", "LambdaContext", "Monitoring")


def _signature_of_class(
    _: Sphinx,
    kind: str,
    name: str,
    thing: object,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None] | None:
    """No signature for values that the library makes, and the own one of a construct.

    autodoc finds that of the mock below a construct first.
    """
    if kind != "class":
        return _without_mocked_calls(signature), returns
    made_by_users = name == "workpool_aws.RetryPolicy"
    if not made_by_users and (is_dataclass(thing) or name.endswith(_WITHOUT_SIGNATURE)):
        return "", ""
    if name.startswith("workpool_cdk.") and "__init__" in vars(thing):
        own = inspect.signature(thing.__init__, bound_method=True)
        shown = {"show_return_annotation": False, "unqualified_typehints": True}
        return _without_mocked_calls(stringify_signature(own, **shown)), ""
    return None


def _without_mocked_calls(signature: str | None) -> str | None:
    """A default such as `Duration.seconds(60)` is a mock without its number: the docstring has it."""
    return signature and re.sub(r"= aws_cdk\.Duration\.\w+", "= ...", signature)


def _without_docs_of_new_type(
    _: Sphinx, _kind: str, _name: str, thing: object, _options: object, lines: list[str]
) -> None:
    """A `NewType` has the documentation of `NewType`."""
    if isinstance(thing, NewType):
        lines.clear()


def _lead_to_library(_: Sphinx, page: nodes.document) -> None:
    """An annotation by the bare name means the library's class; the construct has the same name."""
    for link in page.findall(addnodes.pending_xref):
        if link["reftarget"] == "Workpool":
            link["reftarget"] = "workpool_aws.Workpool"
