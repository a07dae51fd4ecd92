"""What crosses between customers and the services besides events and frames: triggers, tool answers, registrations.

trigger         {"input":{"USER_MESSAGE":"What plan am I on?"}}          header Nats-Msg-Id: see `message_id`
cancel          {"turn":"91d2…"}
budget          {"request":"r-1","scope":"turn","tokens":20000}
expire          {"n":41,"idle_seconds":86400}
restore         {"request":"r-2","submitted":4,"differing":0}
clear           {"request":"r-3"}
rollback        {"request":"r-4","after":"5b3f…"}
approve         {"request":"r-5","call":"7e1f…","decision":"grant","digest":"9f2c…","actor":{"via":"http"}}
resolve         {"request":"r-6","call":"7e1f…","outcome":"failed","actor":{"via":"http"},"error":"No such bill."}
answer          {"outcome":"succeeded","result":{"plan":"pro"},"worker":"w-1"}
stop            {"session":"2f01…","call":"7e1f…","attempt":1}
registration    {"tool":"get-user-account","worker":"w-1","retry":"safe","parameters":{"type":"object",…},"begins":true}
client answer   {"tool":"ask-user","call":"7e1f…","attempt":1,"answer":{"outcome":"succeeded","result":"yes"}}
read            {"after":1042,"limit":500}
keep            {"follower":"9c3b…"}
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import Raw

from stenograph_events.values import (
    EMPTY_OBJECT,
    Actor,
    BlobRef,
    OfferedTool,
    OptionalRaw,
    Resolution,
    RestoredMessage,
    Retry,
    Sender,
    Signature,
)


class RollbackTo(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a conversation goes back to: right after message `after`, or, for None, to its beginning."""

    after: str | None = None


class Trigger(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `trig.start.…`. Its request id travels as `Nats-Msg-Id`, in the form of `message_id`.

    With `rollback` what was said after some message goes before the turn starts; the session has to be idle. `tools`
    are what the model may call in the turn beside those of the protocol.
    """

    input: Raw = EMPTY_OBJECT
    request: str = ""
    rollback: RollbackTo | None = None
    tools: tuple[OfferedTool, ...] = ()
    sender: Sender | None = None


class Cancel(msgspec.Struct, frozen=True):
    """Body of `trig.control.….cancel`."""

    turn: str


class RaiseBudget(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `trig.control.….budget`: allow a turn, or the whole session, so much more. `request` makes it unique."""

    request: str
    scope: Literal["turn", "session"] = "turn"
    tokens: int = 0
    cost: Decimal = Decimal(0)
    steps: int = 0
    seconds: float = 0.0


class Approve(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `trig.control.….approve`: what a person decides on a call. `request` makes it unique.

    `digest` is that of the arguments that the person saw; with `edit` the call runs with `arguments` instead.
    """

    request: str
    call: str
    decision: Literal["grant", "deny", "edit"]
    digest: str
    actor: Actor
    arguments: OptionalRaw = None
    reason: str | None = None


class Resolve(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `trig.control.….resolve`: what a person says came of a call that they were asked about.

    `request` makes it unique. `result` is what the call came to where it succeeded, `error` why it failed.
    """

    request: str
    call: str
    outcome: Resolution
    actor: Actor
    result: OptionalRaw = None
    error: str | None = None
    reason: str | None = None


class Expire(msgspec.Struct, frozen=True):
    """Body of `trig.control.….expire`: the session stood at event `n` for `idle_seconds`, with nothing to do."""

    n: int
    idle_seconds: float


class Restore(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `trig.control.….restore`: let an expired or cleared session go on. `request` makes it unique.

    Of the messages that a client submitted `differing` are not those of the log. `messages` are what it brought back:
    they count where the log's own were cleared.
    """

    request: str
    submitted: int = 0
    differing: int = 0
    messages: tuple[RestoredMessage, ...] = ()


class Clear(msgspec.Struct, frozen=True):
    """Body of `trig.control.….clear`. `request` makes it unique."""

    request: str


class Rollback(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `trig.control.….rollback`, for a rollback without a trigger. `request` makes it unique."""

    request: str
    after: str | None = None


class Nudge(msgspec.Struct, frozen=True):
    """Body of `trig.control.….nudge`: the session stood at event `n`, woken by `woken_by`, for too long."""

    woken_by: str
    n: int


class ToolAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `tool.res.…`. `expired`: the deadline had passed when the worker looked, and it did not run the call.

    `signed`: by the worker, with the key of its credential (`stenograph_events.signatures`). `too-large`: the call ran,
    and its result has more bytes than are taken. `broken`: the tool could not do its work, whatever
    it was asked: after several such calls in a row it is not asked any more for a while.
    """

    outcome: Literal["succeeded", "failed", "expired"]
    result: Raw = Raw(b"null")
    result_ref: BlobRef | None = None
    error: str | None = None
    worker: str | None = None
    signed: Signature | None = None
    kind: Literal["error", "too-large"] = "error"
    broken: bool = False

    @property
    def reason(self) -> str:
        """Why the call failed, as the log takes it: a model reads it, and a page of it helps nobody."""
        return (self.error or "the tool failed without saying why")[:4_000]


class StopCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `tool.cancel.…`: nobody waits for this attempt of a call any more, or, without one, for any of it."""

    session: str
    call: str
    attempt: int | None = None


def too_large(size: int, most: int) -> str:
    """Return what is said of a result of `size` bytes where `most` are taken."""
    return f"the result has {size:,} bytes, and at most {most:,} are taken"


class Registration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `api.<tenant>.tools.register.<tool>`: a worker offers to serve a tool.

    `parameters` and `result` are JSON schemas; they and the `description` are for people: a protocol has its own.
    `seal_to` is the public key that sealed requests for the tool are sealed to. `begins`: the worker did not serve it
    before, so that a tool that is not asked any more may be tried.
    """

    tool: str
    worker: str
    retry: Retry = "never"
    parameters: dict[str, Any] | None = None
    description: str = ""
    result: dict[str, Any] | None = None
    seal_to: str | None = None
    begins: bool = False


class Registered(msgspec.Struct, frozen=True):
    """Answer to a registration: where the worker pulls, and how often it must say that it is still at it.

    A result over `max_inline_bytes` is uploaded; one over `max_result_bytes` fails the call, unless its request allows
    another size. The workers of the tenant together may have uploaded `upload_quota_bytes` that are not recorded yet.
    """

    stream: str
    consumer: str
    ack_wait_seconds: float
    max_inline_bytes: int
    max_result_bytes: int = 64 * 1024 * 1024
    upload_quota_bytes: int = 256 * 1024 * 1024


class CreateSession(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `api.<tenant>.sessions.create`. `agent` is a slug or an agent id."""

    agent: str
    input: Raw = EMPTY_OBJECT


class SessionRef(msgspec.Struct, frozen=True):
    """Answer to `CreateSession`."""

    session: str
    agent: str
    agent_version: str


class Problem(msgspec.Struct, frozen=True):
    """The answer to a request that cannot be granted: a stable code and a sentence."""

    code: str
    error: str


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to what a client asks for: it is stored durably. `duplicate`: it was stored before."""

    duplicate: bool = False


class ClientAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `as.….answer`: what a call came to that no worker serves."""

    tool: str
    call: str
    answer: ToolAnswer
    attempt: int = 1


class ReadLog(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `log.….read`: at most `limit` events beyond the stream sequence `after`.

    Each comes as a message of its own, as it is stored, in order; a `LogEnd` says that these were all.
    """

    after: int = 0
    limit: int = 500


class LogEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last answer to `ReadLog`: how many events came, whether there are more, and where the log stands.

    Events up to `hidden` are shown to nobody any more, as the session was cleared.
    """

    count: int
    more: bool
    sequence: int
    n: int
    hash: str
    hidden: int = 0


class Follow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `log.….follow`: send every event and frame from now on."""


class Followed(msgspec.Struct, frozen=True):
    """The first answer to `Follow`. Something comes every `beat_seconds`; `Keep` has to within `keep_seconds`."""

    follower: str
    beat_seconds: float
    keep_seconds: float


class Keep(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `log.….keep`: the follower is still there, or it wants no more."""

    follower: str
    stop: bool = False


KIND = "Stenograph-Kind"
"""The header of every answer to `ReadLog` and `Follow`: `event`, `frame`, `end`, `followed`, `beat`, `problem`."""
SEQUENCE = "Stenograph-Sequence"
"""The header with an event's position in the stream."""
DIGEST = "Stenograph-Digest"
"""The header with the hash of an event's stored bytes, where they are sealed and the event goes out opened."""


def message_id(tenant: str, session: str, request: str, what: str = "start") -> str:
    """Return the `Nats-Msg-Id` of a trigger, or of a control `what`.

    The stream has one space of ids for all tenants, and request ids are the caller's: so it names them all.
    """
    return f"{what}:{tenant}:{session}:{request}"
