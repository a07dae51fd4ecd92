"""Prompts: `{{NAME}}` and nothing else.

    Hello {{USER}}, {{GREETING}}      USER="Ada"      →      Hello Ada, {{GREETING}}

One pass over the template: a value that itself contains `{{X}}` is text and stays as it is. Nothing is evaluated.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from stenograph_services.protocol.agent import Prompt

PLACEHOLDER = re.compile(r"\{\{([A-Z][A-Z0-9_]*)\}\}")


def placeholders(template: str) -> tuple[str, ...]:
    """Return the names that `template` asks for, each once, in the order of their first use."""
    return tuple(dict.fromkeys(PLACEHOLDER.findall(template)))


def render(prompt: Prompt, values: Mapping[str, Any]) -> str:
    """Return the text of `prompt`, its labels filled from `values`.

    Text goes in as it is, everything else as JSON. A label without a value keeps its placeholder.
    """
    given = {label: values[source] for label, source in prompt.input if source in values}

    def fill(found: re.Match[str]) -> str:
        return as_text(given[found[1]]) if found[1] in given else found[0]

    return PLACEHOLDER.sub(fill, prompt.template)


def as_text(value: Any) -> str:
    """Return `value` as a prompt shows it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
