"""What a prompt, a mapping or a setting may name, and what it stands for now."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_projections.session import Session
from stenograph_services.protocol.agent import Agent, Argument


class Values(Mapping[str, Any]):
    """Trigger input, variables, resources, session input, in that order; then the defaults that the agent declares."""

    def __init__(self, session: Session, agent: Agent) -> None:
        self._session = session
        self._defaults = {
            field.name: field.default for field in (*agent.variables, *agent.resources) if field.default is not None
        }
        self._turn: dict[str, Any] = msgspec.json.decode(session.turn.input) if session.turn else {}
        self._input: dict[str, Any] = msgspec.json.decode(session.input)

    def __getitem__(self, name: str) -> Any:
        if name in self._turn:
            return self._turn[name]
        for stored in (self._session.variables, self._session.resources):
            if name in stored:
                return msgspec.json.decode(stored[name])
        return self._input[name] if name in self._input else self._defaults[name]

    def __iter__(self) -> Iterator[str]:
        session = self._session
        return iter({**self._turn, **session.variables, **session.resources, **self._input, **self._defaults})

    def __len__(self) -> int:
        return sum(1 for _ in self)


def arguments(mapping: tuple[tuple[str, Argument], ...], values: Values) -> Raw:
    """Return what a block's `input` says: a variable that has no value is left out, a literal stands for itself."""
    given = {
        name: values[source] if kind == "variable" else source
        for name, (kind, source) in mapping
        if kind == "literal" or source in values
    }
    return Raw(msgspec.json.encode(given))
