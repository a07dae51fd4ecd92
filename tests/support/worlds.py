"""Random worlds for `decide`: an agent of random blocks, and a session that lives through whatever may come.

    world = World(agent, draw)
    world.live()
    assert check(world.stored, complete=True).ok

The world does by hand what the services do, with their own pure functions: it takes triggers and cancels, answers as
the model and as the workers do, and drives. Everything is drawn, so hypothesis finds the shortest way to a fault.
"""

from collections.abc import Callable
from decimal import Decimal
from textwrap import indent
from typing import Any

from hypothesis import strategies as st
from msgspec import Raw
from tests.support.agents import bundle

from stenograph_events import EMPTY, AnyEvent, EventId, Head, call_id, decode, follow, seal
from stenograph_events.subjects import AnswerSubject, CallSubject, event_subject
from stenograph_events.testing import START, raw, session_created
from stenograph_events.types import MessageAdded, ModelFailed
from stenograph_events.values import OfferedTool, TextPart, Usage
from stenograph_events.wire import RaiseBudget, ToolAnswer
from stenograph_projections import session as sessions
from stenograph_projections.invariants import Stored
from stenograph_projections.session import PendingCall, Session
from stenograph_projections.threads import Threads
from stenograph_projections.transcript import Entry, entry_of
from stenograph_services.orchestrator import triggers
from stenograph_services.orchestrator.answers import Took, failure, message
from stenograph_services.orchestrator.decide import decide
from stenograph_services.orchestrator.decisions import Append, Ask, ChildVersion, Decision, Env
from stenograph_services.orchestrator.driver import still_wants
from stenograph_services.orchestrator.models.request import CallWanted, ModelError, ModelResponse
from stenograph_services.protocol import Agent, load_bundle
from stenograph_services.protocol.schemas import compiled, object_schema
from stenograph_services.tool_gateway import decide as answers

BLOCKS = {
    "add": "block: add-message\nrole: user\nprompt: said\ninput: [TEXT]",
    "ask": "block: next-message\noutput: ANSWER",
    "look": "block: tool-call\ntool: get-account\ninput: {userId: TEXT}\noutput: ACCOUNT",
    "mistake": "block: tool-call\ntool: get-account\ninput: {userId: ACCOUNT}\noutput: ACCOUNT",
    "note": "block: set-resource\nresource: NOTE\nvalue: ANSWER",
    "typed": "block: next-message\nresponseType: Plan\noutput: PLAN",
    "begin": (
        "block: start-thread\nthread: side\nmodel: scripted/play\nsystem: system\n"
        "tools: [get-account]\nworkers: [helper]\nmaxSteps: 2"
    ),
    "add aside": "block: add-message\nthread: side\nrole: user\nprompt: said\ninput: [TEXT]",
    "ask aside": "block: next-message\nthread: side\noutput: ANSWER\nindependent: true",
    "tell": "block: serialize-thread\noutput: ANSWER",
    "tell as json": "block: serialize-thread\nformat: json\noutput: ANSWER",
    "child": "block: run-worker\nworker: helper\ninput: {TOPIC: TEXT}\noutput: ACCOUNT",
    "wrong child": "block: run-worker\nworker: helper\ninput: {TOPIC: 5}\noutput: ACCOUNT",
    "draw": "block: generate-image\nprompt: TEXT\nimageModel: google/some-image",
}

TOP = """\
workers:
  helper: {description: Helps}
"""

SECTIONS = (
    "",
    "backupModel: scripted/play",
    "todoList: true\nreferences: [rules]\nworkers: [helper]",
    "contextManagement: {summarizerWorker: helper, thresholdPercent: 0.5, recentPercent: 0.1}\nworkers: [helper]",
    "budget: {turn: {steps: 2}, session: {tokens: 400}}",
    "budget: {turn: {tokens: 120, cost: 0.01}, session: {steps: 4}}",
)

REFERENCES = {"rules": "---\ndescription: The rules\n---\nBe kind.\n"}

WANTED = (
    CallWanted("get-account", '{"userId":"u1"}'),
    CallWanted("send-mail", '{"to":"a@b"}'),
    CallWanted("get-account", '{"userId":5}'),
    CallWanted("get-account", '{"userId":'),
    CallWanted("get-account", "[" * 3_000),
    CallWanted("nothing", "{}"),
    CallWanted("", "null"),
    CallWanted("helper", '{"TOPIC":"plans"}'),
    CallWanted("helper", '{"topic":"plans"}'),
    CallWanted("octavus_todo_write", '{"todos":[{"id":"1","content":"look","status":"pending"}],"merge":true}'),
    CallWanted("octavus_todo_write", '{"todos":[{"id":"1","status":"completed"}],"merge":true}'),
    CallWanted("octavus_reference_read", '{"name":"rules"}'),
    CallWanted("octavus_web_search", "{}"),
    CallWanted("files__search", '{"query":"plans"}'),
)

FAILURES = (("overloaded", True), ("authentication", False), ("context-window", False))

SAID = ("said", '{"plan":"pro"}', '{"plan":5}', "{")

ANSWERS = (
    ToolAnswer("succeeded", result=Raw(b'{"plan":"pro"}')),
    ToolAnswer("succeeded", result=Raw(b'{"plan":5}')),
    ToolAnswer("failed", error="no"),
    ToolAnswer("expired"),
)

OFFERED = (OfferedTool("files__search", "Search", raw({"properties": {"query": {"type": "string"}}})),)
HELPER = ChildVersion("v1", compiled(object_schema({"TOPIC": {"type": "string"}}, ["TOPIC"])))

MOVES = ("trigger", "again", "cancel", "drive", "drive", "drive", "answer", "overdue", "raise")


@st.composite
def agents(draw: st.DrawFn) -> Agent:
    """An agent of one to four blocks of any kind."""
    kinds = draw(st.lists(st.sampled_from(list(BLOCKS)), min_size=1, max_size=4))
    handler = "".join(f"{kind} {i}:\n{indent(BLOCKS[kind], '  ')}\n" for i, kind in enumerate(kinds))
    policy = draw(st.sampled_from(["enqueue", "interrupt", "reject"]))
    return load_bundle(
        bundle(
            "x",
            handler=handler,
            when_busy=policy,
            max_steps=draw(st.integers(1, 3)),
            agent=draw(st.sampled_from(SECTIONS)),
            top=TOP,
            references=REFERENCES,
        )
    )


def price(model: str, usage: Usage) -> Decimal | None:
    return Decimal(usage.input_tokens + 2 * usage.output_tokens) / 10_000


class World:
    """A session, and all that is outside of it."""

    def __init__(self, agent: Agent, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.agent = agent
        self.draw = draw
        self.calm = False
        self.head: Head = EMPTY
        self.session: Session | None = None
        self.entries: list[Entry] = []
        self.threads = Threads(self.entries)
        self.stored: list[Stored] = []
        self.sent = 0
        self.facts = 0
        self.raised = 0
        self._store(session_created(agent.slug))

    @property
    def state(self) -> Session:
        assert self.session is not None
        return self.session

    def env(self) -> Env:
        return Env(
            now=START,
            tools={"get-account": "safe"},
            queue_max=2,
            model_attempts=2,
            children={"helper": HELPER},
            view=self.threads.view,
            whole=self.threads.whole,
            price=price,
            window=lambda model: 100,
        )

    def decided(self) -> Decision:
        return decide(self.state, self.agent, self.env())

    def live(self, moves: int = 16) -> None:
        """Let something happen again and again, then bring everything to its end in peace."""
        for _ in range(moves):
            self.happens()
        self.calm = True
        for _ in range(300):
            if self.state.turn is None and not self.state.queue:
                return
            self.drive()
            self.answer()
            if self.state.turn is not None and self.state.turn.exceeded:
                self.raise_budget()
        raise AssertionError(f"the session does not come to rest: {self.state}")

    def happens(self, among: tuple[str, ...] = MOVES) -> None:
        """Let one thing happen."""
        what = self.draw(st.sampled_from(among))
        match what:
            case "trigger":
                self.sent += 1
                self.trigger(self.sent)
            case "again":
                self.trigger(self.draw(st.integers(1, max(self.sent, 1))))
            case "cancel":
                self.add(triggers.cancel(self.state, f"t{self.draw(st.integers(1, self.sent + 1))}", self.env()))
            case "drive":
                self.drive()
            case "answer":
                self.answer()
            case "overdue":
                self.overdue()
            case "raise":
                self.raise_budget()

    def raise_budget(self) -> None:
        """Allow more, perhaps too little; a request that comes again counts once. In peace it is what is waited for."""
        turn = self.state.turn
        waits_for = turn.exceeded if self.calm and turn else None
        self.raised += 1 if waits_for else self.draw(st.integers(0, 1))
        scope = waits_for or self.draw(st.sampled_from(["turn", "session"]))
        steps = 3 if waits_for else self.draw(st.integers(0, 3))
        more = RaiseBudget(str(self.raised), scope, tokens=100, cost=Decimal(1), steps=steps)
        self.add(triggers.raise_budget(self.state, more, self.env()))

    def trigger(self, number: int) -> None:
        name = self.draw(st.sampled_from(["user-message"] * 7 + ["unknown"]))
        input = self.draw(st.sampled_from([b'{"TEXT":"Hi"}'] * 7 + [b"{}"]))
        self.sent = max(self.sent, number)
        tools = OFFERED if number % 2 else ()
        wanted = triggers.Wanted(f"t{number}", name, Raw(input), tools=tools)
        self.add(triggers.outcome(self.state, self.agent, wanted, self.env()))

    def drive(self) -> None:
        """Do the next thing that `decide` says; of several events perhaps only the first is stored."""
        match self.decided():
            case Append(events):
                for event in events[: self.draw(st.integers(1, len(events)))]:
                    self.add(event)
            case Ask() as question:
                fact = self.asked(question)
                self.meanwhile()
                if still_wants(self.state, question, fact):
                    self.add(fact)

    def meanwhile(self) -> None:
        """While a model speaks, something else may come."""
        if self.seldom(5):
            self.happens(("trigger", "again", "cancel"))

    def asked(self, question: Ask) -> MessageAdded | ModelFailed:
        self.facts += 1
        id = EventId(f"fact{self.facts}")
        usage = Usage(self.draw(st.integers(0, 120)), self.draw(st.integers(0, 20)))
        if self.seldom(4):
            kind, retryable = self.draw(
                st.sampled_from([("overloaded", True), ("auth", False), ("context-window", False)])
            )
            seen = self.draw(st.sampled_from([None, 5]))
            failed = ModelError(kind, "no", retryable=retryable, usage=usage)
            cost = self.draw(st.sampled_from([None, price(question.model, usage)]))
            return failure(self.state, question, failed, Took(9, seen), cost, id=id, at=START)
        wanted = [] if self.calm else self.draw(st.lists(st.sampled_from(WANTED), max_size=3))
        cut_off = self.seldom(9)
        text = SAID[1] if self.calm else self.draw(st.sampled_from(SAID))
        response = ModelResponse(
            parts=(TextPart(text),),
            calls=() if cut_off else tuple(wanted),
            finish_reason="cancelled" if cut_off else "stop",
            usage=usage,
            cost_usd=price(question.model, usage),
        )
        return message(self.state, question, response, Took(9, 5), "hash", id=id, at=START)

    def seldom(self, rarity: int) -> bool:
        return not self.calm and bool(self.draw(st.integers(0, rarity)) == rarity)

    def answer(self) -> None:
        """Answer an open call, or once more one that was answered, or one that nobody made."""
        where = self._call_somewhere()
        if where is not None:
            answer = self.draw(st.sampled_from(ANSWERS))
            at = AnswerSubject(where.tenant, self._tool_of(where), where.session, where.call, where.attempt)
            event = answers.answered(self.state, self.agent, at, answer, answer.result, START)
            if event.id not in self.ids:
                self.add(event)

    def overdue(self) -> None:
        where = self._call_somewhere()
        if where is not None:
            never = any(one.call == where.call and one.retry == "never" for one in self._calls())
            claim: answers.Claim = self.draw(st.sampled_from(["closed", "taken"])) if never else "none"
            self.add(answers.overdue(self.state, where, claim, START))

    def _calls(self) -> tuple[PendingCall, ...]:
        return self.state.turn.calls if self.state.turn else ()

    def _tool_of(self, where: CallSubject) -> str:
        return next((call.served_as for call in self._calls() if call.call == where.call), "nobody")

    def _call_somewhere(self) -> CallSubject | None:
        if open_calls := [call for call in self._calls() if call.status == "open"]:
            call = self.draw(st.sampled_from(open_calls))
            return CallSubject(self.state.tenant, self.state.session, call.call, call.attempt)
        if self.seldom(4):
            return CallSubject(self.state.tenant, self.state.session, call_id("nobody", 0), 1)
        return None

    @property
    def ids(self) -> set[str]:
        return {decode(one.data).id for one in self.stored}

    def add(self, event: AnyEvent | None) -> None:
        if event is not None:
            self._store(event)

    def _store(self, event: AnyEvent) -> None:
        sealed, data = seal(event, self.head)
        read = decode(data)
        self.head = follow(self.head, read, data, self.head.sequence + 2)
        self.stored.append(Stored(self.head.sequence, event_subject(sealed), data))
        self.session = sessions.apply(self.session, read)
        if entry := entry_of(read):
            self.entries.append(entry)
