"""The values inside events: the parts of a message, calls, token counts, references to what is stored elsewhere."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Raw

from stenograph_events.ids import CallId, SessionId, TurnId

EMPTY_OBJECT = Raw(b"{}")
NULL = Raw(b"null")

if TYPE_CHECKING:
    OptionalRaw = Raw | None
else:
    OptionalRaw = Raw  # into `Raw | None` msgspec decodes only null; a field that is left out is None all the same

Retry = Literal["safe", "never"]
OnUnknown = Literal["ask-person", "reconcile"]
Resolution = Literal["succeeded", "failed", "unknown"]
Role = Literal["user", "assistant", "system"]


class TextPart(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="text"):
    text: str


class ReasoningPart(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="reasoning"):
    """What a thinking model thought. `signature` lets the same provider trust it again.

    `id` is the provider's word for where it stood, such as `reasoning_content`: it goes back to the same place.
    """

    text: str
    signature: str | None = None
    provider: str | None = None
    id: str | None = None


class FilePart(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="file"):
    """A file that a model is shown. `size` is in bytes."""

    id: str
    media_type: str
    url: str
    filename: str | None = None
    size: int | None = None


Part = TextPart | ReasoningPart | FilePart


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool that an assistant message asks for. `malformed` holds arguments that were not a JSON object."""

    call: CallId
    tool: str
    arguments: Raw = EMPTY_OBJECT
    malformed: str | None = None


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one model response, as the provider counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class BlobRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value that lies in the stream BLOB because it is over 256 KiB, under the hash of its content.

    `sealed` says with what it is sealed there, `session` or `answer/<call>/<attempt>`, each a key that is made of the
    session's data key; the name under which it then lies is one that only this key tells. Hash and size are the
    value's own.
    """

    sha256: str
    size: int
    media_type: str = "application/json"
    sealed: str | None = None


class Signature(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who vouches for what it stands beside: a public key of NATS' form, and what its owner signed with it.

    `digest` is the SHA-256 of what was signed, where that does not stand beside it.
    """

    key: str
    signature: str
    digest: str | None = None


class Guard(msgspec.Struct, frozen=True):
    """When a person has to agree to a call, as a tool's `approval` says it, and how long that one may take."""

    approval: str
    seconds: float


class SecretArguments(msgspec.Struct, frozen=True, omit_defaults=True):
    """The arguments of a request that are secret, by name. They are in the `box`, in base64, for its tool's key.

    Of a request to a child agent there is no box: its session takes them over.
    """

    names: tuple[str, ...]
    box: str = ""


class Child(msgspec.Struct, frozen=True, omit_defaults=True):
    """The session of a child agent that answers a call. `tools` maps its tools to those that serve them here.

    `guards` are of tools by the child's names: they hold beside what its own protocol says.
    """

    session: SessionId
    agent: str
    version: str
    depth: int = 1
    tools: dict[str, str] = {}
    guards: dict[str, tuple[Guard, ...]] = {}


class Parent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The call, of `tool`, that a child agent's session answers; `depth` counts the calls above it.

    `guards`: as of the `Child` that the call asked for.
    """

    session: SessionId
    turn: TurnId
    call: CallId
    attempt: int = 1
    depth: int = 1
    tools: dict[str, str] = {}
    tool: str | None = None
    guards: dict[str, tuple[Guard, ...]] = {}


class Compaction(msgspec.Struct, frozen=True):
    """What a child agent is asked to summarise: the messages of `thread` up to event `through`."""

    thread: str
    through: int


class OfferedTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool known only at run time: an application offers it for one turn, and whoever follows the session answers.

    `parameters` is the JSON Schema of its arguments, written out without references.
    """

    name: str
    description: str = ""
    parameters: Raw = EMPTY_OBJECT


class Sender(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who says what a trigger brings, as the application knows them. `image` is the address of a picture."""

    id: str | None = None
    name: str | None = None
    image: str | None = None


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who decided: the way by which it came, the credential that this way knows, and whom that one speaks for.

    `credential` is the id of an API key, or the account at a terminal; NATS tells us none. `name` is what was said.
    """

    via: Literal["http", "nats", "cli"]
    credential: str | None = None
    name: str | None = None


class RestoredMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message that a client had kept and brought back. `id` is the one that it had for the client."""

    id: str
    role: Literal["user", "assistant"]
    parts: tuple[TextPart | FilePart, ...]
    at: datetime
    sender: Sender | None = None
