"""`JobDecorator`, which `pool.action` and `pool.query` are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, Unpack, overload

from workpool_aws.api.parameters import check_function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.api.options import RetryableOptions
    from workpool_aws.api.transaction import Transaction
    from workpool_aws.api.work import Work
    from workpool_aws.api.worker import Worker

__all__ = ["JobDecorator", "MutationDecorator"]

A = ParamSpec("A")
R = TypeVar("R")


class _Any:
    """Stands for a first parameter annotated `Any` or `object`, which fits every type.

    Without its overload type checkers would take such a parameter for the handle.
    """


class JobDecorator:
    """Makes functions workers, with or without a name and options for their jobs.

    For type checkers the handle is a first parameter annotated `Work`. Elsewhere give it a default.
    """

    def __init__(
        self,
        make: Callable[[Callable[..., object], str | None, Mapping[str, object]], object],
        name: str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        self._make = make
        self._name = name
        self._options: Mapping[str, object] = options or {}

    @overload
    def __call__(self, function: Callable[Concatenate[_Any, A], R], /) -> Worker[..., ..., R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Work, A], R], /
    ) -> Worker[Concatenate[Work, A], A, R]: ...
    @overload
    def __call__(self, function: Callable[A, R], /) -> Worker[A, A, R]: ...
    @overload
    def __call__(
        self, *, name: str | None = None, **options: Unpack[RetryableOptions]
    ) -> JobDecorator: ...
    def __call__(
        self,
        *function: Callable[..., object],
        name: str | None = None,
        **options: object,
    ) -> object:
        """Make a function a worker. Without one, return a decorator with this name and options."""
        name = self._name if name is None else name
        merged = {**self._options, **options}
        if not function:
            return JobDecorator(self._make, name, merged)
        return self._make(check_function(*function), name, merged)


class MutationDecorator:
    """Makes functions mutations, with or without a name and options for their jobs.

    For type checkers the transaction is the first parameter, and a second one annotated `Work` the
    handle.
    """

    def __init__(
        self,
        make: Callable[[Callable[..., object], str | None, Mapping[str, object]], object],
        name: str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        self._decorate = JobDecorator(make, name, options)

    @overload
    def __call__(
        self, function: Callable[Concatenate[Transaction, Work, A], R], /
    ) -> Worker[Concatenate[Transaction, Work, A], A, R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Transaction, A], R], /
    ) -> Worker[Concatenate[Transaction, A], A, R]: ...
    @overload
    def __call__(
        self, *, name: str | None = None, **options: Unpack[RetryableOptions]
    ) -> MutationDecorator: ...
    def __call__(
        self, *function: Callable[..., object], name: str | None = None, **options: object
    ) -> object:
        """Make a function a mutation. Without one, return a decorator with this name and options."""
        decorate: Callable[..., object] = self._decorate
        return decorate(*function, name=name, **options)
