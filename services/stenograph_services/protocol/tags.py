"""The tags of a prompt and the text around them.

    Hello {{USER}}.{{#if X}}   →   "Hello ", {{USER}}, ".", {{#if X}}, ""

A tag ends on its line. Braces that mean nothing here are text: `{{user.name}}`, `${{ x }}`, `{{{{`. What is nearly a
tag is one that is `wrong`, with the sentence that mends it.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from stenograph_services.protocol.conditions import LABEL

Kind = Literal["label", "include", "if", "else-if", "else", "end", "text"]

MAX_TAG = 400  # characters inside the braces; keeps a search for the end of each of a million openings short

_OPENING = re.compile(r"\{\{(?!\{)")
# Possessive throughout: nothing is tried twice. A text that a condition compares with may hold braces.
_INSIDE = re.compile(r'([ \t]*+(?:#|else\b)(?:[^{}"\n]|"[^"\n]*+")*+|[^{}\n]*+)\}\}')
_UNCLOSED = re.compile(r"(#)[^{}\n]{0,20}|@[^{}\n]{0,20}|/[a-z][^{}\n]{0,20}|else\b[^{}\n]{0,20}")
_WORDS = re.compile(r"([#/]?)[ \t]*([A-Za-z]+)\b[ \t]*(.*)")
_EXACT = re.compile(r"#if(?=[ \t]|$)|else if(?=[ \t]|$)|else$|/if$")
_DOTTED = re.compile(r"([A-Z][A-Z0-9_]*)\.[\w.]*")
_PATH = re.compile(r"([^{}\s\"'@]+)\.md")

_SPELLING: dict[Kind, str] = {
    "if": "write {{#if NAME}}",
    "else-if": "write {{else if NAME}}",
    "else": "write {{else}} or {{else if NAME}}",
    "end": "write {{/if}}",
}


class Tag(NamedTuple):
    """What stands in the braces. `about` is the label, the path or the condition.

    `wrong` says how it should be spelled; a `loose` one is only meant as a tag where a conditional is open.
    """

    kind: Kind
    about: str = ""
    wrong: str | None = None
    loose: bool = False


class Token(NamedTuple):
    """A tag that begins at character `at`. `alone`: nothing else stands on its line."""

    at: int
    text: str
    tag: Tag
    alone: bool = False


def tokens(text: str) -> Iterator[str | Token]:
    """Yield text, tag, text … tag, text: a text, maybe an empty one, stands around and between all tags."""
    done = 0
    for opening in _OPENING.finditer(text):
        start, inner = opening.span()
        if start < done:
            continue
        tag, end = _tag_at(text, inner)
        if tag.kind == "text" and tag.wrong is None:
            continue
        yield text[done:start]
        yield Token(start, text[start:end], tag)
        done = end
    yield text[done:]


def without_tag_lines(items: list[str | Token]) -> list[str | Token]:
    """Return `items` without the lines that hold one tag of a conditional and nothing else, line ends included.

    Where an include fills its line, only the line end goes: what comes in brings its own.
    """
    kept = [_marked(items, at) for at in range(len(items))]
    for at, item in enumerate(kept):
        if isinstance(item, Token) and item.alone:
            kept[at + 1] = _text(kept[at + 1]).partition("\n")[2]
    for at, item in enumerate(kept):
        if isinstance(item, Token) and item.alone and item.tag.kind != "include":
            kept[at - 1] = _text(kept[at - 1])[: _text(kept[at - 1]).rfind("\n") + 1]
    return kept


def _marked(items: list[str | Token], at: int) -> str | Token:
    """Return item `at`, with `alone` set if it is a tag that fills its line and is of a kind to which that matters."""
    item = items[at]
    if isinstance(item, str) or item.tag.loose or item.tag.kind in ("label", "text"):
        return item
    _, line_end, before = ("\n" * (at == 1) + _text(items[at - 1])).rpartition("\n")
    after, line_end_after, _ = _text(items[at + 1]).partition("\n")
    ends = line_end_after or (at + 2 == len(items) and item.tag.kind != "include")
    blank = not before.strip(" \t\r") and not after.strip(" \t\r")
    return item._replace(alone=bool(line_end and ends and blank))


def _text(item: str | Token) -> str:
    """Return the text that stands beside a tag."""
    assert isinstance(item, str), "texts and tags take turns"
    return item


def _tag_at(text: str, inner: int) -> tuple[Tag, int]:
    """Return the tag whose inside begins at `inner`, and where it ends."""
    if inside := _INSIDE.match(text, inner, inner + MAX_TAG):
        return read_tag(inside[1]), inside.end()
    if unclosed := _UNCLOSED.match(text, inner):
        kind: Kind = "if" if unclosed[1] else "text"
        return Tag(kind, wrong=f"is not closed by }}}} on its line, within {MAX_TAG} characters"), unclosed.end()
    return Tag("text"), inner


def read_tag(inside: str) -> Tag:
    """Return what `{{inside}}` means."""
    if LABEL.fullmatch(inside):
        return Tag("label", inside)
    if inside.startswith("@") and (path := _PATH.fullmatch(inside[1:])):
        return Tag("include", path[1])
    text = inside.strip(" \t")
    if LABEL.fullmatch(text):
        return Tag("text", wrong=f"write {{{{{text}}}}}, without spaces")
    if dotted := _DOTTED.fullmatch(text):
        return Tag("label", dotted[1], f"dots are not supported; write {{{{{dotted[1]}}}}}, which shows it as JSON")
    if text.startswith("@"):
        return Tag("text", wrong="an include is spelled {{@path.md}}, with the path below prompts/")
    return _block_tag(inside, text)


def _block_tag(inside: str, text: str) -> Tag:
    found = _WORDS.fullmatch(text)
    if found is None:
        return Tag("text")
    sigil, word, rest = found[1], found[2].lower(), found[3]
    kind, about, loose = _kind(sigil, word, rest)
    if kind == "if" and word != "if":
        instead = "write {{#if !NAME}}" if word == "unless" else "only {{#if}} opens a block"
        return Tag(kind, wrong=f"there is no {{{{#{word}}}}}; {instead}")
    exact = kind == "text" or _EXACT.match(inside)
    return Tag(kind, about, None if exact else _SPELLING[kind], loose)


def _kind(sigil: str, word: str, rest: str) -> tuple[Kind, str, bool]:
    """Return what is meant, the condition, and whether that is only a guess."""
    match sigil, word:
        case "/", _:
            return "end", "", False
        case _, "else":
            after = re.fullmatch(r"if\b[ \t]*(.*)", rest, re.IGNORECASE)
            return ("else-if", after[1], False) if after else ("else", "", bool(rest))
        case _, "elseif" | "elsif" | "elif":
            return "else-if", rest, True
        case "#", _:
            return "if", rest, False
        case "", "endif" | "fi":
            return "end", "", True
        case _:
            return "text", "", False
