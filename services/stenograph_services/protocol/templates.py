"""The text of one prompt file as a tree, before anybody knows what its labels stand for.

    Hello {{USER}}.                           a label
    {{@shared/rules.md}}                      another prompt, by its path below prompts/
    {{#if PLAN == "free"}}                    the first branch whose condition holds
    You may send ten messages.
    {{else if !PLAN}}
    Ask for the plan.
    {{else}}
    There is no limit.
    {{/if}}

A line that holds one `{{#if}}`, `{{else}}` or `{{/if}}` and nothing else vanishes with its line end. A line that holds
an include and nothing else is replaced by the lines of what it includes. Each file closes what it opens.
"""

from itertools import islice
from typing import NamedTuple

from stenograph_services.protocol.agent import Condition
from stenograph_services.protocol.conditions import read_condition
from stenograph_services.protocol.tags import Tag, Token, tokens, without_tag_lines

MAX_TAGS = 1000  # in one prompt, with what it includes: a person wrote it, and every block that uses it costs as much
MAX_NESTED = 16  # conditionals inside each other


class Label(NamedTuple):
    """`{{NAME}}`. `dotted` is how `{{NAME.x}}` is wrong, if NAME is a label; otherwise it is text."""

    name: str
    at: int
    tag: str
    dotted: str | None = None


class Include(NamedTuple):
    """`{{@name.md}}`. `lines`: it stands for whole lines, and what comes in ends the last of them."""

    name: str
    at: int
    tag: str
    lines: bool


class Branch(NamedTuple):
    """`condition` is None where it could not be read."""

    condition: Condition | None
    at: int
    tag: str
    nodes: tuple["Node", ...]


class If(NamedTuple):
    branches: tuple[Branch, ...]
    otherwise: tuple["Node", ...]


Node = str | Label | Include | If


class Mistake(NamedTuple):
    """What is wrong with the tag that begins at character `at`."""

    at: int
    tag: str
    code: str
    message: str


class Template(NamedTuple):
    """A parsed text. Where there are mistakes, `nodes` is what could be read in spite of them."""

    nodes: tuple[Node, ...]
    mistakes: tuple[Mistake, ...]


def parse(text: str) -> Template:
    """Return `text` as a tree, and all that is wrong in it. Takes time that is linear in its length."""
    return _Parser().parse(text)


class _Open:
    """A conditional that is not closed yet: the branches that are over, and the one that is being read."""

    def __init__(self, opening: Token, condition: Condition | None) -> None:
        self.opening = opening
        self.over: list[Branch] = []
        self.has_else = False
        self.begin(opening, condition)

    def begin(self, token: Token, condition: Condition | None) -> None:
        self.token, self.condition = token, condition
        self.nodes: list[Node] = []

    def next_branch(self, token: Token, condition: Condition | None) -> None:
        self.over.append(Branch(self.condition, self.token.at, self.token.text, tuple(self.nodes)))
        self.begin(token, condition)

    def closed(self) -> If:
        last = tuple(self.nodes)
        if self.has_else:
            return If(tuple(self.over), last)
        return If((*self.over, Branch(self.condition, self.token.at, self.token.text, last)), ())


class _Parser:
    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.open: list[_Open] = []
        self.mistakes: list[Mistake] = []

    def parse(self, text: str) -> Template:
        items = list(islice(tokens(text), 2 * MAX_TAGS + 2))
        if len(items) > 2 * MAX_TAGS + 1 and isinstance(extra := items[-1], Token):
            self.mistake(extra, "too-large", f"is one tag too many: a prompt holds at most {MAX_TAGS}")
            return Template((), tuple(self.mistakes))
        for item in without_tag_lines(items):
            if isinstance(item, str):
                self.add(item)
            elif not self.read(item):
                return Template((), tuple(self.mistakes))
        while self.open:
            unclosed = self.open.pop()
            self.add(unclosed.closed())
            if unclosed.opening.tag.wrong is None:
                self.mistake(unclosed.opening, "condition", "is never closed; write {{/if}} where it ends")
        return Template(tuple(self.nodes), tuple(self.mistakes))

    def read(self, token: Token) -> bool:
        """Take in `token`; return whether there is sense in reading on."""
        tag = token.tag
        if tag.loose and not self.open:
            self.add(token.text)
            return True
        if tag.wrong and tag.kind != "label" and not self.is_told(tag):
            self.mistake(token, "placeholder" if tag.kind == "text" else "condition", tag.wrong)
        match tag.kind:
            case "label":
                self.add(Label(tag.about, token.at, token.text, tag.wrong))
            case "include":
                self.add(Include(tag.about, token.at, token.text, token.alone))
            case "if":
                return self.begin(token)
            case "else-if" | "else":
                self.branch(token)
            case "end":
                self.end(token)
        return True

    def is_told(self, tag: Tag) -> bool:
        """Return whether `tag` closes what was opened wrongly, so that one mend is enough."""
        return tag.kind == "end" and bool(self.open) and self.open[-1].opening.tag.wrong is not None

    def add(self, node: Node) -> None:
        if node:
            (self.open[-1].nodes if self.open else self.nodes).append(node)

    def begin(self, token: Token) -> bool:
        if len(self.open) == MAX_NESTED:
            self.mistake(token, "too-deep", f"stands inside more than {MAX_NESTED - 1} others")
            return False
        self.open.append(_Open(token, self.condition(token)))
        return True

    def branch(self, token: Token) -> None:
        condition = self.condition(token) if token.tag.kind == "else-if" else None
        if not self.open:
            if not token.tag.wrong:
                self.mistake(token, "condition", "stands outside of {{#if}} … {{/if}}")
        elif self.open[-1].has_else:
            self.mistake(token, "condition", "stands after {{else}}, which must be the last branch")
        else:
            self.open[-1].next_branch(token, condition)
            self.open[-1].has_else = token.tag.kind == "else"

    def end(self, token: Token) -> None:
        if self.open:
            closed = self.open.pop().closed()
            self.add(closed)
        elif not token.tag.wrong:
            self.mistake(token, "condition", "closes nothing: no {{#if}} is open here")

    def condition(self, token: Token) -> Condition | None:
        """Return the condition of an `{{#if}}` or `{{else if}}`, None if that is a mistake, which is noted."""
        if token.tag.wrong:
            return None
        condition = read_condition(token.tag.about)
        if isinstance(condition, str):
            self.mistake(token, "condition", condition)
            return None
        return condition

    def mistake(self, token: Token, code: str, message: str) -> None:
        self.mistakes.append(Mistake(token.at, token.text, code, message))
