"""The settings of threads: the section `agent`, and what a block `start-thread` says."""

import re
from collections.abc import Mapping

from stenograph_services.protocol.agent import Budget, ContextManagement, Ref, ThreadSetup
from stenograph_services.protocol.problems import Path, did_you_mean, shown
from stenograph_services.protocol.scope import Names, Scope
from stenograph_services.protocol.secret_checks import check_offered
from stenograph_services.protocol.thread_documents import AgentDoc, ContextDoc, LimitsDoc, ThreadDoc
from stenograph_services.protocol.unsupported import keys_not_run

ONE_CYCLE = 2  # steps of an agent that is not agentic: it may ask for tools once, then it answers

PROVIDERS = ("anthropic", "google", "openai", "x-ai", "vercel", "openrouter", "scripted")
"""Those that are known without configuration."""

_MODEL = re.compile(r"[a-z][a-z0-9-]*(?:/[A-Za-z0-9][A-Za-z0-9._:@-]*)+")
_FAST = re.compile(r"(?:vercel/)?anthropic/claude-opus-(?:5|4[.-][678])(?![0-9]).*")
"""The models that the public pages name for `speed: fast`."""

_MODELS = ("model", "backup_model", "image_model", "video_model", "speech_model", "transcription_model")
_TYPES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((*_MODELS, "thinking", "speed"), ("string",)),
    "temperature": ("number", "integer", "string"),
    "max_steps": ("integer", "number", "string"),
}
"""The settings that a variable may give, and the types that it may have."""


def thread_setup(scope: Scope, doc: ThreadDoc, prompt_names: Names, names: Names, path: Path) -> ThreadSetup:
    """Return the settings at `path`. `prompt_names` may fill the system prompt, `names` may give settings."""
    for key in _MODELS:
        _check_model(scope, getattr(doc, key), (*path, _alias(doc, key)))
    _check_references(scope, doc, names, path)
    _check_lists(scope, doc, path)
    if doc.speed == "fast" and isinstance(doc.model, str) and not _FAST.fullmatch(doc.model):
        message = f"`fast` changes nothing for {shown(doc.model)}; Claude Opus 4.6 and later have it"
        scope.warn((*path, "speed"), "no-fast-mode", message)
    return ThreadSetup(
        model=doc.model,
        system=scope.prompt(doc.system, doc.input, prompt_names, path, "system"),
        tools=tuple(doc.tools),
        children=tuple(doc.workers),
        references=tuple(doc.references),
        not_run=keys_not_run(scope, doc, path),
        **{key: getattr(doc, key) for key in _SAME},
    )


_SAME = (
    "todo_list",
    "max_steps",
    "temperature",
    "thinking",
    "backup_model",
    "max_output_tokens",
    "max_tool_output_tokens",
    "loop_guard",
    "cache",
    "speed",
)
"""The settings that have one name and one form in the document and in the setup."""


def main_thread(scope: Scope, doc: AgentDoc) -> ThreadSetup:
    """Return the settings of an agent's main thread."""
    setup = thread_setup(scope, doc, scope.session_names(), scope.setting_names(), ("agent",))
    changes: dict[str, object] = {"context": context(scope, doc.context_management)}
    if not doc.agentic:
        changes["max_steps"] = min(doc.max_steps, ONE_CYCLE) if isinstance(doc.max_steps, int) else ONE_CYCLE
    return ThreadSetup(**{name: getattr(setup, name) for name in setup.__struct_fields__} | changes)


def context(scope: Scope, doc: ContextDoc | None) -> ContextManagement | None:
    """Return when the main thread is summed up."""
    if doc is None:
        return None
    path = ("agent", "contextManagement")
    if doc.summarizer_worker is not None:
        scope.check_known("worker", doc.summarizer_worker, scope.declared("workers"), (*path, "summarizerWorker"))
        if doc.recent_percent is None:
            message = "never runs without `recentPercent`, the part of the window that stays as it is"
            scope.warn((*path, "summarizerWorker"), "summarizer", message)
    if doc.recent_window is not None:
        scope.warn((*path, "recentWindow"), "deprecated", "has no effect; write `recentPercent`")
    return ContextManagement(doc.summarizer_worker, doc.threshold_percent, doc.recent_percent)


def budget(doc: LimitsDoc | None) -> Budget:
    if doc is None:
        return Budget()
    return Budget(tokens=doc.tokens, cost_usd=doc.cost, steps=doc.steps, seconds=doc.seconds)


def _alias(doc: ThreadDoc, key: str) -> str:
    return type(doc).model_fields[key].alias or key


def _check_model(scope: Scope, model: str | Ref | None, path: Path) -> None:
    if not isinstance(model, str):
        return
    provider, _, name = model.partition("/")
    if not _MODEL.fullmatch(model):
        scope.report(path, "model", f"must be provider/model, such as openai/gpt-5, not {shown(model)}")
    elif provider == "scripted":
        if name not in scope.files.scripts:
            near = did_you_mean(name, scope.files.scripts)
            scope.report(path, "unknown-name", f"no script {shown(name)} in scripts/{near}")
    elif provider not in PROVIDERS:
        near = did_you_mean(provider, PROVIDERS)
        message = f"the provider {shown(provider)} is known only where an operator configures it{near}"
        scope.warn(path, "unknown-provider", message)


def _check_references(scope: Scope, doc: ThreadDoc, names: Names, path: Path) -> None:
    """Check the variables that settings name."""
    for key, types in _TYPES.items():
        value = getattr(doc, key)
        if isinstance(value, Ref):
            alias = _alias(doc, key)
            at = (*path, alias)
            if scope.check_known("input or variable", value.name, names, at):
                scope.check_type(value.name, names, types, f"`{alias}`", at)


def _check_lists(scope: Scope, doc: ThreadDoc, path: Path) -> None:
    scope.check_list("tool", doc.tools, scope.declared("tools"), (*path, "tools"))
    check_offered(scope, doc.tools, (*path, "tools"))
    scope.check_list("worker", doc.workers, scope.declared("workers"), (*path, "workers"))
    scope.check_list("reference", doc.references, scope.files.references, (*path, "references"))
