"""The store's transaction methods: messages and the user's rows, committed together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack, final

from trioqueue.errors import ValidationError
from trioqueue.model.message import NewMessage, mark_ended
from trioqueue.store.base import StoreBase, check_queue_name
from trioqueue.store.deciding import together
from trioqueue.store.drafts import make_draft
from trioqueue.store.job_methods import encode_result, key_of
from trioqueue.store.operations.attempts import EndRequest, end
from trioqueue.store.operations.core import unwrap
from trioqueue.store.operations.post import more_issues, post
from trioqueue.store.post_answers import error_of
from trioqueue.tracing import sending, tracing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from trioqueue.errors import Issue
    from trioqueue.model.message import Job, Message, MessageState, PostOptions
    from trioqueue.store.borrowed import OpenTransaction
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.post import Draft


class TransactionMethods(StoreBase):
    """Post in the caller's own transaction, and complete a job in one with his rows."""

    def post_in(
        self,
        connection: Any,
        queue: str,
        payload: Any,
        **options: Unpack[PostOptions],
    ) -> Message:
        """Store a message in the transaction that a connection has open.

        It is there when you commit, and never was if you roll back.  Nobody sees it
        before; workers wake when you commit.  This neither commits nor rolls back: if
        it fails, your transaction goes on as if it had not been called.  It waits for
        the database as your own statements do, and may be called in any thread.

        Args:
            connection: A ``sqlite3.Connection``, ``sqlite_utils.Database`` or
                ``psycopg.Connection`` to the store's own database, with a transaction
                open; on PostgreSQL a READ COMMITTED one.
            queue: The queue's name.
            payload: What `post` takes.
            options: The other keyword arguments of `post`.

        Raises:
            ValidationError: Something is wrong with the message, or with the
                ``connection``: another database, no transaction, a failed one.
            QueueNotFoundError: There is no such queue.
            DuplicateMessageError: The id is taken by other content.
            StoreUnavailableError: The database refuses.
        """
        new, api = NewMessage(payload, **options), tracing()
        post = self._posting(queue, new)
        if api is None:
            return self._transactions.run(connection, post())
        with sending(api, queue):
            return self._transactions.run(connection, post())

    async def post_in_async(
        self,
        connection: Any,
        queue: str,
        payload: Any,
        **options: Unpack[PostOptions],
    ) -> Message:
        """Store a message in the transaction that an asynchronous connection has open.

        Like `post_in`, for a ``psycopg.AsyncConnection``: one that works on Trio, or,
        in an asyncio program, any.  It waits only as the connection itself does.
        Canceled, it leaves nothing of the message in the transaction.
        """
        new, api = NewMessage(payload, **options), tracing()
        post = self._posting(queue, new)
        if api is None:
            return await self._transactions.run_async(connection, post())
        with sending(api, queue):
            return await self._transactions.run_async(connection, post())

    def _posting(
        self, queue: str, new: NewMessage
    ) -> Callable[[], Callable[[Context], Operation[Message]]]:
        """Return what checks a message, and returns what posts it."""
        check_queue_name(queue)

        def begin() -> Callable[[Context], Operation[Message]]:
            # Here, for the message names the span that it is posted in.
            draft, issues = make_draft(queue, new, self._clock.now_us(), self._source)
            return partial(_post_draft, draft=draft, issues=issues)

        return begin

    def transaction(self, job: Job) -> AbstractAsyncContextManager[JobTransaction]:
        """Begin a transaction that completes a job together with your rows.

        The same as ``job.transaction()``, which says more.
        """
        return _transaction(self, self._transactions.open, job)


@asynccontextmanager
async def _transaction(
    store: TransactionMethods,
    open_it: Callable[[], AbstractAsyncContextManager[OpenTransaction]],
    job: Job,
) -> AsyncIterator[JobTransaction]:
    key = key_of(job)
    async with open_it() as opened:
        transaction = JobTransaction(store, job, opened)
        yield transaction
        request = EndRequest(key, "complete", encode_result(transaction.result))
        await opened.run(partial(_end, request=request))
        await opened.commit()
        mark_ended(job)


def _post_draft(
    context: Context, draft: Draft, issues: list[Issue]
) -> Operation[Message]:
    if issues:
        (more,) = yield from more_issues(draft.queue, [draft])
        raise ValidationError(together(issues, more))
    (answer,) = yield from post(context, [draft])
    result = unwrap(answer)
    if result.message is None:
        raise error_of(result, draft)
    return result.message


def _end(context: Context, request: EndRequest) -> Operation[MessageState]:
    (answer,) = yield from end(context, [request])
    return unwrap(answer)


@final
class JobTransaction:
    """A transaction that completes a job when its block is left.

    Attributes:
        job: The job.
        result: Any JSON value, kept with the message if the queue keeps it.
    """

    def __init__(
        self, store: TransactionMethods, job: Job, opened: OpenTransaction
    ) -> None:
        self.job = job
        self.result: Any = None
        self._store = store
        self._opened = opened

    @property
    def connection(self) -> Any:
        """The driver's connection, with the transaction open.

        On SQLite a ``sqlite3.Connection``, on PostgreSQL a ``psycopg.AsyncConnection``
        that works on Trio.  Do not commit, roll back or close it.
        """
        return self._opened.connection

    async def execute(self, sql: str, parameters: Any = ()) -> list[Sequence[Any]]:
        """Run one statement; return its rows, if it has any.

        Args:
            sql: As the driver takes it: parameters are ``?`` on SQLite, ``%s`` on
                PostgreSQL.
            parameters: A sequence, or a mapping.

        Raises:
            Exception: What the driver raises.
        """
        return await self._opened.execute(sql, parameters)

    async def post(
        self, queue: str, payload: Any, **options: Unpack[PostOptions]
    ) -> Message:
        """Post a message that is stored if the job is completed, and not otherwise.

        Arguments and errors are those of `Store.post`; after an error the transaction
        can go on.
        """
        new, api = NewMessage(payload, **options), tracing()
        begin = self._store._posting(queue, new)  # noqa: SLF001  of the same module
        if api is None:
            return await self._opened.run(begin())
        with sending(api, queue):
            return await self._opened.run(begin())

    def __repr__(self) -> str:
        return f"<JobTransaction of {self.job.message_id} in {self.job.queue}>"
