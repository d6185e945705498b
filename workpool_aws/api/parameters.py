"""Validates the arguments of a decorated function, and finds the parameters for its handle."""

from __future__ import annotations

import inspect
import json
from types import FunctionType, MethodType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Final,
    NamedTuple,
    Union,
    assert_never,
    get_args,
    get_origin,
)

from workpool_aws.core import limits
from workpool_aws.core.payload import encode_object
from workpool_aws.errors import UsageError
from workpool_aws.text import NOTHING, Words, kind_of, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from workpool_aws.api.validation import Validation


__all__ = [
    "InvalidArgumentsError",
    "Parameters",
    "Problem",
    "check_function",
    "plain_handler",
    "take_names",
]

_NO_DEFAULT: Final = inspect.Parameter.empty
_LAMBDA_NAMES: Final = ["event", "context"]
_WRAPPED_HANDLER: Final = (
    "a function of the arguments: this one is wrapped for Lambda's (event, context). "
    "Put that decorator above this one, where it wraps the worker"
)


class InvalidArgumentsError(Exception):
    """The function cannot be called with these arguments, now or later."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Problem(NamedTuple):
    """One reason for which a function cannot be called."""

    place: str
    """The argument, or the place inside of it. Empty for the call as a whole."""
    text: str
    got: Words = NOTHING
    """The class of the value there, without its contents."""

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class Parameters:
    """The parameters of one function. The pool, and no caller, fills those whose type is a handle.

    Annotations are resolved at the first call, in the function's module, so they may name later
    definitions. Pydantic, which is slow to load, loads then.

    Raises:
        UsageError: A parameter can never be filled. It is positional-only, `*args`, or has the
            handle inside of another type.
    """

    def __init__(self, function: Callable[..., object], *, handles: tuple[type, ...]) -> None:
        self._function = check_function(function)
        self._handles = handles
        self._parameters = inspect.signature(function).parameters
        for parameter in self._parameters.values():
            _check_kind(parameter)
            if not isinstance(parameter.annotation, str):
                self._handle_of(parameter, parameter.annotation)
        self._validation: Validation | None = None

    def bind(
        self, given: Mapping[str, object], make_handle: Callable[[type], object] | None
    ) -> dict[str, object]:
        """Returns the keyword arguments for the function, with handles by `make_handle`.

        It is called once for each type of handle that the function has a parameter for. `None`
        means that there is none to give.

        Raises:
            InvalidArgumentsError: The arguments do not fit, or the annotations cannot be used.
            Exception: A validator of the user's raised an error that pydantic does not take for a
                failed validation.
        """
        validation = self._load()
        values, problems = validation.read(given)
        if make_handle is None:
            problems += validation.handles_missing()
        if problems:
            raise InvalidArgumentsError([str(each) for each in problems])
        if make_handle is None:
            return values | validation.handles
        made = {kind: make_handle(kind) for kind in set(validation.handle_types.values())}
        return values | {name: made[kind] for name, kind in validation.handle_types.items()}

    def named(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        """Returns the arguments of a call by name, without parameters for handles.

        Raises:
            UsageError: There are more by position than the function takes, or one is given twice.
        """
        if not args:
            return dict(kwargs)
        handles = self._checked_load().handles
        places = [
            name
            for name, each in self._parameters.items()
            if each.kind is each.POSITIONAL_OR_KEYWORD and name not in handles
        ]
        if len(args) > len(places):
            names = ", ".join(places) or "none"
            raise UsageError(
                "args", Words(f"{len(args)} by position"), f"at most {len(places)} ({names})"
            )
        by_place = dict(zip(places, args, strict=False))
        for name in by_place.keys() & kwargs.keys():
            raise UsageError(f"args.{name}", kind_of(kwargs[name]), "given once")
        return {**by_place, **kwargs}

    def encode(self, args: object, field: str, *, job: str) -> str:
        """Returns the arguments as JSON that the function accepts. Its defaults are left to it.

        Raises:
            PayloadTooLarge: They are too large.
            UsageError: They do not fit. The field names the place, as in `args.to`.
        """
        text = encode_object(args, field, limits.PAYLOAD_BYTES_MAX, opens_words=True)
        validation = self._checked_load()
        try:
            _, problems = validation.read(json.loads(text))
        except Exception as error:
            # A validator of the user's, which pydantic does not take for a failed validation.
            raised = Words(f"values whose validation raised {type_name(error)}")
            raise UsageError(field, raised, f"arguments of the job {job}") from error
        for first in problems:
            said = "; ".join(map(str, problems))
            place = f"{field}.{first.place}" if first.place else field
            raise UsageError(place, first.got, f"an argument of the job {job} ({said})")
        return text

    def _checked_load(self) -> Validation:
        try:
            return self._load()
        except InvalidArgumentsError as unusable:
            got = Words(f"{self._function.__qualname__}{inspect.signature(self._function)}")
            allowed = f"a function whose annotations can be used ({'; '.join(unusable.problems)})"
            raise UsageError("function", got, allowed) from unusable

    def _load(self) -> Validation:
        # Without a lock: two first calls at a time may both build it, and a forked process must not
        # inherit a held lock.
        if self._validation is None:
            from workpool_aws.api import validation  # noqa: PLC0415 - loads pydantic

            try:
                self._validation = validation.Validation(
                    self._function, self._parameters, self._handle_of
                )
            except UsageError as shape:
                raise InvalidArgumentsError([str(shape)]) from shape
        return self._validation

    def _handle_of(self, parameter: inspect.Parameter, annotation: object) -> type | None:
        """Returns the type of handle that a parameter receives; `None` means that it is no handle's."""
        members = list(_members_of(annotation))
        for handle in self._handles:
            if handle in members and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                return handle
            if any(_holds(each, handle) for each in members):
                raise UsageError(
                    parameter.name,
                    Words(inspect.formatannotation(annotation)),
                    f"annotated {handle.__name__}, or with None as the other choice, "
                    "to receive the attempt's handle",
                )
        return None


def check_function(function: object) -> Callable[..., object]:
    """Returns the function, if calling it runs it.

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
            "a plain function "
            "(Lambda calls handlers synchronously, and nothing would await this one)",
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
    """Returns a plain function that calls a handler object, named as the decorated function."""

    def plain(event: object, context: object) -> object:
        return handler(event, context)

    take_names(plain, function)
    return plain


def take_names(handler: object, function: Callable[..., object]) -> None:
    """Give a handler the names of its function, and mark it as made by a pool.

    The mark stands on the instance, from which `functools.wraps` copies it. So a wrapper of a
    handler is known as one.
    """
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(handler, name, getattr(function, name))
    vars(handler)["__workpool__"] = True


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


def _members_of(annotation: object) -> Iterator[object]:
    """Returns the members of a union, or the type itself, without metadata."""
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
