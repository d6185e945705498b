"""Validates return values by the return annotation of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.api.parameters import InvalidArgumentsError
from workpool_aws.errors import UsageError
from workpool_aws.text import Words, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.api.validation import ReturnValidation
    from workpool_aws.core.payload import JsonValue

__all__ = ["Returned"]

_FIELD: Final = "return_value"


class Returned:
    """The return type of one function. Pydantic loads with the first value to read."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        self._validation: ReturnValidation | None = None

    def read(self, value: JsonValue, *, job: str) -> object:
        """Return the function's value as annotated; without an annotation, as it is.

        Raises:
            UsageError: It does not fit, or the annotation cannot be used. The message does not
                quote the value, which may be secret.
        """
        from workpool_aws.api import validation  # noqa: PLC0415 - loads pydantic

        try:
            # Without a lock, as `Parameters`.
            if self._validation is None:
                self._validation = validation.ReturnValidation(self._function)
            return self._validation.read(value)
        except InvalidArgumentsError as invalid:
            allowed = f"a return value of the job {job} ({'; '.join(invalid.problems)})"
            raise UsageError(_FIELD, Words(kind_of(value)), allowed) from None
