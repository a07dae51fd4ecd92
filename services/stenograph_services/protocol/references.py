"""References: texts in references/*.md that a model reads when it needs them, and that need not stand in its prompt.

    ---
    description: What may be refunded, and until when.
    ---
    # Refunds
    …

`description` is what the model decides by. Other keys between the dashes are left alone.
"""

import re
from collections.abc import Callable, Mapping

import msgspec

from stenograph_services.protocol.agent import Reference
from stenograph_services.protocol.names import broken_name
from stenograph_services.protocol.problems import AgentError, Problem, did_you_mean, shown
from stenograph_services.protocol.source import Source, read_yaml, refuse_oversize

MAX_TEXT_BYTES = 200 * 1024  # as JSON: the answer to a call is one event, and an event is one message of 1 MiB

_OPENING = re.compile(r"---[ \t\r]*\n")
_CLOSING = re.compile(r"^---[ \t\r]*(?:\n|\Z)", re.MULTILINE)


def read_references(
    texts: Mapping[str, str], file_of: Callable[[str], str]
) -> tuple[dict[str, Reference], list[Problem]]:
    """Return the references of an agent by their names, without those that are broken, and all that is wrong.

    `texts` are the files by their names without `.md`; `file_of` gives the file of a reference as problems name it.
    """
    references: dict[str, Reference] = {}
    found: list[Problem] = []
    for name, text in texts.items():
        file = file_of(name)
        if wrong := broken_name("reference", name):
            found.append(Problem(file=file, code="bad-name", message=f"{shown(name)}: {wrong}"))
        try:
            references[name] = _read(name, file, text, found)
        except AgentError as error:
            found += error.problems
    return references, found


def _read(name: str, file: str, text: str, found: list[Problem]) -> Reference:
    """Return the reference in `text`; raise `AgentError` if it is none. What leaves it readable is added to `found`."""
    refuse_oversize(file, text)
    opening = _OPENING.match(text)
    if opening is None:
        message = "must begin with a line `---`, a line `description: …` and a line `---`"
        raise AgentError([Problem(file=file, line=1, column=1, code="front-matter", message=message)])
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        message = "its front matter is never closed; write a line `---` after the description"
        raise AgentError([Problem(file=file, line=1, column=1, code="front-matter", message=message)])
    # The empty line stands for the first `---`: what is wrong is told with its line in the file.
    source = read_yaml(file, "\n" + (text[opening.end() : closing.start()] or "{}"))
    found += source.mistakes
    return Reference(name, _description(source), _text(file, text[closing.end() :]))


def _description(source: Source) -> str:
    description = source.root.get("description")
    if isinstance(description, str) and description.strip():
        return " ".join(description.split())
    if description is not None and not isinstance(description, str):
        raise AgentError([source.problem(("description",), "type", f"must be text, not {shown(description)}")])
    near = next((key for key in source.root if key != "description" and did_you_mean(key, ["description"])), None)
    message = f"`description` is missing; {f'is {shown(near)} meant?' if near else 'the model decides by it'}"
    raise AgentError([source.problem((near or "description",), "missing", message)])


def _text(file: str, text: str) -> str:
    text = text.strip("\r\n")
    size = len(msgspec.json.encode(text))
    if size > MAX_TEXT_BYTES:
        message = f"its text is {size} bytes long as JSON; at most {MAX_TEXT_BYTES} fit into the event that carries it"
        raise AgentError([Problem(file=file, code="too-large", message=f"{message}: split it into several references")])
    return text
