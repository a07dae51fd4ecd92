"""An agent as a client sends it, and the files that it stands for.

{"settings":{"slug":"support-chat","name":"Support Chat","format":"interactive"},
 "protocol":"input:\n …",
 "prompts":[{"name":"system","content":"You are …"},{"name":"tickets/summary","content":"…"}],
 "references":[{"name":"refunds","description":"What may be refunded.","content":"# Refunds\n…"}]}

A change holds what changes and no slug: the other files stay as they are, and scripts, which nobody sends, stay too.
"""

import json
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, RootModel, ValidationError

from stenograph_services.protocol import AgentError, Bundle, Problem

Given = dict[str, Any]
Body = TypeVar("Body", bound=BaseModel)


class AnyObject(RootModel[Given]):
    """A JSON object. What is wrong inside of it is told like what is wrong inside of its files."""


class TextBody(BaseModel, frozen=True):
    """A prompt."""

    name: str
    content: str


class ReferenceBody(TextBody, frozen=True):
    """A reference: `content` is its text without the front matter."""

    description: str


class DefinitionBody(BaseModel, frozen=True):
    """A whole agent."""

    settings: Given
    protocol: str
    prompts: list[TextBody] = []
    references: list[ReferenceBody] = []


class ChangeBody(BaseModel, frozen=True):
    """What changes of an agent. A setting that is null is taken out."""

    settings: Given | None = None
    protocol: str | None = None
    prompts: list[TextBody] | None = None
    references: list[ReferenceBody] | None = None


def bundle_of(given: Given) -> Bundle:
    """Return the files that a client sent as a whole agent; raise `AgentError` if it is none."""
    body = _read(DefinitionBody, given)
    slug = body.settings.get("slug")
    return Bundle(
        slug=slug if isinstance(slug, str) else "",
        settings=_settings(body.settings),
        protocol=_plain(body.protocol),
        prompts=_prompts(body.prompts),
        references=_references(body.references),
    )


def changed(bundle: Bundle, given: Given) -> Bundle:
    """Return `bundle` with what a client sent as a change; raise `AgentError` if it is none."""
    body = _read(ChangeBody, given)
    files: dict[str, Any] = {}
    if body.settings is not None:
        merged = json.loads(bundle.settings) | body.settings
        files["settings"] = _settings({key: value for key, value in merged.items() if value is not None})
    if body.protocol is not None:
        files["protocol"] = _plain(body.protocol)
    if body.prompts is not None:
        files["prompts"] = _prompts(body.prompts)
    if body.references is not None:
        files["references"] = _references(body.references)
    return msgspec.structs.replace(bundle, **files)


def _read(model: type[Body], given: Given) -> Body:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise AgentError(
            Problem(file="the body", path=".".join(map(str, wrong["loc"])), code="invalid", message=wrong["msg"])
            for wrong in error.errors()
        ) from error


def _settings(settings: Given) -> str:
    """Return the text of settings.json, as people and formatters write it: the same agent is the same version."""
    return msgspec.json.format(msgspec.json.encode(settings), indent=2).decode() + "\n"


def _prompts(prompts: Iterable[TextBody]) -> dict[str, str]:
    return _named("prompts", ((prompt.name, _plain(prompt.content)) for prompt in prompts))


def _references(references: Iterable[ReferenceBody]) -> dict[str, str]:
    return _named("references", ((reference.name, _reference(reference)) for reference in references))


def _reference(reference: ReferenceBody) -> str:
    """Return the text of references/NAME.md. JSON text is YAML text, so no description can end the front matter."""
    description = json.dumps(" ".join(reference.description.split()), ensure_ascii=False)
    return f"---\ndescription: {description}\n---\n\n{_plain(reference.content).strip()}\n"


def _named(folder: str, texts: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in texts:
        if name in found:
            twice = Problem(file=f"{folder}/{name}.md", code="duplicate", message="is sent twice")
            raise AgentError([twice])
        found[name] = text
    return found


def _plain(text: str) -> str:
    """Return `text` as the reader of folders leaves it, whatever wrote it: one version on every machine."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")
