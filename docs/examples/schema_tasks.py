import json

from trioqueue import App
from trioqueue.schema import check_compatibility, schema_of

app = App()


@app.task(queue="emails")
async def send_email(to: str, subject: str = "", *, copies: int = 1) -> None: ...


schema = schema_of(send_email)
print(json.dumps(schema["allOf"][0]["then"]["properties"]["kwargs"]))

old = {"type": "object", "properties": {"to": {"type": "string"}}}
new = {**old, "required": ["to"]}
for problem in check_compatibility(old, new).problems:
    print(problem)
