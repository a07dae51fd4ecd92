"""How much of a long tool result a model is shown: its head and its tail. The log keeps all of it."""

DEFAULT_TOKENS = 50_000  # of a result where the agent does not say; more than one of them fills most models' contexts
TOKEN_CHARACTERS = 4  # an estimate that holds for English and for JSON; a vendor's own count would need its tokenizer


def preview(text: str, tokens: int) -> str:
    """Return `text`, or its first and last part and how much was left out between, if it has over `tokens` tokens."""
    room = tokens * TOKEN_CHARACTERS
    if len(text) <= room:
        return text
    head, tail = room - room // 2, room // 2
    note = f"[… {len(text) - room:,} of {len(text):,} characters are left out here …]"
    return f"{text[:head]}\n\n{note}\n\n{text[len(text) - tail :]}"
