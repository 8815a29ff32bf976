from collections.abc import Iterator, Mapping
from typing import Any

import trio

import trioqueue as tq

ORDER = {
    "type": "object",
    "required": ["item", "count"],
    "properties": {
        "item": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
    },
}


@tq.validator("shop.open")
def shop_is_open(payload: Any, metadata: Mapping[str, Any]) -> Iterator[str]:
    if metadata.get("shop") == "closed-shop":
        yield "is for a shop that is closed"


async def main() -> None:
    async with tq.open_store("sqlite://:memory:") as store:
        await store.register_schema("order", ORDER)
        options = tq.QueueOptions(
            schema_id="order",
            required_metadata=("customer",),
            validators=("shop.open",),
        )
        await store.create_queue("orders", options)

        message = await store.post(
            "orders", {"item": "cup", "count": 2}, metadata={"customer": "ada"}
        )
        print("posted under", message.schema_id, message.schema_version)

        try:
            await store.post("orders", {"count": 0}, metadata={"shop": "closed-shop"})
        except tq.ValidationError as error:
            for issue in error.issues:
                print(issue)

        for violation in await store.validate_payload("order", {"item": 1}):
            print(violation.path or "(whole)", violation.code)


trio.run(main)
