"""Where a service or a worker may die: each place that sends, stores, settles or takes something, wrapped by name.

    worker/claim/sent                           the claim has left the worker, and no answer has come
    tool-gateway/append/tool.succeeded/after    the outcome is in the log, and the answer not yet settled
    orchestrator/ack/orchestrator-wake/before   the session waits again, and the delivery is not settled

A name is <role>/<place>/<phase>, with an event type or a consumer behind the place where there are several of it.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from nats.aio.msg import Msg
from tests.faults.trials.dying import Fate, doing, sending, telling
from tests.faults.trials.scenes import UNHEARD

from stenograph_sdk import calls
from stenograph_sdk.serving import Serving
from stenograph_services.orchestrator import driver
from stenograph_services.orchestrator.app import Orchestrator
from stenograph_services.orchestrator.frames import FrameWriter
from stenograph_services.runtime import eventlog
from stenograph_services.runtime.pull import PullConsumer
from stenograph_services.tool_gateway import claims, deadlines
from stenograph_services.tool_gateway.deadlines import Deadlines
from stenograph_services.tool_gateway.registration import Registrations

Role = Literal["worker", "tool-gateway", "orchestrator", "projector"]


class _Typed(msgspec.Struct):
    type: str


def wrap(role: Role, fate: Fate) -> None:
    """Wrap every place of `role`, in this process."""
    _wrap_settling(role, fate)
    if role == "worker":
        _wrap_worker(fate)
        return
    _wrap_appends(role, fate)
    _wrap_deliveries(role, fate)
    if role == "tool-gateway":
        _wrap_tool_gateway(fate)
    elif role == "orchestrator":
        _wrap_orchestrator(fate)


def _wrap_worker(fate: Fate) -> None:
    def place(_: Any, subject: str, *__: Any, **___: Any) -> str | None:
        return {"tool.claim": "worker/claim", "tool.res": "worker/answer"}.get(".".join(subject.split(".")[:2]))

    def receiving(received: Any) -> Any:
        async def receive(serving: Serving, message: Msg) -> None:
            fate.passing("worker/taken", message.subject)
            if serving.tool.name not in UNHEARD.values():
                await received(serving, message)

        return receive

    beats = (_constant("worker/heartbeat"), _subject, _client)
    _wrap(calls, "store", lambda f: sending(fate, f, place, _second, lambda jetstream, *_, **__: jetstream._nc))
    _wrap(Serving, "_receive", receiving)
    _wrap(Serving, "_register", lambda f: doing(fate, f, _constant("worker/register"), _nothing))
    _wrap(Msg, "in_progress", lambda f: telling(fate, f, *beats))


def _wrap_settling(role: Role, fate: Fate) -> None:
    def place(message: Msg) -> str | None:
        return f"{role}/ack/{_consumer(message, role)}"

    _wrap(Msg, "ack", lambda f: telling(fate, f, place, _subject, _client))


def _wrap_appends(role: Role, fate: Fate) -> None:
    def place(_: Any, __: str, data: bytes, *___: Any, **____: Any) -> str:
        return f"{role}/append/{msgspec.json.decode(data, type=_Typed).type}"

    _wrap(eventlog, "publish", lambda f: sending(fate, f, place, _second, _first))


def _wrap_deliveries(role: Role, fate: Fate) -> None:
    def receiving(received: Any) -> Any:
        async def receive(consumer: PullConsumer, message: Msg) -> None:
            if message.reply:
                fate.passing(f"{role}/taken/{consumer.durable}", message.subject)
            await received(consumer, message)

        return receive

    _wrap(PullConsumer, "_received", receiving)


def _wrap_tool_gateway(fate: Fate) -> None:
    def of_session(_: Any, about: Any, *__: Any) -> str:
        session: str = about.session
        return session

    close, set_timer = _constant("tool-gateway/close-claim"), _constant("tool-gateway/set-timer")
    look, note = _constant("tool-gateway/look-at-queue"), _constant("tool-gateway/note-answered")
    _wrap(claims, "publish", lambda f: sending(fate, f, close, _second, _first))
    # What `_queued` may publish is a copy that a killed server missed to make: it is passed within look-at-queue.
    _wrap(deadlines, "publish", lambda f: sending(fate, f, _only("tim.", set_timer), _second, _first))
    _wrap(Deadlines, "_queued", lambda f: doing(fate, f, look, of_session))
    _wrap(Deadlines, "answered", lambda f: doing(fate, f, note, of_session))
    _wrap(Registrations, "register", lambda f: doing(fate, f, _constant("tool-gateway/register"), _nothing))


def _wrap_orchestrator(fate: Fate) -> None:
    def frame(writer: FrameWriter) -> str | None:
        return "orchestrator/frame" if writer._pending else None

    ask, hint = _constant("orchestrator/ask"), _constant("orchestrator/hint")
    frames = (frame, lambda writer: writer._subject, lambda writer: writer._nc)
    hints = (hint, lambda _, where, __: where.session, lambda service, *_: service._nc)
    _wrap(driver, "ask", lambda f: doing(fate, f, ask, lambda _, loaded, *__, **___: loaded.id))
    _wrap(FrameWriter, "flush", lambda f: telling(fate, f, *frames))
    _wrap(Orchestrator, "_hint", lambda f: telling(fate, f, *hints))


def _wrap(owner: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
    """Put what `wrapped` makes of it in the place of `owner.name`. A name that is gone has to be mended here."""
    setattr(owner, name, wrapped(getattr(owner, name)))


# ---- from the arguments of what is wrapped


def _constant(place: str) -> Callable[..., str]:
    return lambda *_, **__: place


def _only(beginning: str, place: Callable[..., str]) -> Callable[..., str | None]:
    return lambda _, subject, *__, **___: place() if subject.startswith(beginning) else None


def _first(first: Any, *_: Any, **__: Any) -> Any:
    return first


def _second(_: Any, second: Any, *__: Any, **___: Any) -> Any:
    return second


def _subject(message: Msg) -> str:
    return message.subject


def _client(message: Msg) -> Any:
    return message._client


def _nothing(*_: Any, **__: Any) -> str:
    return ""


def _consumer(message: Msg, role: Role) -> str:
    # $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>
    return "request" if role == "worker" else message.reply.rsplit(".", 6)[1]
