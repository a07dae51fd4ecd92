"""The language as JSON Schema, for editors: they complete keys from it, explain them and underline what is wrong.

It is made from the models that protocol.yaml is read with, so it knows each key and each form. What a name stands for
it does not know: `stenograph agents validate` says the rest.
"""

from typing import Any

from stenograph_services.protocol.documents import ProtocolDoc

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_OF_INTERACTIVE = ("agent", "triggers", "handlers")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of protocol.yaml, of both formats: one with `steps` is a child agent."""
    schema = ProtocolDoc.model_json_schema(by_alias=True, mode="validation")
    forms = {
        "if": {"required": ["steps"]},
        "then": {"not": {"anyOf": [{"required": [key]} for key in _OF_INTERACTIVE]}},
        "else": {"required": ["agent"], "not": {"required": ["output"]}},
    }
    return {"$schema": DIALECT, **_tidied(schema), "title": "protocol.yaml of an agent", **forms}


def _tidied(node: Any) -> Any:
    """Return `node` without titles and empty defaults. A mapping that needs no key may be empty, as in `trigger:`."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidied = {key: _tidied(value) for key, value in node.items() if key != "title" or not isinstance(value, str)}
    if tidied.get("default", ...) in (None, [], {}, ()):
        del tidied["default"]
    if tidied.get("type") == "object" and "properties" in tidied and "required" not in tidied:
        tidied["type"] = ["object", "null"]
    return tidied
