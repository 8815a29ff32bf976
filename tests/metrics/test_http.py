"""The server below the metrics: addresses, requests, and clients without manners."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.metrics.asking import Client
from trioqueue import StoreUnavailableError, ValidationError
from trioqueue.metrics import conversation, crowd
from trioqueue.metrics.address import Address
from trioqueue.metrics.conversation import Page
from trioqueue.metrics.http import Headers, HttpServer, Route

ASK = b"GET /good HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /good HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKED = ASK[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
PROXIED = LAST.replace(b"/good", b"http://proxied.example:9464/good?a=http://b/")
SOON = 60
"""Nothing here takes so many seconds, on the slowest machine."""


async def good(headers: Headers) -> Page:
    await trio.lowlevel.checkpoint()
    return Page.text(200, headers.get("x-say", "good"))


@asynccontextmanager
async def served(**routes: Route) -> AsyncIterator[tuple[HttpServer, Client]]:
    more = {f"/{name}": route for name, route in routes.items()}
    server = HttpServer({"/good": good} | more)
    with trio.fail_after(SOON):
        async with trio.open_nursery() as nursery:
            address = Address.parse("127.0.0.1:0")
            (url,) = await nursery.start(server.serve, address)
            yield server, Client(url)
            nursery.cancel_scope.cancel()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with served() as (_, client):
        yield client


async def test_a_connection_is_used_for_several_requests(client: Client) -> None:
    answer = await client.say(ASK, ASK + LAST)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.count(b"\r\n\r\ngood\n") == 3


async def test_requests_may_all_be_sent_before_the_first_answer(client: Client) -> None:
    answer = await client.say(ASK * 2_000 + LAST)
    assert answer.count(b"\r\n\r\ngood\n") == 2_001


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00 this is TLS", b"400"),
        (b"GET / HTTP/1.1\r\nbroken header\r\n\r\n", b"400"),
        (b"GET /good HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /good HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n", b"400"),
        (b"GET /good HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", b"501"),
        (b"GET /" + b"a" * 400_000, b"431"),
        (b"GET /good HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 60_000, b"431"),
        (ASK[:-2] + b"Content-Length: 999999999999\r\n\r\n" + b"x" * 500_000, b"413"),
        (CHUNKED + b"a\r\n0123456789\r\n" * 7_000, b"413"),
        (LAST.replace(b"GET", b"CONNECT"), b"405"),
        (LAST.replace(b"GET /good", b"OPTIONS *"), b"405"),
        (b"PRI * HTTP/2.0\r\nHost: x\r\nConnection: close\r\n\r\nSM\r\n\r\n", b"405"),
    ],
)
async def test_what_is_no_request_for_us_is_told_so_and_harms_nothing(
    client: Client, data: bytes, status: bytes
) -> None:
    answer = await client.say(data)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert (await client.get("/good"))[0] == 200


@pytest.mark.parametrize(
    "data",
    [
        LAST,
        b"GET /good HTTP/1.0\r\n\r\n",
        PROXIED,
        LAST[:-2] + b"Content-Length: 5\r\n\r\n12345",
        LAST[:-2] + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        LAST.replace(b"close", b"upgrade, close") + b"\x00\x01",
    ],
)
async def test_all_kinds_of_requests_are_understood(
    client: Client, data: bytes
) -> None:
    answer = await client.say(data)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\ngood\n")


async def test_a_client_that_has_said_all_still_gets_its_answers(
    client: Client,
) -> None:
    answer = await client.say(ASK + ASK, end=True)
    assert answer.count(b"\r\n\r\ngood\n") == 2
    assert (await client.say(ASK[:-1], end=True)).startswith(b"HTTP/1.1 400")
    assert await client.say(end=True) == b""


async def test_a_client_that_asks_whether_to_go_on_is_told(client: Client) -> None:
    ask = LAST[:-2] + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    async with await client.connect() as stream:
        await stream.send_all(ask % 3)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100")
        await stream.send_all(b"abc")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
    answer = await client.say(ask % 1_000_000)
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_header_that_comes_twice_is_read_as_one(client: Client) -> None:
    answer = await client.say(LAST[:-2] + b"X-Say: a\r\nX-Say: b\r\n\r\n")
    assert answer.endswith(b"\r\n\r\na, b\n")


async def test_no_bytes_whatever_upset_the_server(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(5)
    statuses = set()
    for _ in range(300):
        data = bytearray(ASK + LAST)
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(data))
            data[place : place + chance.randrange(3)] = chance.randbytes(
                chance.randrange(3)
            )
        statuses.add((await client.say(bytes(data), end=True))[9:12])
    assert statuses > {b"200", b"400", b"404"}
    assert (await client.get("/good"))[0] == 200
    assert not caplog.records


async def test_a_client_that_stops_in_the_middle_is_cut_off(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "REQUEST_SECONDS", 0.05)
    assert await client.say(b"GET /good HT") == b""
    assert await client.say(ASK[:-2] + b"Content-Length: 5\r\n\r\n123") == b""


async def test_a_body_that_never_ends_is_not_listened_to_for_ever(
    client: Client,
) -> None:
    async with await client.connect() as stream:
        await stream.send_all(CHUNKED)
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await stream.send_all(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")


async def test_those_who_dawdle_make_room_for_those_who_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crowd, "MOST_CONNECTIONS", 5)
    async with served() as (server, client):
        slow = []
        for _ in range(30):
            slow.append(await client.connect())
            await slow[-1].send_all(b"G")
            assert (await client.get("/good"))[0] == 200
            assert server.connections <= 5
        with pytest.raises(trio.BrokenResourceError):
            while await slow[0].receive_some():
                pass
            raise trio.BrokenResourceError  # an end in good order is as good
        # The latest has been slow for the shortest time, and may still go on.
        await slow[-1].send_all(LAST[1:])
        assert (await slow[-1].receive_some()).startswith(b"HTTP/1.1 200")
        for stream in slow:
            await stream.aclose()


async def test_nobody_who_waits_for_an_answer_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crowd, "MOST_CONNECTIONS", 1)
    asked, go = trio.Event(), trio.Event()
    answers = []

    async def busy(_: Headers) -> Page:
        asked.set()
        await go.wait()
        return Page.text(200, "at last")

    async with served(busy=busy) as (_, client):

        async def ask() -> None:
            answers.append(await client.get("/busy"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await asked.wait()
            assert b"503" in await client.say()
            go.set()
    assert answers[0][::2] == (200, b"at last\n")


async def test_answers_that_nobody_reads_are_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # More than the system itself will hold for a connection.
    size = 16_000_000
    monkeypatch.setattr(crowd, "MOST_UNSENT", 2 * size)

    async def large(_: Headers) -> Page:
        await trio.lowlevel.checkpoint()
        return Page(200, "text/plain", b"x" * size)

    async with served(large=large) as (server, client):
        streams = []
        for _ in range(5):
            streams.append(await client.connect())
            await streams[-1].send_all(ASK.replace(b"good", b"large") * 3)
            await streams[-1].receive_some(1)
        assert server.connections == 1  # two would be too much, with their heads
        # Somebody who reads gets all of it.
        assert len((await client.get("/large"))[2]) == size
        assert (await client.get("/good"))[0] == 200
        for stream in streams:
            await stream.aclose()


async def test_stopping_waits_for_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    # `served` fails where it takes long.
    monkeypatch.setattr(conversation, "REQUEST_SECONDS", 3600)

    async def large(_: Headers) -> Page:
        await trio.lowlevel.checkpoint()
        return Page(200, "text/plain", b"x" * 15_000_000)

    async with served(large=large) as (server, client):
        streams = [await client.connect() for _ in range(4)]
        await streams[0].send_all(b"GET /go")
        await streams[1].send_all(ASK)
        await streams[2].send_all(ASK.replace(b"good", b"large"))
        await streams[2].receive_some(1)
        assert server.connections == 4
    assert server.connections == 0
    for stream in streams:
        await stream.aclose()


async def test_a_page_that_fails_is_logged_and_the_server_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_: Headers) -> Page:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("secret detail")

    async def wrong(_: Headers) -> Page:
        await trio.lowlevel.checkpoint()
        return Page.text(200, "x", (("no header\n", "x"),))

    async with served(broken=broken, wrong=wrong) as (_, client):
        status, _, body = await client.get("/broken")
        assert (status, body) == (500, b"this page failed; see the log\n")
        assert await client.say(ASK.replace(b"good", b"wrong")) == b""
        assert (await client.get("/good"))[0] == 200
    assert "secret detail" in caplog.text
    assert "a connection failed" in caplog.text


async def test_an_address_in_use_is_a_clear_error(client: Client) -> None:
    taken = Address.parse(client.address)
    with pytest.raises(StoreUnavailableError, match=rf"{taken.port}.*in use"):
        await HttpServer({}).serve(taken)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 300, "a\0b"])
async def test_a_host_that_is_none_is_a_clear_error(host: str) -> None:
    with pytest.raises(StoreUnavailableError, match="cannot listen on"):
        await HttpServer({}).serve(Address(host, 0))


async def test_urls_say_how_to_reach_every_address() -> None:
    async with trio.open_nursery() as nursery:
        server = HttpServer({"/good": good})
        for url in await nursery.start(server.serve, Address.parse(":0")):
            assert (await Client(url).get("/good"))[0] == 200
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", Address("127.0.0.1", 9464)),
        ("9464", Address("127.0.0.1", 9464)),
        (":9464", Address(None, 9464)),
        ("[::1]:0", Address("::1", 0)),
        ("example.org:80", Address("example.org", 80)),
    ],
)
def test_addresses_that_are_understood(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "::1:80",
        "127.0.0.1:",
        "127.0.0.1:70000",
        "a:-1",
        "a:٣",
        ":" + "9" * 5000,
    ],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValidationError, match="is no address"):
        Address.parse(text)
