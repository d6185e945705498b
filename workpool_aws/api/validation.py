"""Validates the arguments of a function by pydantic, which only workers load."""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    NotRequired,
    Required,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import from_json
from typing_extensions import TypedDict

from workpool_aws.api.parameters import InvalidArgumentsError, Problem
from workpool_aws.text import NOTHING, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_core import ErrorDetails

__all__ = ["ReturnValidation", "Validation"]

_NO_DEFAULT: Final = inspect.Parameter.empty
_MISSING: Final = frozenset({"missing_argument", "missing_keyword_only_argument"})


def _unusable(name: str, error: BaseException) -> InvalidArgumentsError:
    # The first line only: pydantic adds links and advice.
    reason = (str(error).splitlines() or [""])[0].removesuffix(".")
    kind = type(error).__name__
    return InvalidArgumentsError([f"{name}: its annotation cannot be used: {kind}: {reason}"])


@dataclass(frozen=True, slots=True)
class _Names:
    """The names that annotations of a function may use."""

    module: dict[str, object]
    type_parameters: dict[str, object]

    @classmethod
    def of(cls, function: Callable[..., object]) -> _Names:
        """Return the names of its module, and its type parameters."""
        module: dict[str, object] = getattr(inspect.unwrap(function), "__globals__", {})
        own = getattr(function, "__type_params__", ())
        return cls(module, {each.__name__: each for each in own})

    def resolve(self, name: str, annotation: object) -> object:
        """Return the annotation with its names resolved. Raises InvalidArgumentsError."""
        holder = SimpleNamespace(__annotations__={name: annotation})
        try:
            hints = get_type_hints(
                holder, globalns=self.module, localns=self.type_parameters, include_extras=True
            )
        except Exception as error:
            raise _unusable(name, error) from error
        resolved: object = hints[name]
        return resolved

    def resolved(self, parameter: inspect.Parameter) -> inspect.Parameter:
        """Return the parameter with an annotation that pydantic can read."""
        if parameter.annotation is inspect.Parameter.empty:
            return parameter
        hint = self.resolve(parameter.name, parameter.annotation)
        return parameter.replace(annotation=_readable(hint))


class Validation:
    """The validation of one function's arguments, with its annotations resolved.

    Raises:
        InvalidArgumentsError: An annotation cannot be resolved, or pydantic cannot build it.
    """

    def __init__(
        self,
        function: Callable[..., object],
        parameters: Mapping[str, inspect.Parameter],
        handle_of: Callable[[inspect.Parameter, object], type | None],
    ) -> None:
        names = _Names.of(function)
        self.handles: dict[str, object] = {}
        """The parameters that receive a handle, and their defaults. Callers cannot give them."""
        self.handle_types: dict[str, type] = {}
        """The type of handle that each of them receives."""
        taken: list[inspect.Parameter] = []
        for name, parameter in parameters.items():
            resolved = names.resolved(parameter)
            handle = handle_of(resolved, resolved.annotation)
            if handle is not None:
                default: object = resolved.default
                if isinstance(default, FieldInfo):
                    default = _NO_DEFAULT if default.is_required() else default.get_default()
                self.handles[name] = default
                self.handle_types[name] = handle
            else:
                taken.append(resolved)
        try:
            self._adapter = _built_adapter(taken, function)
        except Exception as error:
            for each in taken:
                try:
                    _built_adapter([each], function)
                except Exception as alone:
                    raise _unusable(each.name, alone) from alone
            raise _unusable("function", error) from error

    def read(self, given: Mapping[str, object]) -> tuple[dict[str, object], list[Problem]]:
        """Return the arguments as the function takes them, and the problems with them."""
        for_handles = [
            Problem(name, "Unexpected keyword argument") for name in given if name in self.handles
        ]
        own = {name: value for name, value in given.items() if name not in self.handles}
        try:
            text = json.dumps(own)
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"event: it is no JSON: {type(error).__name__}"
            raise InvalidArgumentsError([problem]) from error
        try:
            # As JSON, where pydantic accepts text for dates, bytes and sets, which JSON cannot
            # express.
            return self._adapter.validate_json(text), for_handles
        except ValidationError as error:
            details = error.errors()
        # Of a text that is no JSON pydantic does not say which value is to blame.
        problems = _unreadable(own) or [_said(each) for each in details]
        return {}, problems + for_handles

    def handles_missing(self) -> list[Problem]:
        """Return the problems with a call that has no handle to give."""
        needed = [name for name, default in self.handles.items() if default is _NO_DEFAULT]
        return [Problem(name, "only a pool can give it") for name in needed]


class ReturnValidation:
    """The validation of one function's return values, with its annotation resolved.

    Raises:
        InvalidArgumentsError: The annotation cannot be resolved, or pydantic cannot build it.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        annotation = inspect.signature(function).return_annotation
        self._adapter: TypeAdapter[object] | None = None
        if annotation is inspect.Signature.empty:
            return
        resolved: Any = _Names.of(function).resolve("return", annotation)
        try:
            self._adapter = TypeAdapter(resolved)
        except Exception as error:
            raise _unusable("return", error) from error

    def read(self, value: object) -> object:
        """Return the value as annotated. Raises InvalidArgumentsError: it does not fit."""
        if self._adapter is None:
            return value
        try:
            return self._adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            details = error.errors()
        raise InvalidArgumentsError([str(_said(each)) for each in details])


def _readable(annotation: object) -> object:
    """Return an annotation that pydantic can read.

    Before Python 3.12 it unpacks only TypedDicts of typing_extensions.
    """
    kind = next(iter(get_args(annotation)), None)
    if (
        sys.version_info >= (3, 12)
        or get_origin(annotation) is not Unpack
        or not is_typeddict(kind)
    ):
        return annotation
    hints: dict[str, object] = get_type_hints(kind, include_extras=True)
    required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
    marked = {
        name: hint
        if get_origin(hint) in {Required, NotRequired}
        else (Required if name in required else NotRequired)[hint]
        for name, hint in hints.items()
    }
    make: Any = TypedDict  # type checkers want the name and the keys as literals
    made: object = make(getattr(kind, "__name__", "Options"), marked)
    return Unpack[made]


def _built_adapter(
    parameters: list[inspect.Parameter], function: Callable[..., object]
) -> TypeAdapter[dict[str, object]]:
    def received(**values: object) -> dict[str, object]:
        return values

    # Pydantic validates a call of this stand-in, which has the function's parameters by name,
    # without handles. The function itself is called later, so that its errors are never taken for
    # failed validations.
    by_name = [
        each if each.kind is each.VAR_KEYWORD else each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for each in parameters
    ]
    # A function is no type for type checkers; pydantic makes it the type of its calls.
    stand_in: Any = received
    vars(received)["__signature__"] = inspect.Signature(by_name)
    received.__annotations__ = {
        each.name: each.annotation for each in parameters if each.annotation is not each.empty
    }
    received.__module__ = function.__module__
    return TypeAdapter[dict[str, object]](stand_in)


def _said(detail: ErrorDetails) -> Problem:
    place, message = ".".join(map(str, detail["loc"])), detail["msg"]
    if detail["type"] in _MISSING:
        return Problem(place, "Field required", NOTHING)
    if detail["type"] == "union_tag_invalid":
        # Pydantic's own text quotes the tag that was given, and this text is stored and shown.
        context = detail.get("ctx", {})
        found, expected = context.get("discriminator"), context.get("expected_tags")
        message = (
            f"Input tag found using {found} does not match any of the expected tags: {expected}"
        )
    return Problem(place, message, kind_of(detail.get("input")))


def _unreadable(given: Mapping[str, object]) -> list[Problem]:
    """Return the problems of values that pydantic cannot read as JSON, such as lone surrogates."""
    problems: list[Problem] = []
    for name, value in given.items():
        try:
            from_json(json.dumps({name: value}))
        except ValueError as error:
            shown = name.encode("ascii", "backslashreplace").decode()
            problems.append(Problem(shown, f"it cannot be read as JSON: {error}"))
    return problems
