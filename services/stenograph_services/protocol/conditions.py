"""The condition of a `{{#if …}}`: one label, and at most one comparison with a text.

    PLAN      !PLAN      PLAN == "free"      PLAN != "free"

Nothing else is one: no `and`, no numbers, no second label. What people try instead gets the answer that mends it.
"""

import re

from stenograph_services.protocol.agent import Condition

LABEL = re.compile(r"[A-Z][A-Z0-9_]*")

_CONDITION = re.compile(r'(!?)([A-Z][A-Z0-9_]*)(?:[ \t]*(==|!=)[ \t]*"([^"]*)")?')
_FORMS = 'NAME, !NAME, NAME == "text" or NAME != "text"'

# What is tried instead, and the mend. The first that fits is told, so what hides the others comes first.
_NEAR: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[“”„‘’']|&quot;"), 'write the text in straight double quotes: NAME == "text"'),
    (
        re.compile(r"&&|\|\||\b(?:and|or|AND|OR)\b"),
        "takes one comparison; nest a second {{#if}}, or repeat it",
    ),
    (re.compile(r"![A-Z][A-Z0-9_]*[ \t]*[!=]="), 'write NAME != "text", or NAME == "text", without the `!` in front'),
    (re.compile(r'^""[ \t]*[!=]='), 'write the label first: NAME == "text"'),
    (re.compile(r"===|!=="), "write `==` or `!=`"),
    (re.compile(r"^!?[A-Z][A-Z0-9_]*\."), "dots are not supported; a condition asks for a value as a whole"),
    (re.compile(r"[<>]"), f"numbers are not compared; write {_FORMS}"),
    (re.compile(r"^[^=!]*[^=!]=[^=]"), "write `==`"),
    (re.compile(r"^(?:not|NOT)\b|^![ \t]"), "write !NAME"),
    (re.compile(r"[!=]=[ \t]*[^\s\"]"), 'write the text in double quotes: NAME == "text"'),
    (re.compile(r"^!?[A-Za-z0-9_]*[a-z][A-Za-z0-9_]*$"), "a label is spelled in UPPER_SNAKE_CASE"),
)


def read_condition(text: str) -> Condition | str:
    """Return the condition that `text` states, or the sentence that says why it states none."""
    found = _CONDITION.fullmatch(text)
    if found and not (found[1] and found[3]):
        return Condition(found[2], negated="!" in (found[1] + (found[3] or "")), equals=found[4])
    if not text:
        return f"needs a condition: {_FORMS}"
    outside = re.sub(r'"[^"]*"', '""', text)  # what a quoted text holds is not what is wrong
    return next((mend for pattern, mend in _NEAR if pattern.search(outside)), f"is no condition; write {_FORMS}")
