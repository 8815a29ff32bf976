"""A PostgreSQL store's URL: our options are read, libpq gets the rest."""

from __future__ import annotations

import pytest

from trioqueue import ValidationError
from trioqueue.store.url import DEFAULT_SCHEMA, hide_password, parse_url


def test_our_options_are_taken_out_and_libpq_gets_the_rest() -> None:
    address = parse_url(
        "postgres://ann:s%40fe@h1:5433,h2/jobs?schema=a-b$&sslmode=require"
        "&pool_size=20&pooler=transaction&statement_seconds=5"
    )
    assert address.kind == "postgresql"
    assert address.path == ""
    assert address.conninfo == "postgres://ann:s%40fe@h1:5433,h2/jobs?sslmode=require"
    assert address.schema == "a-b$"
    assert address.pool_size == 20
    assert address.pooled
    assert address.statement_seconds == 5
    assert "s%40fe" not in address.shown
    assert "s@fe" not in repr(address.shown)


def test_everything_but_the_place_has_a_default() -> None:
    address = parse_url("postgresql:///jobs")
    assert address.conninfo == "postgresql:///jobs"
    assert (address.schema, address.pool_size) == (DEFAULT_SCHEMA, 8)
    assert not address.pooled
    assert address.statement_seconds == 30


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgresql://h/db?schema=1a", "begin with a letter"),
        ("postgresql://h/db?schema=", "begin with a letter"),
        ("postgresql://h/db?schema=a%22b", "letters, digits"),
        ("postgresql://h/db?schema=" + "a" * 64, "at most 63"),
        ("postgresql://h/db?schema=a&schema=b", "given twice"),
        ("postgresql://h/db?pool_size=1", "from 2 to 1000"),
        ("postgresql://h/db?pool_size=x", "whole number"),
        ("postgresql://h/db?pool_size=-5", "whole number"),
        ("postgresql://h/db?statement_seconds=0", "from 1"),
        ("postgresql://h/db?pooler=yes", "none, session or transaction"),
        ("postgresql://h/db?sslmode", "has no value"),
        ("postgresql://a:b@c@h/db", "%40"),
        ("postgresql://a:b/c@h/db", "%2F"),
        ("postgresql://h/db#x", "%23"),
    ],
)
def test_what_cannot_be_right_is_refused_with_help(url: str, hint: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parse_url(url)
    assert hint in str(raised.value)
    assert [issue.field for issue in raised.value.issues] == ["url"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://h/db?password=x", "postgresql://h/db?password=***"),
        (
            "postgresql://h/db?a=1&sslpassword=x&b=2",
            "postgresql://h/db?a=1&sslpassword=***&b=2",
        ),
        ("postgresql://a:x@h/db?password=y", "postgresql://a:***@h/db?password=***"),
        ("postgresql://a@h/db?schema=s", "postgresql://a@h/db?schema=s"),
    ],
)
def test_passwords_are_hidden_wherever_they_are_written(url: str, shown: str) -> None:
    assert hide_password(url) == shown


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(ValidationError) as raised:
        parse_url("postgresql://ann:secret@h/db?pool_size=x")
    assert "secret" not in str(raised.value)
