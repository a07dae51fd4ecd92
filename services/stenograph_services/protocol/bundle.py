"""An agent as it is stored and sent: its files as text, and the version that names exactly these.

{"slug":"support-chat","settings":"{…}","protocol":"input:\n …","prompts":{"system":"You are …"}}

Kinds of files that an agent has none of are left out, so that a kind we add later changes no version.
"""

import hashlib

import msgspec

from stenograph_services.protocol.problems import AgentError, Problem

MAX_BUNDLE_BYTES = 1_000_000  # a stored version is one NATS message: 1 MiB with its headers


class Bundle(msgspec.Struct, frozen=True, omit_defaults=True):
    """The files of one agent. Prompts and references are named without `.md`, scripts for `scripted/…` models without
    `.yaml`.
    """

    slug: str
    settings: str
    protocol: str
    prompts: dict[str, str] = {}
    scripts: dict[str, str] = {}
    references: dict[str, str] = {}

    def encode(self) -> bytes:
        """Return the canonical bytes: equal bundles give equal bytes, on any machine.

        Raises `AgentError` if the texts cannot be stored.
        """
        try:
            encoded = msgspec.json.encode(self, order="deterministic")
        except UnicodeEncodeError as error:
            message = "holds half a surrogate pair, which is not valid Unicode"
            raise AgentError([Problem(file=self.slug, code="encoding", message=message)]) from error
        if len(encoded) > MAX_BUNDLE_BYTES:
            message = f"the agent is {len(encoded)} bytes long; one version holds at most {MAX_BUNDLE_BYTES}"
            raise AgentError([Problem(file=self.slug, code="too-large", message=message)])
        return encoded

    @staticmethod
    def decode(encoded: bytes) -> "Bundle":
        """Return the bundle that `encode` wrote; raise `msgspec.DecodeError` if these bytes are none."""
        return msgspec.json.decode(encoded, type=Bundle)

    @property
    def version(self) -> str:
        """The first 12 hex characters of the SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.encode()).hexdigest()[:12]
