"""Where a connection string leads: one attempt for each address, in the order to try.

libpq would look names up itself, and block the whole program meanwhile; a connection
string that already holds the address (``hostaddr``) saves it from that.
"""

from __future__ import annotations

import ipaddress
import os
import random
import socket
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import psycopg
import trio
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Parameters: TypeAlias = dict[str, Any]
Lookup: TypeAlias = "Callable[[str, str], Awaitable[list[str]]]"
"""Returns the addresses of a host name and port; raises `OSError`."""

_VARIABLES: Final = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}
_PORT: Final = "5432"


def read_conninfo(conninfo: str) -> Parameters:
    """Return the parameters of a connection string, those of the environment too.

    Raises `psycopg.ProgrammingError`, which does not quote the string: it may hold a
    password.
    """
    try:
        parameters: Parameters = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise psycopg.ProgrammingError("the connection string is malformed") from None
    for name, variable in _VARIABLES.items():
        if name not in parameters and variable in os.environ:
            parameters[name] = os.environ[variable]
    return parameters


def connect_seconds(parameters: Parameters) -> float | None:
    """Return how long one attempt may take, as ``connect_timeout`` says, or None.

    As with libpq, zero and below is no limit, and one second means two.
    """
    try:
        seconds = int(parameters.get("connect_timeout", 0))
    except ValueError:
        raise psycopg.ProgrammingError("connect_timeout must be a number") from None
    return max(seconds, 2) if seconds > 0 else None


async def find_attempts(parameters: Parameters, look_up: Lookup) -> list[Parameters]:
    """Return the parameters of every attempt to make.

    Raises `psycopg.OperationalError` if no host has an address at all.
    """
    attempts: list[Parameters] = []
    failures: list[str] = []
    for target in _split(parameters):
        try:
            attempts += await _with_addresses(target, look_up)
        except (OSError, UnicodeError) as error:
            failures.append(f"cannot find host {target['host']!r}: {error}")
    if not attempts:
        raise psycopg.OperationalError("; ".join(failures))
    if parameters.get("load_balance_hosts") == "random":
        random.shuffle(attempts)
    if parameters.get("target_session_attrs") == "prefer-standby":
        # libpq would go round twice, but it is given one address at a time.
        return [  # noqa: ASYNC910  a look-up in place has none
            {**attempt, "target_session_attrs": kind}
            for kind in ("standby", "any")
            for attempt in attempts
        ]
    return attempts  # noqa: ASYNC910  a look-up in place has none


def _split(parameters: Parameters) -> list[Parameters]:
    lists = {
        name: str(parameters[name]).split(",")
        for name in ("host", "hostaddr", "port")
        if parameters.get(name)
    }
    count = max(len(lists.get("host", ())), len(lists.get("hostaddr", ())), 1)
    if len(lists.get("port", ())) == 1:
        lists["port"] *= count
    if any(len(values) != count for values in lists.values()):
        raise psycopg.OperationalError(
            "the connection string has different numbers of hosts, addresses and ports"
        )
    return [
        {**parameters, **{name: values[n] for name, values in lists.items()}}
        for n in range(count)
    ]


async def _with_addresses(target: Parameters, look_up: Lookup) -> list[Parameters]:
    host = target.get("host")
    if target.get("hostaddr") or not host or host.startswith(("/", "@")):
        return [target]  # an address, libpq's default, or the directory of a socket  # noqa: ASYNC910  a look-up in place has none
    if _is_address(host):
        return [{**target, "hostaddr": host}]  # noqa: ASYNC910  a look-up in place has none
    found = await look_up(host, str(target.get("port") or _PORT))
    return [{**target, "hostaddr": address} for address in dict.fromkeys(found)]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses_in(answer: list[Any]) -> list[str]:
    return [str(entry[4][0]) for entry in answer]


async def look_up_name(host: str, port: str) -> list[str]:
    """Look a name up in a thread of Trio's; canceled, it returns at once."""
    return _addresses_in(
        await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )


async def look_up_in_place(host: str, port: str) -> list[str]:
    """Look a name up while everything else waits."""
    return _addresses_in(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))  # noqa: ASYNC910  a look-up in place has none
