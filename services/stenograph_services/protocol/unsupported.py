"""What the language has and we do not run: media, sandboxed skills, MCP servers, a web search, Anthropic's own tools.

It is checked as all else and told with a warning. A model is not offered what its settings ask for; a turn that comes
to a block that we do not run ends with the reason `unsupported`. To run one of them, take it out of here.
"""

from typing import Any

from stenograph_services.protocol.agent import NotRun
from stenograph_services.protocol.block_documents import (
    AnyMediaDoc,
    GenerateImageDoc,
    GenerateSpeechDoc,
    GenerateVideoDoc,
    TranscribeAudioDoc,
)
from stenograph_services.protocol.documents import ProtocolDoc, ServerDoc
from stenograph_services.protocol.problems import Path, shown
from stenograph_services.protocol.scope import Names, Scope
from stenograph_services.protocol.thread_documents import ThreadDoc

KEYS = (
    "skills",
    "on_demand_skills",
    "mcp_servers",
    "on_demand_mcp_servers",
    "web_search",
    "image_model",
    "video_model",
    "speech_model",
    "speech_voice",
    "transcription_model",
    "sandbox_timeout",
    "max_image_dimension",
    "anthropic",
)
"""The settings of a thread that ask for something that we do not run."""


def keys_not_run(scope: Scope, doc: ThreadDoc, path: Path) -> tuple[str, ...]:
    """Return the keys of a thread's settings, which stand at `path`, that are not run, and warn of each."""
    _check_names(scope, doc, path)
    aliases = {name: doc.__class__.model_fields[name].alias or name for name in KEYS if getattr(doc, name)}
    for alias in aliases.values():
        scope.warn((*path, alias), "not-run", f"`{alias}` is not run here: the model is asked without it")
    return tuple(aliases.values())


def check_sections(scope: Scope, doc: ProtocolDoc) -> None:
    """Check the sections that only declare what we do not run."""
    scope.check_names("skill", ("skills",))
    scope.check_names("server", ("mcpServers",))
    for name, server in doc.mcp_servers.items():
        _check_server(scope, server, ("mcpServers", name))
    for source in ("device", "consumer"):
        if source in doc.on_demand_mcp_servers:
            message = "only servers of source `remote` can be connected on demand"
            scope.report(("onDemandMcpServers", source), "server-source", message)


def not_run(scope: Scope, doc: AnyMediaDoc, names: Names, path: Path, common: dict[str, Any]) -> NotRun:
    """Return a block that ends the turn when it is reached."""
    scope.warn((*path, "block"), "not-run", f"`{doc.block}` is not run here: a turn that comes to it fails")
    for key, name in _variables(doc):
        scope.check_known("input, variable or resource", name, names, (*path, *key))
    scope.check_output(doc.output, None, "", (*path, "output"))
    return NotRun(kind=doc.block, **common)


def _check_names(scope: Scope, doc: ThreadDoc, path: Path) -> None:
    scope.check_list("skill", doc.skills, scope.declared("skills"), (*path, "skills"))
    scope.check_list("MCP server", doc.mcp_servers, scope.declared("mcpServers"), (*path, "mcpServers"))
    sources = scope.declared("onDemandMcpServers")
    scope.check_list("entry of `onDemandMcpServers`", doc.on_demand_mcp_servers, sources, (*path, "onDemandMcpServers"))
    if doc.anthropic is not None and isinstance(doc.model, str) and "/" in doc.model:
        provider = doc.model.partition("/")[0]
        if provider != "anthropic":
            message = f"is for models of anthropic, and the model is one of {shown(provider)}"
            scope.report((*path, "anthropic"), "provider", message)


def _check_server(scope: Scope, server: ServerDoc, path: Path) -> None:
    """`execution` and `connection` are about servers that the platform runs."""
    if server.source == "remote":
        return
    for key, value in (("execution", server.execution), ("connection", server.connection)):
        if value is not None:
            message = f"is for servers of source `remote`, and this one's is `{server.source}`"
            scope.report((*path, key), "server-source", message)


def _variables(doc: AnyMediaDoc) -> list[tuple[Path, str]]:
    match doc:
        case GenerateImageDoc():
            images = [(("referenceImages", at), name) for at, name in enumerate(doc.reference_images)]
            return [(("prompt",), doc.prompt), *images]
        case GenerateVideoDoc():
            return [(("prompt",), doc.prompt)]
        case GenerateSpeechDoc():
            return [(("text",), doc.text)]
        case TranscribeAudioDoc():
            return [(("audio",), doc.audio)]
