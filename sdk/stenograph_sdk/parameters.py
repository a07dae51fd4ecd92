"""A tool's parameters, from the signature of its function: a JSON schema for agents, a converter for calls.

    async def refund(order: str, amount: Annotated[float, msgspec.Meta(gt=0)], reason: str = "") -> str: ...

    {"type":"object","properties":{"order":{"type":"string"},"amount":{"type":"number","exclusiveMinimum":0},
     "reason":{"type":"string"}},"required":["order","amount"],"additionalProperties":false,"title":"refund"}

Types are msgspec's (plain ones, dataclasses, structs) or pydantic's, parameter by parameter. The signature is read
once, when the tool is defined; a call only decodes.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stenograph_sdk.errors import StenographSdkError, ToolDefinitionError
from stenograph_sdk.lifespan import FromLifespan
from stenograph_sdk.pydantic_types import DEFINITIONS, PydanticType, Unfit, is_field, merge, names_pydantic

_ABSENT = Raw(b"")  # of a pydantic type that the call leaves out; no JSON is empty
_everything = msgspec.json.Decoder(dict[str, Raw])


class InvalidArguments(StenographSdkError):
    """The arguments of a call do not fit the function. The message names the path, such as `$.amount`."""

    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(f"the arguments do not fit {tool}: {reason}")
        self.tool = tool
        self.reason = reason


class Parameters:
    """What a function takes, and what it gives.

    `context_name` is its parameter annotated with `context`, if it has one; `from_lifespan` are the types of those that
    a lifespan fills. `result` is the schema of what it declares to return, None where that says nothing.
    """

    def __init__(self, tool: str, function: Callable[..., Any], context: type) -> None:
        self._tool = tool
        self.context_name: str | None = None
        self.from_lifespan: dict[str, Any] = {}
        self._takes_all = False
        self._foreign: dict[str, PydanticType] = {}
        fields: list[tuple[str, Any, Any]] = []
        self._bound = _bound(function)
        hints = self._hints(function)
        for name, parameter in inspect.signature(function).parameters.items():
            annotation = hints.get(name, Any)
            if name in self._bound:
                continue
            if annotation is context:
                self.context_name = name
            elif FromLifespan in getattr(annotation, "__metadata__", ()):
                self.from_lifespan[name] = annotation.__origin__
            elif parameter.kind is parameter.VAR_KEYWORD:
                self._takes_all = True
            else:
                fields.append(self._field(parameter, annotation))
        self._names = tuple(name for name, *_ in fields)
        title = tool.replace("-", "_")
        self._struct = msgspec.defstruct(title, fields, kw_only=True, forbid_unknown_fields=not self._takes_all)
        try:
            self._decoder = msgspec.json.Decoder(self._struct)
            self.schema = self._describe()
        except TypeError as error:
            reason = str(error).splitlines()[-1]
            raise ToolDefinitionError(tool, f"a parameter has a type that JSON cannot carry: {reason}") from error
        self.result = result_schema(hints.get("return", Any))

    def convert(self, arguments: Raw) -> dict[str, Any]:
        """Return the keyword arguments that `arguments`, a JSON object, stands for; raise `InvalidArguments`."""
        try:
            given = self._given(self._decoder.decode(arguments))
            if self._takes_all:
                ours = {*self._names, *self._bound}
                others = _everything.decode(arguments).items()
                given |= {name: msgspec.json.decode(raw) for name, raw in others if name not in ours}
            return given
        except (msgspec.MsgspecError, Unfit) as error:
            raise InvalidArguments(self._tool, str(error)) from error

    def _given(self, struct: Any) -> dict[str, Any]:
        """Return the fields that the call sets; the function's own defaults stand for the others."""
        given: dict[str, Any] = {}
        for name in self._names:
            value = getattr(struct, name)
            if value is UNSET or value is _ABSENT:
                continue
            foreign = self._foreign.get(name)
            given[name] = value if foreign is None else foreign.convert(name, value)
        return given

    def _hints(self, function: Callable[..., Any]) -> dict[str, Any]:
        while isinstance(function, functools.partial):
            function = function.func
        target = function if inspect.isroutine(function) else type(function).__call__
        try:
            return get_type_hints(target, include_extras=True)
        except (NameError, TypeError) as error:
            raise ToolDefinitionError(self._tool, f"its annotations cannot be read: {error}") from error

    def _field(self, parameter: inspect.Parameter, annotation: Any) -> tuple[str, Any, Any]:
        name, required = parameter.name, parameter.default is parameter.empty
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise ToolDefinitionError(self._tool, f"arguments have names, so {name!r} cannot be positional")
        if is_field(parameter.default):
            mend = f"write {name}: Annotated[…, Field(…)], and = the value"
            raise ToolDefinitionError(self._tool, f"{name!r} has Field(…) for a default: {mend}")
        if names_pydantic(annotation):
            self._foreign[name] = self._foreign_type(name, annotation)
            return name, Raw, msgspec.NODEFAULT if required else msgspec.field(default_factory=_absent)
        if required:
            return name, annotation, msgspec.NODEFAULT
        return name, annotation | UnsetType, UNSET

    def _foreign_type(self, name: str, annotation: Any) -> PydanticType:
        try:
            return PydanticType(annotation)
        except Exception as error:  # pydantic has a dozen of them, of several roots
            reason = str(error).splitlines()[0]
            raise ToolDefinitionError(self._tool, f"pydantic cannot read the type of {name!r}: {reason}") from error

    def _describe(self) -> dict[str, Any]:
        (reference,), definitions = msgspec.json.schema_components(
            (self._struct,), ref_template=f"#/{DEFINITIONS}/{{name}}"
        )
        schema = definitions.pop(reference["$ref"].rpartition("/")[2])
        for name, foreign in self._foreign.items():
            schema["properties"][name] = foreign.schema(definitions, "validation")
        return {**schema, DEFINITIONS: definitions} if definitions else schema


def _bound(function: Callable[..., Any]) -> set[str]:
    """Return the parameters that a `functools.partial` has filled: nobody else may."""
    found: set[str] = set()
    while isinstance(function, functools.partial):
        found |= function.keywords.keys()
        function = function.func
    return found


def _absent() -> Raw:
    return _ABSENT


def result_schema(annotation: Any) -> dict[str, Any] | None:
    """Return the schema of what a function declares to return; None if it says nothing, or no JSON type."""
    if annotation in (Any, object):
        return None
    definitions: dict[str, Any] = {}
    try:
        if names_pydantic(annotation):
            schema = PydanticType(annotation).schema(definitions, "serialization")
        else:
            (schema,), more = msgspec.json.schema_components((annotation,), ref_template=f"#/{DEFINITIONS}/{{name}}")
            merge(definitions, more)
    except Exception:  # what a function gives need not be described: it may know how to write itself as JSON
        return None
    return {**schema, DEFINITIONS: definitions} if definitions else schema


def described(function: Callable[..., Any]) -> str:
    """Return the docstring of a function, of a method, or of an object that can be called; empty if it has none."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function):
        return inspect.getdoc(function) or ""
    return inspect.getdoc(type(function).__call__) or inspect.getdoc(type(function)) or ""
