"""Transactions in which the user's rows and ours are committed together.

An operation is driven over a connection of the user's, inside the transaction that he
has begun and that he alone ends; or over one that is opened for him.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from trioqueue.store.operations.core import Context, Operation

T = TypeVar("T")

SAVEPOINT: Final = "trioqueue_inside"
"""What is undone if an operation fails; the user's own may have the same name."""
ANOTHER_DATABASE: Final = (
    "is not connected to the store's own database; what is posted would be lost to "
    "its workers"
)
ASYNC_ONE: Final = "is asynchronous; use `await store.post_in_async(...)`"
SYNC_ONE: Final = "is not asynchronous; use `store.post_in(...)`, without await"
CLOSED: Final = "is closed"
NO_TRANSACTION: Final = (
    "has no transaction open; begin one, so that the message is stored with your rows"
)
NO_MEMORY: Final = (
    "its database is in memory: no second connection sees it, so nothing can be "
    "committed together with the message; open the store on a file"
)
ENDED: Final = (
    "the transaction was ended inside its block, and the message is not completed; "
    "leave commit() and rollback() to the block"
)


class OpenTransaction(Protocol):
    """A transaction on a connection of its own, for the user's rows and ours."""

    @property
    def connection(self) -> Any:
        """The driver's connection."""
        ...

    async def execute(self, sql: str, parameters: Any) -> list[Sequence[Any]]:
        """Run one statement of the user's; return its rows, if it has any."""
        ...

    async def run(self, operation: Callable[[Context], Operation[T]]) -> T:
        """Run an operation in it; if that fails, nothing of it is done."""
        ...

    async def commit(self) -> None:
        """Make it durable, and tell those who wait for what it changed.

        Raises:
            IllegalStateError: The user has ended it himself, or it has failed.
            StoreUnavailableError: It could not be, or it is not known.
        """
        ...


class Transactions(Protocol):
    """Ways into transactions that are not the store's own."""

    def run(
        self, connection: object, operation: Callable[[Context], Operation[T]]
    ) -> T:
        """Run an operation in the transaction that a connection has open.

        Raises:
            ValidationError: It has none, or is not one that can be used.
        """
        ...

    async def run_async(
        self, connection: object, operation: Callable[[Context], Operation[T]]
    ) -> T:
        """Do the same on an asynchronous connection, whatever its event loop."""
        ...

    def open(self) -> AbstractAsyncContextManager[OpenTransaction]:
        """Begin a transaction for the length of a block, undone if not committed."""
        ...
