"""The forms of a prompt, and which of them the prompts of an agent have.

!NAME, NAME == "text" …        the four conditions
else if, else, nested          what a conditional may have
missing: kept, empty, NONE     what stands where a value is missing
include inline, include lines  another file, amid a line and in the place of one
"""

from collections.abc import Iterable, Iterator

from stenograph_services.protocol.agent import (
    AddMessage,
    Agent,
    Choose,
    Condition,
    Piece,
    Prompt,
    Say,
    StartThread,
)
from stenograph_services.protocol.bundle import Bundle
from stenograph_services.protocol.templates import Include, parse

CONDITIONS = {
    (False, False): "NAME",
    (True, False): "!NAME",
    (False, True): 'NAME == "text"',
    (True, True): 'NAME != "text"',
}
MISSING = {None: "missing: kept", "": "missing: empty", "NONE": "missing: NONE"}
CONDITIONALS = ("else if", "else", "nested")
INCLUDES = {False: "include inline", True: "include lines"}


def everything() -> set[str]:
    """Return all forms that there are."""
    return {*CONDITIONS.values(), *MISSING.values(), *CONDITIONALS, *INCLUDES.values()}


def used(agent: Agent, bundle: Bundle) -> set[str]:
    """Return the forms that the prompts of `agent`, which was made of `bundle`, have."""
    forms = {form for prompt in _prompts(agent) for form in _forms(prompt.pieces)}
    nodes = [node for text in bundle.prompts.values() for node in parse(text).nodes]
    return forms | {INCLUDES[node.lines] for node in nodes if isinstance(node, Include)}


def _prompts(agent: Agent) -> Iterator[Prompt]:
    if agent.main is not None:
        yield agent.main.system
    for block in (block for blocks in agent.handlers.values() for block in blocks):
        if isinstance(block, AddMessage):
            yield block.prompt
        elif isinstance(block, StartThread):
            yield block.setup.system


def _forms(pieces: Iterable[Piece], inside: bool = False) -> Iterator[str]:
    for piece in pieces:
        if isinstance(piece, Say):
            yield MISSING[piece.otherwise]
        elif isinstance(piece, Choose):
            yield from ["nested"] * inside
            yield from _of_conditional(piece)


def _of_conditional(choose: Choose) -> Iterator[str]:
    yield from ["else if"] * (len(choose.branches) > 1)
    yield from ["else"] * bool(choose.otherwise)
    for condition, pieces in choose.branches:
        yield _condition(condition)
        yield from _forms(pieces, inside=True)
    yield from _forms(choose.otherwise, inside=True)


def _condition(condition: Condition) -> str:
    return CONDITIONS[condition.negated, condition.equals is not None]
