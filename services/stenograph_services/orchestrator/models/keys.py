"""Whose keys: those of the environment, or a tenant's own.

`STENOGRAPH_TENANT_KEYS` names a JSON file that only its owner may read, {tenant: {variable: value}}:

    {"acme": {"OPENAI_API_KEY": "sk-…", "ANTHROPIC_API_KEY": "sk-ant-…"}}

A tenant that stands there has these keys and no others: it must not ask at the operator's expense. Any other tenant
has the environment's. No key is ever logged, nor shown in an error.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from stenograph_services.runtime.errors import InvalidSetting
from stenograph_services.runtime.private_files import private_text

Variables = Mapping[str, str]


class Keys:
    """The variables of every tenant: `tenants` have their own, all others `environment`."""

    def __init__(self, tenants: Mapping[str, Variables] | None = None, environment: Variables = os.environ) -> None:
        self._tenants = tenants or {}
        self._environment = environment

    def __repr__(self) -> str:
        return f"Keys({len(self._tenants)} tenants)"

    def of(self, tenant: str) -> tuple[Variables, Variables]:
        """Return where the keys of `tenant` stand, and where its base URLs do: in the environment, or its own."""
        own = self._tenants.get(tenant)
        if own is None:
            return self._environment, self._environment
        return own, {**self._environment, **own}


def read_keys(path: Path | None) -> Keys:
    """Return the keys of the tenants in the file at `path`, if there is one.

    Raises `InvalidSetting` when it cannot be read, when others can read it, or when it is not such a file.
    """
    if path is None:
        return Keys()
    text = private_text(path, "STENOGRAPH_TENANT_KEYS")
    try:
        return Keys(msgspec.json.decode(text, type=dict[str, dict[str, str]]))
    except msgspec.MsgspecError as error:  # it tells where, and never the value
        wanted = '{"tenant": {"VARIABLE": "key"}}'
        raise InvalidSetting(f"STENOGRAPH_TENANT_KEYS: {path}: {error}; wanted is {wanted}") from None
