"""What a store needs of a database: something that drives operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioqueue.store.operations.core import Context, Failure, Operation

T = TypeVar("T")
ItemT = TypeVar("ItemT")


class Executor(Protocol):
    """Runs operations, each in a transaction, and answers after the commit.

    Every method is a checkpoint.  Cancellation before the transaction begins leaves no
    trace; after that the method returns the committed answer.
    """

    @property
    def sees_every_change(self) -> bool:
        """Whether nothing else can change the database, so that no poll is needed."""
        ...

    async def batch(
        self,
        operation: Callable[[Context, Sequence[ItemT]], Operation[list[T | Failure]]],
        items: Sequence[ItemT],
        *,
        relaxed: bool = False,
    ) -> list[T | Failure]:
        """Run a batch operation, perhaps together with other callers' items.

        With `relaxed` it does no harm if a crash of the database server undoes it.
        """
        ...

    async def write(self, operation: Callable[[Context], Operation[T]]) -> T:
        """Run an operation that writes."""
        ...

    async def read(self, operation: Callable[[], Operation[T]]) -> T:
        """Run an operation that only reads, in one snapshot."""
        ...

    def statistics(self) -> Any:
        """Return what it has done so far."""
        ...

    async def aclose(self) -> None:
        """Finish what has begun and let the database go."""
        ...
