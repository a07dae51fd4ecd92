"""The OpenAPI 3.1 document of the HTTP interface, made from the routes, from `openapi_operations`, and from the types.

    GET /openapi.json      the same document as docs/openapi.json, which `docs/generate_openapi.py` writes
    GET /docs              the document as a page

A value that is optional is left out of an answer, never null; the schemas say so.
"""

import warnings
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic.json_schema import models_json_schema

from stenograph_services.gateway.documents.asyncapi import asyncapi_document
from stenograph_services.gateway.documents.docs_page import HEADERS, docs_page
from stenograph_services.gateway.documents.openapi_operations import JSON, OPERATIONS, STREAM, Operation
from stenograph_services.gateway.documents.schemas import schemas_of, without_null
from stenograph_services.gateway.http.shapes import Shape, answer, product_version
from stenograph_services.gateway.wire.stream_events import StreamEvent, Unsaid

_REFERENCE = "#/components/schemas/{name}"
_PYDANTIC_REFERENCE = "#/components/schemas/{model}"

_DESCRIPTION = """\
The HTTP interface of Stenograph. Every error is `{"error": "a sentence", "code": "A_CODE"}`; 429 and 503 say in \
`Retry-After` how many seconds to wait. What is optional is left out, never null. `X-Request-Id` is taken from a \
request, or made, and comes back with the answer."""

_STATUSES = {
    400: "What was sent is wrong; the sentence says where",
    401: "No key, or a wrong one",
    403: "The key may not do this",
    404: "It is not there",
    409: "It is there already, or not in a state in which this can be done",
    413: "It is too large",
    416: "The file has no such range",
    429: "The session is busy, or too much was asked: wait as `Retry-After` says",
    500: "A defect; the log of the gateway has it under the request's id",
    503: "The event log or the index cannot be reached now: wait as `Retry-After` says",
}
_ALWAYS = (401, 403, 429, 500, 503)
_ALWAYS_PUBLIC = (500, 503)

_UNDESCRIBED = Operation("other", "A route of a later version")

_SESSION = {
    "description": "The id of a session",
    "schema": {"type": "string", "maxLength": 64},
    "example": "2f0193b1c0a87d5e9b64f27a1c3d5e7f90",
}
_AGENT = {
    "description": "The id or the slug of an agent",
    "schema": {"type": "string", "maxLength": 64},
    "example": "support-chat",
}


class ProblemBody(Shape, frozen=True, kw_only=True):
    """What every error answers with: a sentence for a person, and a code for a program."""

    error: str
    code: str


def serve_documents(app: FastAPI) -> None:
    """Add the routes that serve the documents, of all routes that `app` has by then."""
    made: dict[str, Any] = {}

    @app.get("/openapi.json")
    async def openapi() -> Response:
        if "openapi" not in made:
            made["openapi"] = openapi_document(app)
        return answer(made["openapi"])

    @app.get("/asyncapi.json")
    async def asyncapi() -> Response:
        if "asyncapi" not in made:
            made["asyncapi"] = asyncapi_document()
        return answer(made["asyncapi"])

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        if "openapi" not in made:
            made["openapi"] = openapi_document(app)
        return HTMLResponse(docs_page(made["openapi"], str(request.base_url).rstrip("/")), headers=HEADERS)

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("/docs")


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the document of every route of `app`."""
    with warnings.catch_warnings(action="ignore"):  # about operation ids, which get names of ours
        document = get_openapi(
            title="Stenograph",
            version=product_version(),
            openapi_version="3.1.0",
            description=_DESCRIPTION,
            routes=app.routes,
        )
    document["security"] = [{"key": []}]
    document["tags"] = [{"name": tag} for tag in dict.fromkeys(one.tag for one in OPERATIONS.values())]
    for path, methods in document["paths"].items():
        for method, found in methods.items():
            _complete(found, method, OPERATIONS.get((method, path), _UNDESCRIBED))
        document["paths"][path] = dict(sorted(methods.items()))  # FastAPI has them in a set
    document["components"] = {
        "schemas": _schemas(),
        "responses": {str(status): _problem(status) for status in _STATUSES},
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key, or a token"}},
    }
    return document


def _complete(found: dict[str, Any], method: str, operation: Operation) -> None:
    """Put into `found`, which FastAPI made, what only the table knows."""
    name = found["operationId"].split("_api_")[0].split("_")[0]
    found["operationId"] = f"{operation.tag}_{name}" + ("_head" if method == "head" else "")
    found["summary"] = operation.summary
    found["tags"] = [operation.tag]
    if operation.description:
        found["description"] = operation.description
    if operation.public:
        found["security"] = []
    for parameter in found.get("parameters", ()):
        parameter |= {"session": _SESSION, "agent": _AGENT}.get(parameter["name"], {}) if _in_path(parameter) else {}
        without_null(parameter["schema"])
    if operation.body is not None:
        content = {"schema": _referred(operation.body), "examples": _examples(operation.body_examples)}
        found["requestBody"] = {"required": True, "content": {JSON: content}}
    if operation.raw_body:
        found["requestBody"] = {"required": True, "content": {"*/*": {"schema": {"type": "string"}, "example": "…"}}}
    always = _ALWAYS_PUBLIC if operation.public else _ALWAYS
    found["responses"] = {str(operation.status): _success(operation)} | {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted({*always, *operation.errors})
    }
    for status in operation.also:  # the same answer under another status
        found["responses"][str(status)] = _success(operation)


def _success(operation: Operation) -> dict[str, Any]:
    schemas = [_referred(kind) for kind in operation.answers]
    content: dict[str, Any] = {"schema": {"type": "string"} if operation.media_type != JSON else {"type": "object"}}
    if schemas:
        content["schema"] = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    if operation.media_type == STREAM:
        content["schema"] = _event(operation)
    if operation.example is not None:
        content["example"] = operation.example
    return {"description": operation.summary, "content": {operation.media_type: content}}


def _event(operation: Operation) -> dict[str, Any]:
    """Return the schema of a stream: as a whole it is text, and tools that take it apart see events."""
    data: dict[str, Any] = {"type": "string", "contentMediaType": JSON}
    if operation.tag == "turns":
        data["contentSchema"] = {"$ref": _REFERENCE.format(name="StreamEvent")}
        data = {"anyOf": [{"const": "[DONE]"}, data]}
    return {"type": ["string", "object"], "properties": {"id": {"type": "string"}, "data": data}}


def _problem(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": _STATUSES[status],
        "content": {JSON: {"schema": _referred(ProblemBody)}},
    }
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    return response


# ---- schemas


def _schemas() -> dict[str, Any]:
    answers = {kind for operation in OPERATIONS.values() for kind in operation.answers}
    events = sorted({*StreamEvent.__subclasses__()} - {Unsaid}, key=lambda kind: kind.__name__)
    kinds = sorted({*answers, ProblemBody, *events}, key=lambda kind: kind.__name__)
    shapes = schemas_of(kinds, _REFERENCE)
    bodies = {operation.body for operation in OPERATIONS.values() if operation.body is not None}
    wanted = [(body, "validation") for body in sorted(bodies, key=lambda body: body.__name__)]
    _, definitions = models_json_schema(wanted, ref_template=_PYDANTIC_REFERENCE)  # type: ignore[arg-type]
    named = {"StreamEvent": {"oneOf": [_referred(kind) for kind in events]}}
    models = definitions["$defs"]
    if twice := {*shapes, *named} & set(models):
        raise TypeError(f"two types of one name would be one schema: {', '.join(sorted(twice))}")
    return dict(sorted({**shapes, **models, **named}.items()))


def _referred(kind: type) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _examples(given: Any) -> dict[str, Any]:
    return {name: {"value": value} for name, value in given.items()}


def _in_path(parameter: dict[str, Any]) -> bool:
    return bool(parameter["in"] == "path")
