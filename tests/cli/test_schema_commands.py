"""`trioqueue schema`, and what `queue` and `message` say of schemas."""

from __future__ import annotations

import json

from tests.cli.helpers import Cli, on_both

ORDER = json.dumps({"type": "object", "required": ["item"]})
STRICT = json.dumps({"type": "object", "required": ["item", "count"]})


@on_both
def test_a_schema_is_registered_shown_and_listed(tq: Cli) -> None:
    made = tq("schema", "register", "order", "-", stdin=ORDER)
    assert made.out == "1\n"
    assert "version 1 registered" in made.err
    again = tq("schema", "register", "order", "-", stdin=ORDER)
    assert (again.out, "already" in again.err) == ("1\n", True)
    options = ("--description", "all of it")
    tq("schema", "register", "order", "-", *options, stdin=STRICT)
    shown = json.loads(tq("-o", "json", "schema", "get", "order:1").out)
    assert shown["document"] == json.loads(ORDER)
    assert shown["active"] is True
    text = tq("-o", "table", "schema", "get", "order").out
    assert "all of it" in text
    assert '"count"' in text
    listed = json.loads(tq("-o", "json", "schema", "list", "--limit", "1").out)
    assert [(each["schema_id"], each["version"]) for each in listed] == [("order", 1)]
    rest = tq("-o", "json", "schema", "list", "--after", "order:1").out
    assert [each["version"] for each in json.loads(rest)] == [2]
    assert json.loads(tq("-o", "json", "schema", "list", "--after", "order").out) == []


@on_both
def test_what_is_no_schema_is_wrong_input(tq: Cli) -> None:
    wrong = tq("schema", "register", "order", "-", stdin='{"type": "x"}', code=2)
    assert "document/type" in wrong.err
    assert "is not JSON" in tq("schema", "register", "a", "-", stdin="{", code=2).err
    tq("schema", "register", "order", "-", stdin=ORDER)
    refused = tq(
        "schema", "register", "order", "-", "--compatible", stdin=STRICT, code=2
    )
    assert "'count' is newly required" in refused.err


@on_both
def test_payloads_are_tried(tq: Cli) -> None:
    tq("schema", "register", "order", "-", stdin=ORDER)
    assert tq("schema", "validate", "order", '{"item": 1}').err == "it fits\n"
    found = tq("-o", "json", "schema", "validate", "order:1", "{}", code=1)
    (violation,) = json.loads(found.out)
    assert (violation["path"], violation["code"]) == ("", "required")
    tq("schema", "validate", "order:2", "{}", code=3)
    tq("schema", "validate", "order:x", "{}", code=2)


@on_both
def test_schemas_are_compared(tq: Cli) -> None:
    tq("schema", "register", "order", "-", stdin=STRICT)
    assert "accepts all" in tq("schema", "compat", "order", "-", stdin=ORDER).err
    tq("schema", "register", "order", "-", stdin=ORDER)
    found = tq("-o", "json", "schema", "compat", "order", "-", stdin=STRICT, code=1)
    (reason,) = json.loads(found.out)
    assert reason["certain"] is True
    unknown = tq("schema", "compat", "order", "-", stdin='{"not": {}}', code=1)
    assert "may refuse" in unknown.err


@on_both
def test_versions_are_deactivated_and_deleted(tq: Cli) -> None:
    tq("schema", "register", "order", "-", stdin=ORDER)
    tq("schema", "deactivate", "order", code=2)
    tq("schema", "deactivate", "order:1")
    tq("schema", "get", "order", code=3)
    tq("schema", "deactivate", "order:1", "--undo")
    tq("schema", "get", "order")
    tq("queue", "create", "orders", "--schema", "order", "--schema-required")
    assert "'orders'" in tq("schema", "delete", "order", "--yes", code=4).err
    tq("schema", "register", "order", "-", stdin=STRICT)
    assert "--yes" in tq("schema", "delete", "order:1", code=2).err
    assert tq("schema", "delete", "order:1", "--yes").out == "1\n"


@on_both
def test_queues_and_messages_name_schemas(tq: Cli) -> None:
    tq("schema", "register", "order", "-", stdin=ORDER)
    tq("schema", "register", "any", "-", stdin="true")
    tq("queue", "create", "none", "--schema", "nothing", code=2)
    tq(
        *("queue", "create", "orders", "--schema", "order", "--schema-required"),
        *("--require-metadata", "tenant"),
    )
    shown = tq("-o", "table", "queue", "show", "orders").out
    assert "order (required)" in shown
    assert "tenant" in shown
    refused = tq("message", "post", "orders", "{}", code=2)
    assert "'tenant'" in refused.err
    assert "'item' is a required property" in refused.err
    post = ("message", "post", "orders", "--metadata", "tenant=a")
    tq(*post, '{"item": 1}', "--id", "a")
    tq(*post, "5", "--schema", "any:1", "--id", "b")
    tq(*post, "5", "--schema", "any:2", code=2)
    message = json.loads(tq("-o", "json", "message", "show", "orders", "b").out)
    assert (message["schema_id"], message["schema_version"]) == ("any", 1)


@on_both
def test_a_validator_of_another_process_is_named(tq: Cli) -> None:
    tq("queue", "create", "odd", "--validator", "shop.odd")
    assert "shop.odd" in tq("-o", "table", "queue", "show", "odd").out
    assert "'shop.odd'" in tq("message", "post", "odd", "1", code=2).err


@on_both
def test_a_queue_asks_for_more_and_for_less(tq: Cli) -> None:
    tq("schema", "register", "order", "-", stdin=ORDER)
    tq("queue", "create", "orders", "--max-attempts", "7")
    tq("queue", "update", "orders", code=2)
    tq("queue", "update", "nowhere", "--schema", "order", code=3)
    tq("queue", "update", "orders", "--schema", "nothing", code=2)
    more = ("--schema", "order", "--schema-required", "--require-metadata", "tenant")
    kinds = ("--content-type", "application/json", "--validator", "shop.odd")
    changed = tq("-o", "json", "queue", "update", "orders", *more, *kinds)
    options = json.loads(changed.out)["options"]
    assert options["max_attempts"] == 7
    assert (options["schema_id"], options["schema_required"]) == ("order", True)
    assert options["content_types"] == ["application/json"]
    less = ("--schema", "", "--schema-optional", "--require-metadata", "")
    others = ("--content-type", "", "--validator", "", "--max-attempts", "2")
    changed = tq("-o", "json", "queue", "update", "orders", *less, *others)
    options = json.loads(changed.out)["options"]
    assert options["max_attempts"] == 2
    assert (options["schema_id"], options["schema_required"]) == (None, False)
    assert options["content_types"] is None
    assert (options["required_metadata"], options["validators"]) == ([], [])
    tq("message", "post", "orders", "5")
