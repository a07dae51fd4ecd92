"""The model's list of things to do: each call says how it changes, and a wrong call changes nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph_services.protocol.agent import Agent
from stenograph_services.protocol.builtin_tools import answer_builtin, todo_tool, todos_after

ASK = {"id": "1", "content": "Ask", "status": "completed"}
TELL = {"id": "2", "content": "Tell", "status": "pending"}


def write(*todos: dict[str, Any], merge: bool | None = None) -> dict[str, Any]:
    return {"todos": list(todos)} | ({} if merge is None else {"merge": merge})


@pytest.mark.parametrize("merge", [None, False])
def test_a_call_replaces_the_list(merge: bool | None):
    assert todos_after([ASK, TELL], write({"id": "3", "content": "Go"}, merge=merge)) == [
        {"id": "3", "content": "Go", "status": "pending"}
    ]
    assert todos_after([ASK], write(merge=merge)) == []


def test_a_merge_changes_what_it_names_and_adds_what_is_new_at_the_end():
    changed = todos_after(
        [ASK, TELL], write({"id": "3", "content": "Go"}, {"id": "1", "status": "cancelled"}, merge=True)
    )

    assert changed == [ASK | {"status": "cancelled"}, TELL, {"id": "3", "content": "Go", "status": "pending"}]


def test_the_list_before_is_left_as_it_was():
    before = [dict(ASK)]

    todos_after(before, write({"id": "1", "content": "Other"}, merge=True))

    assert before == [ASK]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            write({"id": "3", "status": "pending"}, merge=True),
            "'3' is not on the list yet and needs `content`; to change one, `merge` is true",
        ),
        (write({"id": "1", "status": "pending"}), "'1' is not on the list yet and needs `content`"),
        (write({"id": "1", "content": " "}), "needs `content`"),
        (write({"content": "x"}), 'the arguments are wrong: /todos/0: "id" is a required property'),
        (write({"id": "1", "content": "x", "status": "done"}), "the arguments are wrong: /todos/0/status: "),
        ({}, "the arguments are wrong: "),
        ({"todos": "x"}, "the arguments are wrong: /todos: "),
        ({"todos": [], "merge": "yes"}, "the arguments are wrong: /merge: "),
        (
            write({"id": "1", "content": "x" * 501}),
            "'1' is too long: `id` and `content` have at most 500 characters",
        ),
        (
            write(*({"id": str(at), "content": "x"} for at in range(101))),
            "the list would hold 101 things to do; it holds at most 100",
        ),
    ],
)
def test_a_call_that_cannot_be_followed_is_refused_with_a_sentence(arguments: dict[str, Any], sentence: str):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        todos_after([TELL], arguments)

    assert sentence in str(caught.value)


def test_the_tool_answers_the_whole_list():
    agent = Agent("x", "X", "v", None, {}, {}, {})

    answer = answer_builtin(agent, todo_tool().name, write({"id": "1", "content": "Ask"}, merge=True), [TELL])

    assert todo_tool().name == "octavus_todo_write"
    assert answer == {"todos": [TELL, {"id": "1", "content": "Ask", "status": "pending"}]}


IDS = st.sampled_from(["1", "2", "3"])
TODOS = st.fixed_dictionaries(
    {"id": IDS, "content": st.sampled_from(["a", "b"])},
    optional={"status": st.sampled_from(["pending", "in_progress", "completed", "cancelled"])},
)


@given(st.lists(TODOS), st.lists(TODOS))
def test_a_merge_twice_is_a_merge_once_and_no_id_is_there_twice(first: list[Any], second: list[Any]):
    before = todos_after([], write(*first))
    once = todos_after(before, write(*second, merge=True))

    assert todos_after(once, write(*second, merge=True)) == once
    assert [todo["id"] for todo in once] == list(dict.fromkeys(todo["id"] for todo in [*before, *second]))
