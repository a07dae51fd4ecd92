from pydantic_ai import messages as wire
from tests.support.asking import call, question, reply, said

from stenograph_events.values import ReasoningPart
from stenograph_services.orchestrator.models.conversation import to_messages


def test_what_stands_between_two_answers_travels_as_one_request():
    messages = to_messages(
        question(
            said("user", "One"),
            said("assistant", "Yes", calls=(call("c1"), call("c2"))),
            reply("c1", 1),
            reply("c2", 2),
            said("system", "Be brief."),
            said("user", "Two"),
        )
    )

    assert [[part.part_kind for part in message.parts] for message in messages] == [
        ["system-prompt", "user-prompt"],
        ["text", "tool-call", "tool-call"],
        ["tool-return", "tool-return", "system-prompt", "user-prompt"],
    ]


def test_a_text_result_is_read_without_its_quotes_and_json_as_it_stands():
    messages = to_messages(
        question(said("assistant", calls=(call("c1"), call("c2"))), reply("c1", 'It is "pro"'), reply("c2", {"a": [1]}))
    )

    returns = [part for part in messages[-1].parts if isinstance(part, wire.ToolReturnPart)]
    assert [part.content for part in returns] == ['It is "pro"', '{"a":[1]}']
    assert [part.tool_name for part in returns] == ["get-user-account"] * 2


def test_each_way_to_fail_reaches_the_model_as_what_it_is():
    outcomes = {"failed": "failed", "timed-out": "failed", "unknown": "failed", "refused": "failed"}
    outcomes |= {"cancelled": "interrupted", "succeeded": "success"}

    for ours, theirs in outcomes.items():
        messages = to_messages(question(said("assistant", calls=(call("c1"),)), reply("c1", "Why not.", ours)))  # type: ignore[arg-type]
        [part] = messages[-1].parts
        assert isinstance(part, wire.ToolReturnPart)
        assert (part.outcome, part.content) == (theirs, "Why not.")


def test_arguments_that_a_model_broke_stay_readable_and_become_json():
    messages = to_messages(question(said("assistant", calls=(call("c1", malformed='{"userId": '),)), reply("c1", 1)))

    part = messages[1].parts[0]
    assert isinstance(part, wire.ToolCallPart)
    assert part.args_as_json_str() == '{"INVALID_JSON":"{\\"userId\\": "}'


def test_reasoning_is_left_out_for_whoever_cannot_check_it():
    thought = said("assistant", ReasoningPart("Hm.", "signed", "anthropic"), "Yes")

    theirs = to_messages(question(thought, model="anthropic/claude"))[-1]
    others = to_messages(question(thought, model="google/gemini"))[-1]

    assert [part.part_kind for part in theirs.parts] == ["thinking", "text"]
    assert [part.part_kind for part in others.parts] == ["text"]


def test_without_a_system_prompt_none_is_sent():
    [message] = to_messages(question(said("user", "Hello"), system=""))

    assert [part.part_kind for part in message.parts] == ["user-prompt"]
