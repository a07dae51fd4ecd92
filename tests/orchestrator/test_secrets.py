"""Which calls get which secrets, and which do not run: decided on what is sealed, and without opening it."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.agents import HANDLER, TOOLS
from tests.support.deciding import ENV, agent, asked, the_event
from tests.support.logs import rebuild

from stenograph_events import AnyEvent, canonical
from stenograph_events.secrets import token_of
from stenograph_events.testing import (
    approval_granted,
    approval_requested,
    assistant_message,
    raw,
    session_created,
    tool_call,
    tool_failed,
    tool_requested,
    turn_started,
    user_message,
)
from stenograph_events.types import ApprovalRequested, ToolRefused, ToolRequested, TriggerRejected, TurnStarted
from stenograph_events.values import SecretArguments
from stenograph_projections.approvals import awaiting
from stenograph_projections.session import PendingCall, Session
from stenograph_services.orchestrator import approvals, triggers
from stenograph_services.protocol import Agent, Field
from stenograph_services.protocol.agent import Trigger

KEY, OTHER = token_of(b"k" * 92), token_of(b"o" * 92)
INPUT = "input:\n  API_KEY: {type: string, secret: true, optional: true}"
SECRET = TOOLS.replace("{to: {type: string}}", "{to: {type: string}, key: {type: string, secret: true, from: API_KEY}}")
STARTED: list[AnyEvent] = [session_created(input=raw({"API_KEY": KEY})), turn_started(input=raw({"TEXT": "Hi"}))]
ASKS = assistant_message(calls=[tool_call("c1", "send-mail", arguments=raw({"to": "a"}))])
FULL = raw({"key": KEY, "to": "a"})
WORLD: dict[str, Any] = {"keyed": ("send-mail",)}


def mailer(tools: str = SECRET, **more: Any) -> Agent:
    return agent(HANDLER, tools=tools, top=INPUT, **more)


def test_a_model_is_not_told_of_a_secret_parameter_and_its_call_gets_it():
    question = asked(mailer(), *STARTED, user_message())
    request = the_event(mailer(), *STARTED, user_message(), ASKS, **WORLD)

    assert [tool.parameters.json["properties"] for tool in question.settings.tools][1] == {"to": {"type": "string"}}
    assert isinstance(request, ToolRequested)
    assert (canonical(request.arguments), request.secrets) == (FULL, SecretArguments(("key",)))


def test_a_secret_that_a_model_made_up_refuses_the_call():
    made_up = assistant_message(calls=[tool_call("c1", "send-mail", arguments=raw({"to": "a", "key": KEY}))])

    refused = the_event(mailer(), *STARTED, user_message(), made_up, **WORLD)

    assert isinstance(refused, ToolRefused)
    assert refused.error == "the arguments are wrong: 'key' is not asked for"


@pytest.mark.parametrize(
    ("world", "why"),
    [
        ({}, "'send-mail' takes a secret, and its workers gave no key to seal it to"),
        ({"tools": {}}, "'send-mail' takes a secret, and no worker serves it"),
    ],
)
def test_a_call_with_a_secret_that_nobody_can_be_handed_is_refused(world: dict[str, Any], why: str):
    refused = the_event(mailer(), *STARTED, user_message(), ASKS, **world)

    assert isinstance(refused, ToolRefused)
    assert refused.error.startswith(why)


def test_an_attempt_whose_workers_have_no_key_any_more_is_refused():
    agent = mailer(SECRET.replace("retry: never", "retry: safe\n  attempts: 2"))
    first = tool_requested(
        "c1", tool="send-mail", arguments=FULL, retry="safe", attempts=2, secrets=SecretArguments(("key",))
    )
    failed = [*STARTED, user_message(), ASKS, first, tool_failed("c1", again=True)]

    again, refused = the_event(agent, *failed, **WORLD), the_event(agent, *failed)

    assert (again.attempt, again.arguments, again.secrets) == (2, FULL, SecretArguments(("key",)))
    assert isinstance(refused, ToolRefused)


def test_an_expression_is_not_given_a_secret_and_its_digest_is_of_what_is_sealed():
    agent = mailer(SECRET.replace("retry: never", "retry: never\n  approval: size(arguments) > 1"))
    asking = mailer(SECRET.replace("retry: never", "retry: never\n  approval: always"))

    request = the_event(agent, *STARTED, user_message(), ASKS, **WORLD)
    question = the_event(asking, *STARTED, user_message(), ASKS, **WORLD)

    assert isinstance(request, ToolRequested)
    assert isinstance(question, ApprovalRequested)
    assert question.arguments == FULL
    granted: list[AnyEvent] = [question, approval_granted("c1", digest=question.digest)]
    assert the_event(asking, *STARTED, user_message(), ASKS, *granted, **WORLD).arguments == FULL


@pytest.mark.parametrize("given", [{"to": "b"}, {"to": "b", "key": "(secret)"}, {"to": "b", "key": KEY}])
def test_a_person_edits_all_but_the_secrets(given: dict[str, str]):
    assert approvals.edited(mailer(), waiting(), raw(given)) == raw({"key": KEY, "to": "b"})


@pytest.mark.parametrize("key", ["sk-1", OTHER, 5])
def test_a_person_who_changes_a_secret_is_told_that_it_stays(key: object):
    with pytest.raises(approvals.NotDecided, match="'key' is secret: leave it out"):
        approvals.edited(mailer(), waiting(), raw({"to": "b", "key": key}))


@pytest.mark.parametrize(("value", "kind"), [(KEY, TurnStarted), ("sk-live-1", TriggerRejected)])
def test_a_trigger_whose_secret_came_unsealed_is_rejected_and_does_not_say_it(value: str, kind: type):
    protocol = mailer()
    declared = triggers_with_pin(protocol)
    session = Session("t", "s", "x", "v", ENV.now, ENV.now)

    event = triggers.outcome(session, declared, triggers.Wanted("t9", "user-message", raw({"PIN": value})), ENV)

    assert isinstance(event, kind)
    assert "sk-live-1" not in repr(event)
    assert kind is TurnStarted or "came unsealed" in getattr(event, "detail", "")


def triggers_with_pin(agent: Agent) -> Agent:
    taken = Trigger("user-message", (Field("PIN", {"type": "string"}, secret=True),))
    return replace(agent, triggers={"user-message": taken})


def waiting() -> PendingCall:
    asks = approval_requested("c1", tool="send-mail", arguments=FULL)
    found = awaiting(rebuild([*STARTED, user_message(), ASKS, asks]), "c1")
    assert found is not None
    return found
