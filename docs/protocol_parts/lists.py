"""The other tables of docs/protocol.md: blocks, names, providers, limits, and whatever may go wrong."""

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar, get_args

import msgspec

import stenograph_services
from protocol_parts.limits import limits
from protocol_parts.tables import code, codes, table
from stenograph_services.orchestrator.models.providers import PROVIDERS
from stenograph_services.orchestrator.triggers import Reason
from stenograph_services.protocol import names
from stenograph_services.protocol.agent import Block
from stenograph_services.protocol.block_documents import BLOCKS
from stenograph_services.protocol.problems import CODES

SERVICES = Path(str(stenograph_services.__file__)).parent

Node = TypeVar("Node", bound=ast.AST)

CALLED: Mapping[str, str] = {
    "variable": "inputs, variables, resources, labels in prompts",
    "type": "types",
    "property": "properties of types",
    "parameter": "parameters of tools",
    "tool": "tools",
    "trigger": "triggers",
    "prompt": "prompts",
    "reference": "references",
    "script": "scripts",
    "slug": "slugs",
    "worker": "child agents",
    "skill": "skills",
    "server": "MCP servers",
    "thread": "threads",
}

APIS: Mapping[str, str] = {
    "anthropic": "Anthropic's Messages API",
    "google": "the Gemini API",
    "openai": "OpenAI's Responses API; behind a base URL of its own: chat completions",
    "x-ai": "chat completions",
    "openrouter": "chat completions; after the route comes the provider: `openrouter/qwen/qwen3-coder`",
    "vercel": "chat completions; after the route comes the provider: `vercel/openai/gpt-5`",
}

REJECTIONS: Mapping[str, str] = {
    "busy": "A turn runs, and the agent's `whenBusy` is `reject`.",
    "queue-full": "As many triggers wait in this session as may.",
    "invalid-input": "An input is missing, unknown, or not of its type. `detail` names each.",
    "unknown-trigger": "The agent has no such trigger.",
    "unknown-agent": "The version that the session was created with is not stored any more.",
    "cancelled": "The turn was cancelled before its trigger was seen.",
    "crash-loop": "Whoever looked at the trigger died, again and again.",
    "ran-once": "The agent is of format `worker`, and its one turn began already.",
    "expired": "The session was idle for too long, or was cleared. Restored, it goes on.",
    "unknown-message": "There is no such message to roll back to.",
    "unknown-session": "There is no such session. No event says so, only a frame: there is no log to put it in.",
}

TURN_FAILURES: Mapping[str, str] = {
    "model-failed": "The model gave no answer: see [failures of models](#failures-of-models). "
    "Where the backup failed too, `detail` is why the first model did.",
    "invalid-response": "The model's answers did not fit `responseType` until its steps were used up. "
    "`detail` says what was wrong with the last one.",
    "invalid-settings": "A variable gave a setting that is none: a model without a provider, a temperature of 3.",
    "too-large": "A prompt, once it is filled in, or the output of a child agent does not fit into an event.",
    "unsupported": "The turn came to a block that is not run here.",
    "unknown-agent": "The version that the session was created with is not stored any more.",
    "crash-loop": "Whoever drove the turn died without progress, again and again. The services' logs say why.",
}

MODEL_FAILURES: Mapping[str, str] = {
    "rate-limit": "Status 429.",
    "overloaded": "Status 503 or 529.",
    "provider-error": "Any other status from 500 on, or an error in the middle of the stream.",
    "timeout": "Status 408, or no answer in the time that it may take.",
    "connection": "The connection failed, or broke.",
    "cut-off": "The stream ended before the answer did.",
    "bad-answer": "What came is no JSON, or no stream of events: often a proxy's page.",
    "empty-response": "The model said nothing and asked for nothing.",
    "no-file": "A file that the provider wants as bytes could not be fetched.",
    "bad-request": "Status 400, 413 or 422, or a setting that the model cannot take.",
    "authentication": "Status 401, or there is no key.",
    "permission": "Status 403.",
    "not-found": "Status 404: usually the name of the model.",
    "quota-exceeded": "Status 402, or a 429 that says that the credit is used up.",
    "context-window": "The conversation is too long for the model. See [context management](#context-management).",
    "too-large": "The answer is larger than an event may be.",
    "loop": "The answer repeats itself, and `loopGuard` is on.",
    "unknown-provider": "Nobody serves a model of this name.",
    "bad-script": "A `scripted/…` model has no script, or a broken one.",
    "script-over": "A `scripted/…` model is asked for more than its script says.",
    "unexpected": "Anything else. A mistake of ours: please report it.",
}


def _names() -> str:
    spelled: dict[tuple[str, int], list[str]] = {}
    for kind, (_, words) in names._RULES.items():
        longest = names.MAX_PATH_LENGTH if kind in names._PATHS else names.MAX_LENGTH
        spelled.setdefault((words, longest), []).append(CALLED[kind])
    return table(
        ("spelling", "of", "characters, at most"),
        ((_spelling(words), ", ".join(kinds), str(longest)) for (words, longest), kinds in spelled.items()),
    )


def _spelling(words: str) -> str:
    return words if " " in words else code(words)


def _blocks() -> str:
    compiled = {block.__struct_config__.tag: block for block in get_args(Block)}
    rows = (
        (f"[`{kind}`](#{kind})", (doc.__doc__ or "").partition("\n")[0], code(_display(compiled[kind])))
        for kind, doc in BLOCKS.items()
        if kind in compiled
    )
    return table(("block", "what it does", "`display` if left out"), rows)


def _display(block: type[msgspec.Struct]) -> str:
    return next(str(field.default) for field in msgspec.structs.fields(block) if field.name == "display")


def _providers() -> str:
    rows = (
        (code(f"{name}/…"), codes(provider.keys), codes(filter(None, [provider.moved_by])), APIS[name])
        for name, provider in PROVIDERS.items()
    )
    return table(("model", "key", "another base URL", "asked by"), rows)


def _codes() -> str:
    severities: dict[str, set[str]] = {}
    for name, severity in _severities():
        severities.setdefault(name, set()).add(severity)
    rows = ((code(name), " or ".join(sorted(severities.get(name, {"error"}))), what) for name, what in CODES.items())
    return table(("code", "is an", "what it means"), rows)


def _severities() -> Iterator[tuple[str, str]]:
    """Yield each code with what the checks in protocol/ make of it."""
    for call in _inside("protocol", ast.Call):
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        texts = [str(each.value) for each in given if isinstance(each, ast.Constant)]
        warns = "warning" in texts or (isinstance(call.func, ast.Attribute) and call.func.attr == "warn")
        yield from ((text, "warning" if warns else "error") for text in texts if text in CODES)


def _inside(folder: str, kind: type[Node]) -> Iterator[Node]:
    """Yield the nodes of a kind in the source of a folder of the services."""
    for file in sorted((SERVICES / folder).rglob("*.py")):
        yield from (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kind))


def _rejections() -> str:
    reasons = (*get_args(Reason), "unknown-session")
    return table(("reason", "why"), ((code(reason), REJECTIONS[reason]) for reason in reasons))


def _turn_failures() -> str:
    return table(("reason", "why"), ((code(reason), why) for reason, why in TURN_FAILURES.items()))


def _model_failures() -> str:
    again = set(_asked_again())
    rows = ((code(kind), "yes" if kind in again else "no", why) for kind, why in MODEL_FAILURES.items())
    return table(("failure", "asked again", "when"), rows)


def _asked_again() -> Iterator[str]:
    """Yield the failures after which, as the code has it, asking again may help."""
    for node in _inside("orchestrator", ast.AST):
        match node:
            case ast.Tuple(elts=[ast.Constant(value=str(kind)), ast.Constant(value=True)]):
                yield kind
            case ast.Call(func=ast.Name(id="ModelError"), args=[ast.Constant(value=str(kind)), *_]):
                if any(keyword.arg == "retryable" for keyword in node.keywords):
                    yield kind


LISTS: Mapping[str, Callable[[], str]] = {
    "names": _names,
    "blocks": _blocks,
    "providers": _providers,
    "limits": limits,
    "codes": _codes,
    "rejections": _rejections,
    "turn-failures": _turn_failures,
    "model-failures": _model_failures,
}
"""What a mark `<!-- list: … -->` may ask for."""
