"""`stenograph chat AGENT`: talk to an agent in the terminal, or from a pipe, one message in each line.

    $ stenograph chat support-chat --input COMPANY_NAME=Acme
    you> What plan am I on?
    Let me look at your account.
      get-user-account {"userId":"user-123"}
      get-user-account ok {"plan":"pro"}  33 ms
    You are on the pro plan.

Only what the agent says goes to stdout. Ctrl-C cancels the turn that runs; a second one leaves, as Ctrl-D does. A turn
that waits for a budget is waited for at a terminal, and ends what comes from a pipe.
"""

import asyncio
import concurrent.futures
import sys
import threading
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import (
    DEFAULT_DATA,
    DEFAULT_TENANT,
    Data,
    Json,
    NatsUrl,
    Place,
    Tenant,
    connected,
    hush,
)
from stenograph_services.cli.inputs import (
    HOW,
    asked_for,
    given_input,
    how_to_give,
    missing_secrets,
    told_on_the_command_line,
)

if TYPE_CHECKING:
    from stenograph_sdk import Client, Session
    from stenograph_services.cli.opening import Opening
    from stenograph_services.protocol import Agent

T = TypeVar("T")


def chat(
    agent: Annotated[str | None, typer.Argument(metavar="AGENT", help="An agent's slug or id.")] = None,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="KEY[=VALUE]", help=f"What the session is given. {HOW}"),
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with this session: its id, its beginning, or `last`.")
    ] = None,
    trigger: Annotated[
        str | None,
        typer.Option(
            metavar="NAME:INPUT",
            help="What takes the text: the agent's own, or, with a client's credential, user-message:USER_MESSAGE.",
        ),
    ] = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Talk to an agent: its text streams in, its tools are shown. Reads lines from a pipe, too.

    Example: stenograph chat support-chat -i COMPANY_NAME=Acme

    Example: echo "What plan am I on?" | stenograph chat support-chat -i COMPANY_NAME=Acme
    """
    if (agent is None) == (session is None):
        raise typer.BadParameter(
            "give an agent for a new session, or --session ID to go on with one", param_hint="AGENT"
        )
    if session is not None and input:
        raise typer.BadParameter("a session that exists has its input already", param_hint="--input")
    if trigger is not None and len([part for part in trigger.split(":") if part]) != 2:
        raise typer.BadParameter(f"{trigger!r} is not NAME:INPUT, such as user-message:TEXT", param_hint="--trigger")
    hush()
    place, values = Place.of(nats_url, tenant, data), given_input(input or [])
    with Background() as background:
        try:
            talk = background.run(Talk.begin(place, agent, values, session, as_json, trigger))
        except SecretsMissing as missing:
            values |= asked_for(missing.names)
            talk = background.run(Talk.begin(place, agent, values, session, as_json, trigger))
        try:
            told_on_the_command_line(talk.declared, input or [])
            good = _converse(background, talk)
        finally:
            background.run(talk.end())
    if not good:
        raise typer.Exit(1)


def _converse(background: "Background", talk: "Talk") -> bool:
    """Send each line as a message and show its turn; return whether every turn of a pipe completed."""
    person = sys.stdin.isatty()
    good = True
    if not talk.as_json:
        how = ": Ctrl-C cancels a turn, Ctrl-D leaves" if person else ""
        output.note(f"{talk.opening.agent}, session {talk.session.id}{how}")
    for text in _lines(person):
        good = _turn(background, talk, text) and good
    if person and not talk.as_json:
        output.note(f"go on with: stenograph chat --session {talk.session.id}")
    return good or person


def _lines(person: bool) -> Iterator[str]:
    """Yield what is said, until there is no more or Ctrl-C is typed instead."""
    if person:
        import readline  # noqa: F401  (it gives `input` its editing and its history)
    while True:
        try:
            text = input("you> ") if person else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            typer.echo(err=True)
            return
        if not text and not person:
            return
        if text.strip():
            yield text.strip()


def _turn(background: "Background", talk: "Talk", text: str) -> bool:
    """Show the turn that `text` starts. The first Ctrl-C cancels it, the second one leaves it behind."""
    request = uuid.uuid4().hex
    running = background.start(talk.turn(text, request))
    cancelled = False
    while True:
        try:
            return running.result()
        except KeyboardInterrupt:
            if cancelled:
                raise
            cancelled = True
            talk.remark("cancelling; Ctrl-C again leaves")
            background.start(talk.cancel(request))


class Background:
    """An event loop in a thread of its own: the connection lives on while this thread waits for a person."""

    def __enter__(self) -> "Background":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stenograph chat", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.start(work).result()


class SecretsMissing(Exception):
    """The agent needs secrets that were not given, and there is a person who can type them."""

    def __init__(self, agent: "Agent", names: list[str]) -> None:
        super().__init__(f"{', '.join(names)} of agent {agent.slug} were not given")
        self.agent = agent
        self.names = names


class Talk:
    """One session, and the screen that shows it."""

    def __init__(
        self,
        resources: AsyncExitStack,
        session: "Session",
        opening: "Opening",
        declared: "Agent | None" = None,
        *,
        as_json: bool,
    ) -> None:
        from stenograph_services.cli.speech import Speech

        self.declared = declared
        self.session = session
        self.opening = opening
        self.as_json = as_json
        self._resources = resources
        self._speech = Speech(as_json=as_json, all_is_chat=opening.all_is_chat)

    @classmethod
    async def begin(
        cls,
        place: Place,
        agent: str | None,
        values: dict[str, Any],
        session: str | None,
        as_json: bool,
        trigger: str | None,
    ) -> "Talk":
        """Connect, and make a session of `agent`, or find the one that `session` names."""
        declared = None
        async with AsyncExitStack() as resources:
            client = await resources.enter_async_context(connected(place, for_clients=True))
            if session is not None:
                opening, found = await _found(place, client, session)
            else:
                declared = await _shown(place, client, agent or "")
                opening = _opening(declared, agent or "")
                found = await _made(client, declared, agent or "", values)
            if trigger is not None:
                name, _, takes = trigger.partition(":")
                opening = opening._replace(trigger=name, input=takes)
            return cls(resources.pop_all(), found, opening, declared, as_json=as_json)

    async def end(self) -> None:
        await self._resources.aclose()

    async def turn(self, text: str, request: str) -> bool:
        """Say `text`, show what follows, and return whether the turn completed."""
        from stenograph_events.types import ApprovalRequested, BudgetExceeded, ResolutionRequested

        items = self.session.trigger(self.opening.trigger, {self.opening.input: text}, request=request)
        async for item in items:
            self._speech.show(item)
            if isinstance(item, BudgetExceeded | ApprovalRequested | ResolutionRequested) and not sys.stdin.isatty():
                what = "a budget" if isinstance(item, BudgetExceeded) else "a person"
                raise output.Failure(f"turn {item.turn} of session {item.session} did not end: it waits for {what}")
        return self._speech.completed

    def remark(self, text: str) -> None:
        """Print `text` on a line of its own, beside what the agent says."""
        self._speech.remark(text)

    async def cancel(self, request: str) -> None:
        from stenograph_events import turn_id

        await self.session.cancel(turn_id(self.session.id, request))


async def _found(place: Place, client: "Client", given: str) -> "tuple[Opening, Session]":
    from stenograph_events.types import SessionCreated
    from stenograph_services.cli.reading import logs_of

    logs = logs_of(client, place)
    session = await logs.find(given)
    created = (await logs.events(session))[0]
    if not isinstance(created, SessionCreated):
        raise output.Failure(f"the log of session {session} does not begin with session.created: verify it")
    declared = await _shown(place, client, created.agent, created.agent_version)
    return _opening(declared, created.agent), client.session(session)


async def _made(client: "Client", declared: "Agent | None", name: str, values: dict[str, Any]) -> "Session":
    """Return a new session; raise `SecretsMissing` where somebody can be asked, and `Failure` with the mend."""
    from stenograph_sdk import Refused

    if declared is not None and sys.stdin.isatty() and (names := missing_secrets(declared, values)):
        raise SecretsMissing(declared, names)
    try:
        return await client.sessions.create(name, values)
    except Refused as error:
        raise output.Failure(how_to_give(str(error))) from error


async def _shown(place: Place, client: "Client", name: str, version: str | None = None) -> "Agent | None":
    """Return an agent; None for a client's credential, which shows none."""
    from stenograph_sdk.gated import Gated

    return None if isinstance(client.way, Gated) else await _stored(place, client, name, version)


def _opening(declared: "Agent | None", name: str) -> "Opening":
    """Return how to talk to an agent; to one that cannot be seen, as agents usually have it."""
    from stenograph_services.cli.opening import USUAL, opening_of

    return USUAL._replace(agent=name) if declared is None else opening_of(declared)


async def _stored(place: Place, client: "Client", name: str, version: str | None = None) -> "Agent":
    """Return the agent that is stored under slug or id `name`, in its current version unless one is given."""
    from stenograph_services.protocol.problems import did_you_mean
    from stenograph_services.runtime.agents import Agents
    from stenograph_services.runtime.errors import UnknownAgent

    agents = Agents(client.connection.nats)
    try:
        if version is None:
            entry = await agents.current(place.tenant, name)
            name, version = entry.slug, entry.version
        return await agents.version(place.tenant, name, version)
    except UnknownAgent as error:
        near = did_you_mean(name, [entry.slug for entry in await agents.list(place.tenant)])
        raise output.Failure(f"{error}{near or '; `stenograph agents list` shows which there are'}") from error
