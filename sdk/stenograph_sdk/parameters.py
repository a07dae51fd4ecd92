"""A tool's parameters, from the signature of its function: a JSON schema for agents, a converter for calls.

    async def refund(order: str, amount: Annotated[float, msgspec.Meta(gt=0)], reason: str = "") -> str: ...

    {"type":"object","properties":{"order":{"type":"string"},"amount":{"type":"number","exclusiveMinimum":0},
     "reason":{"type":"string"}},"required":["order","amount"],"additionalProperties":false,"title":"refund"}

The signature is read once, when the tool is defined; a call only decodes.
"""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stenograph_sdk.errors import StenographSdkError, ToolDefinitionError


class InvalidArguments(StenographSdkError):
    """The arguments of a call do not fit the function. The message names the path, such as `$.amount`."""

    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(f"the arguments do not fit {tool}: {reason}")
        self.tool = tool
        self.reason = reason


class Parameters:
    """What a function takes. `context_name` is its parameter annotated with `context`, if it has one."""

    def __init__(self, tool: str, function: Callable[..., Any], context: type) -> None:
        self._tool = tool
        self.context_name: str | None = None
        self._takes_all = False
        fields: list[tuple[str, Any, Any]] = []
        hints = self._hints(function)
        for name, parameter in inspect.signature(function).parameters.items():
            annotation = hints.get(name, Any)
            if annotation is context:
                self.context_name = name
            elif parameter.kind is parameter.VAR_KEYWORD:
                self._takes_all = True
            else:
                fields.append(self._field(parameter, annotation))
        self._names = tuple(name for name, *_ in fields)
        title = tool.replace("-", "_")
        self._struct = msgspec.defstruct(title, fields, kw_only=True, forbid_unknown_fields=not self._takes_all)
        try:
            self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict if self._takes_all else self._struct)
            self.schema = self._describe()
        except TypeError as error:
            reason = str(error).splitlines()[-1]
            raise ToolDefinitionError(tool, f"a parameter has a type that JSON cannot carry: {reason}") from error

    def convert(self, arguments: Raw) -> dict[str, Any]:
        """Return the keyword arguments that `arguments`, a JSON object, stands for; raise `InvalidArguments`."""
        try:
            decoded = self._decoder.decode(arguments)
            if not self._takes_all:
                return self._given(decoded)
            known = {name: decoded[name] for name in self._names if name in decoded}
            return {**decoded, **self._given(msgspec.convert(known, self._struct))}
        except msgspec.MsgspecError as error:
            raise InvalidArguments(self._tool, str(error)) from error

    def _given(self, struct: Any) -> dict[str, Any]:
        """Return the fields that the call sets; the function's own defaults stand for the others."""
        return {name: value for name in self._names if (value := getattr(struct, name)) is not UNSET}

    def _hints(self, function: Callable[..., Any]) -> dict[str, Any]:
        target = function if inspect.isroutine(function) else type(function).__call__
        try:
            return get_type_hints(target, include_extras=True)
        except (NameError, TypeError) as error:
            raise ToolDefinitionError(self._tool, f"its annotations cannot be read: {error}") from error

    def _field(self, parameter: inspect.Parameter, annotation: Any) -> tuple[str, Any, Any]:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise ToolDefinitionError(self._tool, f"arguments have names, so {parameter.name!r} cannot be positional")
        if parameter.default is parameter.empty:
            return parameter.name, annotation, msgspec.NODEFAULT
        return parameter.name, annotation | UnsetType, UNSET

    def _describe(self) -> dict[str, Any]:
        (reference,), definitions = msgspec.json.schema_components((self._struct,), ref_template="#/$defs/{name}")
        name = reference["$ref"].rpartition("/")[2]
        schema = definitions.pop(name)
        return {**schema, "$defs": definitions} if definitions else schema
