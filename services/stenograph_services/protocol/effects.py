"""What a protocol declares of unknown outcomes, and of attempts: a person is asked, or another tool finds out.

onUnknown: {reconcile: find-payment}

find-payment is given   {"call":"7e1f…","tool":"pay","arguments":{"amount":250},"attempt":1}: those that it declares
and answers             {"outcome":"succeeded","result":{…}}, {"outcome":"failed","error":"…"} or {"outcome":"unknown"}
"""

from collections.abc import Mapping

from stenograph_services.protocol.agent import Tool
from stenograph_services.protocol.documents import ToolDoc
from stenograph_services.protocol.forms import Reconcile
from stenograph_services.protocol.problems import Path, shown
from stenograph_services.protocol.schemas import compiled, problems
from stenograph_services.protocol.scope import Scope

GIVEN = {"call": "7e1f", "tool": "pay", "arguments": {}, "attempt": 1}
"""What a check is given, as an example of each."""


def check_attempts(scope: Scope, name: str, doc: ToolDoc) -> None:
    """Report what cannot be tried again, and a pause that nothing follows."""
    more = (doc.attempts or 1) > 1
    if more and doc.retry != "safe":
        message = "needs `retry: safe`: what must not run twice is not tried again"
        scope.report(("tools", name, "attempts"), "attempts", message)
    if doc.backoff is not None and not more:
        scope.warn(("tools", name, "backoff"), "attempts", "says nothing: there is one attempt; say `attempts: 3`")


def check_unknown(scope: Scope, name: str, doc: ToolDoc, tools: Mapping[str, Tool]) -> None:
    """Report what cannot follow on an unknown outcome of tool `name`."""
    path = ("tools", name, "onUnknown")
    if doc.on_unknown == "tell-model":
        return
    if doc.retry == "safe":
        scope.warn(path, "on-unknown", "says nothing: with `retry: safe` a call may run again, so none is left unknown")
    if isinstance(doc.on_unknown, Reconcile):
        _check_reconciling(scope, doc.on_unknown.tool, tools, (*path, "reconcile"))


def _check_reconciling(scope: Scope, name: str, tools: Mapping[str, Tool], path: Path) -> None:
    if not scope.check_known("tool", name, scope.declared("tools"), path) or (tool := tools.get(name)) is None:
        return
    if tool.retry != "safe":
        scope.report(path, "on-unknown", f"{shown(name)} needs `retry: safe`: a check may have to run again")
    if tool.approval != "never":
        scope.report(path, "on-unknown", f"{shown(name)} has `approval`: nobody is asked before a check")
    properties, required = tool.parameters.json.get("properties", {}), tool.parameters.json.get("required", [])
    for parameter in required:
        if parameter not in GIVEN and tool.secrets.get(parameter) is None:
            message = f"{shown(name)} needs {shown(parameter)}, and a check is given {', '.join(GIVEN)} alone"
            scope.report(path, "on-unknown", message)
    for parameter in tool.secrets:
        if parameter in GIVEN:
            message = f"the parameter {parameter} of {shown(name)} is secret, and every check is told it"
            scope.report(path, "secret", message)
    for parameter, example in GIVEN.items():
        if parameter in properties and problems(compiled(_whole(tool, properties[parameter])), example):
            kinds = {"call": "string", "tool": "string", "arguments": "unknown", "attempt": "integer"}
            message = f"the parameter {parameter} of {shown(name)} has to be of type {kinds[parameter]}"
            scope.report(path, "on-unknown", message)


def _whole(tool: Tool, schema: dict[str, object]) -> dict[str, object]:
    """Return the schema of a parameter with the definitions that it may refer to."""
    return schema | {key: value for key, value in tool.parameters.json.items() if key.startswith("$")}
