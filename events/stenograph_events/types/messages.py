"""Class `message`: what was said in a thread."""

from decimal import Decimal

from stenograph_events.types.event import Event
from stenograph_events.values import Call, OptionalRaw, Part, Role, Sender, Usage


class MessageAdded(Event, frozen=True, kw_only=True, tag="message.added"):
    """A message stands in a thread. An assistant's is one model response: parts, calls and what it cost.

    `output` names the variable that takes the text of a block's last message: its JSON value where the model had to
    answer with a `response_type`. `rejected` says why an answer is no such value; the model is asked again.
    `ui` is what people see instead of the parts. `context` is the hash of what the model was shown. `sender`: who
    says it, if the trigger told.
    """

    event_class = "message"
    role: Role
    block: int
    thread: str = "main"
    parts: tuple[Part, ...] = ()
    calls: tuple[Call, ...] = ()
    visible: bool = True
    step: int = 0
    attempt: int = 1
    model: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    output: str | None = None
    ui: OptionalRaw = None
    independent: bool = False
    response_type: str | None = None
    rejected: str | None = None
    cost_usd: Decimal | None = None
    provider: str | None = None
    agent_version: str | None = None
    backup: bool = False
    latency_ms: int | None = None
    first_token_ms: int | None = None
    context: str | None = None
    sender: Sender | None = None


class MessagesRolledBack(Event, frozen=True, kw_only=True, tag="messages.rolled_back"):
    """What was said after event `through` is no part of the conversation any more; 0: nothing stays. Variables do.

    With `turn` it comes right before that turn starts. `kept`: how many of the messages stay that event `through`, a
    `session.restored`, brought back. `sizes`: how many bytes a model still reads of each thread.
    """

    event_class = "message"
    through: int
    kept: int | None = None
    sizes: dict[str, int] = {}
