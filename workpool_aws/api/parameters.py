"""Validates the arguments of a decorated function, and finds the parameters for its handle."""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import dataclass
from types import FunctionType, MethodType, SimpleNamespace, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    NotRequired,
    Required,
    Union,
    Unpack,
    assert_never,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from workpool_aws.errors import UsageError
from workpool_aws.text import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

__all__ = ["InvalidArgumentsError", "Parameters", "check_function", "plain_handler"]

_NO_DEFAULT: Final = inspect.Parameter.empty
_LAMBDA_NAMES: Final = ["event", "context"]
_WRAPPED_HANDLER: Final = (
    "a function of the arguments: this one is wrapped for Lambda's (event, context). "
    "Put that decorator above this one, where it wraps the worker"
)
_MISSING: Final = frozenset({"missing_argument", "missing_keyword_only_argument"})


class InvalidArgumentsError(Exception):
    """The function cannot be called with these arguments, now or later."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _UnusableError(Exception):
    """An annotation that cannot be resolved, or that pydantic cannot build."""

    def __init__(self, name: str, error: BaseException) -> None:
        # The first line only: pydantic adds links and advice.
        reason = (str(error).splitlines() or [""])[0].removesuffix(".")
        super().__init__(f"{name}: its annotation cannot be used: {type(error).__name__}: {reason}")


@dataclass(frozen=True, slots=True)
class _Plan:
    """The validation of a function's arguments, made once its annotations are known."""

    adapter: TypeAdapter[dict[str, object]]
    handles: Mapping[str, object]
    """The parameters that receive the handle, and their defaults. Callers cannot give them."""


class Parameters:
    """The parameters of one function. The pool, and no caller, fills those whose type is `handle`.

    Annotations are resolved at the first call, in the function's module, so they may name later
    definitions. Pydantic, which is slow to load, loads then.

    Raises:
        UsageError: A parameter can never be filled. It is positional-only, `*args`, or has the
            handle inside of another type.
    """

    def __init__(self, function: Callable[..., object], *, handle: type) -> None:
        self._function = check_function(function)
        self._handle = handle
        self._parameters = inspect.signature(function).parameters
        for parameter in self._parameters.values():
            _check_kind(parameter)
            if not isinstance(parameter.annotation, str):
                self._receives_handle(parameter, parameter.annotation)
        self._plan: _Plan | None = None

    def bind(
        self, given: Mapping[str, object], make_handle: Callable[[], object] | None
    ) -> dict[str, object]:
        """Keyword arguments for the function.

        `make_handle` makes its handle, if it has a parameter for one.

        Without `make_handle` there is no handle to give.

        Raises:
            InvalidArgumentsError: The arguments do not fit, or the annotations cannot be used.
            Exception: A validator of the user's raised an error that pydantic does not take for a
                failed validation.
        """
        plan = self._load()
        values, problems = _validated(
            plan.adapter, {name: value for name, value in given.items() if name not in plan.handles}
        )
        problems += [
            f"{name}: Unexpected keyword argument" for name in given if name in plan.handles
        ]
        if make_handle is None:
            problems += [
                f"{name}: only a pool can give it"
                for name, default in plan.handles.items()
                if default is _NO_DEFAULT
            ]
        if problems:
            raise InvalidArgumentsError(problems)
        handle = None if make_handle is None or not plan.handles else make_handle()
        return values | {
            name: default if handle is None else handle for name, default in plan.handles.items()
        }

    def _load(self) -> _Plan:
        # Without a lock: two first calls at a time may both build it, and a forked process must not
        # inherit a held lock.
        plan = self._plan
        if plan is None:
            try:
                plan = self._plan = self._built()
            except _UnusableError as unusable:
                raise InvalidArgumentsError([str(unusable)]) from unusable
            except UsageError as shape:
                raise InvalidArgumentsError([str(shape)]) from shape
        return plan

    def _built(self) -> _Plan:
        names_in_reach: dict[str, object] = getattr(
            inspect.unwrap(self._function), "__globals__", {}
        )
        type_parameters = {
            each.__name__: each for each in getattr(self._function, "__type_params__", ())
        }
        handles: dict[str, object] = {}
        taken: list[inspect.Parameter] = []
        for name, parameter in self._parameters.items():
            resolved = _resolved(parameter, names_in_reach, type_parameters)
            if self._receives_handle(resolved, resolved.annotation):
                handles[name] = _default_of(resolved)
            else:
                taken.append(resolved)
        return _Plan(_adapter_of(taken, self._function), handles)

    def _receives_handle(self, parameter: inspect.Parameter, annotation: object) -> bool:
        members = list(_members_of(annotation))
        if self._handle in members and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            return True
        if any(_holds(each, self._handle) for each in members):
            allowed = f"annotated {self._handle.__name__}, or with None as the other choice, to receive the attempt's handle"
            raise UsageError(parameter.name, Words(inspect.formatannotation(annotation)), allowed)
        return False


def check_function(function: object) -> Callable[..., object]:
    """The function, if calling it runs it.

    Raises UsageError if it does not, or if it takes a handler's arguments.
    """
    plain = function.__func__ if isinstance(function, MethodType) else function
    if not isinstance(plain, FunctionType) or not callable(function):
        raise UsageError(
            "function",
            function,
            "a plain function, decorated once and with this decorator outermost",
        )
    if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
        raise UsageError(
            "function",
            function,
            "a plain function (Lambda calls handlers synchronously, and nothing would await this one)",
        )
    if inspect.isgeneratorfunction(plain):
        raise UsageError(
            "function", function, "a plain function (calling a generator function runs none of it)"
        )
    if hasattr(plain, "__wrapped__") and _wraps_for_lambda(function):
        raise UsageError("function", function, _WRAPPED_HANDLER)
    return function


def plain_handler(
    handler: Callable[[object, object], object], function: Callable[..., object]
) -> Callable[[object, object], object]:
    """A plain function that calls a handler object, with the names of the decorated function."""

    def plain(event: object, context: object) -> object:
        return handler(event, context)

    plain.__module__ = function.__module__
    plain.__name__ = function.__name__
    plain.__qualname__ = function.__qualname__
    plain.__doc__ = function.__doc__
    vars(plain)["__workpool__"] = True
    return plain


def _wraps_for_lambda(function: Callable[..., object]) -> bool:
    """True for a wrapper with a Lambda handler's parameters, not those of its function."""
    promised = inspect.signature(function).parameters
    own = inspect.signature(function, follow_wrapped=False).parameters
    if list(own)[:2] == _LAMBDA_NAMES:
        return True
    starred = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return any(
        each.default is _NO_DEFAULT and each.kind not in starred and name not in promised
        for name, each in own.items()
    )


def _check_kind(parameter: inspect.Parameter) -> None:
    match parameter.kind:
        case (
            inspect.Parameter.POSITIONAL_OR_KEYWORD
            | inspect.Parameter.KEYWORD_ONLY
            | inspect.Parameter.VAR_KEYWORD
        ):
            pass
        case inspect.Parameter.POSITIONAL_ONLY | inspect.Parameter.VAR_POSITIONAL:
            raise UsageError(
                "function",
                Words(f"the parameter {parameter}"),
                "one whose parameters are all given by name (no positional-only ones, no *args)",
            )
        case _:
            assert_never(parameter.kind)


def _resolved(
    parameter: inspect.Parameter, globalns: dict[str, object], localns: dict[str, object]
) -> inspect.Parameter:
    if parameter.annotation is inspect.Parameter.empty:
        return parameter
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        hints = get_type_hints(holder, globalns=globalns, localns=localns, include_extras=True)
    except Exception as error:
        raise _UnusableError(parameter.name, error) from error
    return parameter.replace(annotation=_readable(hints[parameter.name]))


def _readable(annotation: object) -> object:
    """An annotation that pydantic can read.

    Before Python 3.12 it unpacks only TypedDicts of typing_extensions.
    """
    kind = next(iter(get_args(annotation)), None)
    if (
        sys.version_info >= (3, 12)
        or get_origin(annotation) is not Unpack
        or not is_typeddict(kind)
    ):
        return annotation
    from typing_extensions import TypedDict  # noqa: PLC0415 - comes with pydantic

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


def _members_of(annotation: object) -> Iterator[object]:
    """The members of a union, or the type itself, without metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members_of(get_args(annotation)[0])
    elif origin is Union or origin is UnionType:
        for each in get_args(annotation):
            yield from _members_of(each)
    else:
        yield annotation


def _holds(annotation: object, handle: type) -> bool:
    if isinstance(annotation, type) and not get_args(annotation):
        return issubclass(annotation, handle)
    # `Callable[[int], str]` has a list among its arguments.
    return any(
        _holds(each, handle)
        for each in (annotation if isinstance(annotation, list) else get_args(annotation))
    )


def _adapter_of(
    parameters: list[inspect.Parameter], function: Callable[..., object]
) -> TypeAdapter[dict[str, object]]:
    try:
        return _built_adapter(parameters, function)
    except Exception as error:
        for each in parameters:
            _try_alone(each, function)
        raise _UnusableError("function", error) from error


def _try_alone(parameter: inspect.Parameter, function: Callable[..., object]) -> None:
    try:
        _built_adapter([parameter], function)
    except Exception as error:
        raise _UnusableError(parameter.name, error) from error


def _built_adapter(
    parameters: list[inspect.Parameter], function: Callable[..., object]
) -> TypeAdapter[dict[str, object]]:
    from pydantic import TypeAdapter  # noqa: PLC0415 - slow to load, and callers never need it

    def received(**values: object) -> dict[str, object]:
        return values

    # Pydantic validates a call of this stand-in, which has the function's parameters by name,
    # without handles. The function itself is called later, so that its errors are never taken for
    # failed validations.
    by_name = [
        each if each.kind is each.VAR_KEYWORD else each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for each in parameters
    ]
    stand_in: Any = (
        received  # a function is no type for type checkers; pydantic makes it the type of its calls
    )
    vars(received)["__signature__"] = inspect.Signature(by_name)
    received.__annotations__ = {
        each.name: each.annotation for each in parameters if each.annotation is not each.empty
    }
    received.__module__ = function.__module__
    return TypeAdapter[dict[str, object]](stand_in)


def _validated(
    adapter: TypeAdapter[dict[str, object]], given: Mapping[str, object]
) -> tuple[dict[str, object], list[str]]:
    from pydantic import ValidationError  # noqa: PLC0415 - slow to load, and callers never need it

    try:
        # As JSON, where pydantic accepts text for dates, bytes and sets, which JSON cannot express.
        return adapter.validate_json(_json_of(given)), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        if any(one["type"] == "json_invalid" for one in details):
            return {}, [
                problem
                for name, value in given.items()
                if (problem := _unreadable(name, value)) is not None
            ] or [_said(details[0])]
        return {}, [_said(one) for one in details]


def _json_of(given: Mapping[str, object]) -> str:
    try:
        return json.dumps(given)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentsError([f"event: it is no JSON: {type(error).__name__}"]) from error


def _unreadable(name: str, value: object) -> str | None:
    """The reason for which pydantic cannot read a value, such as a lone surrogate."""
    from pydantic_core import from_json  # noqa: PLC0415 - slow to load, and callers never need it

    try:
        from_json(json.dumps({name: value}))
    except ValueError as error:
        shown = name.encode("ascii", "backslashreplace").decode()
        return f"{shown}: it cannot be read as JSON: {error}"
    return None


def _said(detail: ErrorDetails) -> str:
    place = ".".join(map(str, detail["loc"]))
    return f"{place}: {_message_of(detail)}" if place else _message_of(detail)


def _message_of(detail: ErrorDetails) -> str:
    if detail["type"] in _MISSING:
        return "Field required"
    if detail["type"] == "union_tag_invalid":
        # Pydantic's own text quotes the tag that was given, and this text is stored and shown.
        context = detail.get("ctx", {})
        found, expected = context.get("discriminator"), context.get("expected_tags")
        return f"Input tag found using {found} does not match any of the expected tags: {expected}"
    return detail["msg"]


def _default_of(parameter: inspect.Parameter) -> object:
    """The default of a parameter, taken out of pydantic's `Field`."""
    from pydantic.fields import FieldInfo  # noqa: PLC0415 - slow to load, and callers never need it

    default: object = parameter.default
    if not isinstance(default, FieldInfo):
        return default
    return _NO_DEFAULT if default.is_required() else default.get_default()
