"""Spares moto work that changes nothing in its answers.

Without the places that it knows in moto, nothing is spared.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.local.apis.interception import remembering, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["spared"]

_METHOD: Final = "_serialize_type_structure"
_PLAIN: Final = {"S": str, "N": str, "BOOL": bool}
"""Types of attributes whose value in moto is the one on the wire."""
_ASKED_AGAIN: Final = (
    ("moto.core.responses", "method_names_from_class"),
    ("botocore.useragent", "sanitize_user_agent_string_component"),
)
"""Functions that are called in every request, mostly with the arguments of the one before."""


@contextmanager
def spared() -> Iterator[None]:
    """Inside, moto does nothing of this."""
    with ExitStack() as undo:
        undo.enter_context(_attributes_as_they_are())
        undo.enter_context(_texts_as_they_are())
        for module, name in _ASKED_AGAIN:
            original = _attribute_of(module, name)
            if original is not None:
                undo.enter_context(replaced(import_module(module), name, remembering(original)))
        yield


@contextmanager
def _attributes_as_they_are() -> Iterator[None]:
    """Inside, moto's DynamoDB copies a plain attribute into its answer.

    It looks for each of ten types under two names otherwise.
    """
    class_of = _attribute_of("moto.core.serialize", "get_serializer_class")
    serializer = class_of and class_of("dynamodb", "json")
    original: Any = getattr(serializer, _METHOD, None)
    if original is None:
        yield
        return

    def serialize_here(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if key and shape.name == "AttributeValue" and type(value) is dict and len(value) == 1:
            ((kind, content),) = value.items()
            if type(content) is _PLAIN.get(kind):
                self._default_serialize(serialized, {kind: content}, shape, key)
                return
        original(self, serialized, value, shape, key)

    with replaced(serializer, _METHOD, serialize_here):
        yield


@contextmanager
def _texts_as_they_are() -> Iterator[None]:
    """Inside, moto compares texts without asking of each whether it is a number, a set, a list, a map or nothing."""
    attribute = _attribute_of("moto.dynamodb.models.dynamo_type", "DynamoType")
    original: Any = getattr(attribute, "cast_value", None)
    if not isinstance(original, property) or original.fget is None:
        yield
        return
    cast: Any = original.fget

    def cast_here(self: Any) -> Any:
        return self.value if self.type == "S" else cast(self)

    with replaced(attribute, "cast_value", property(cast_here)):
        yield


def _attribute_of(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None
