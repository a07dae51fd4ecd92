"""`stenograph agents …`: from nothing to an agent that answers."""

from pathlib import Path

import jsonschema_rs
import pytest
from ruamel.yaml import YAML
from tests.cli.conftest import Stenograph
from tests.support.small_agent import BUNDLE

FILES = [
    "prompts/system.md",
    "prompts/user-message.md",
    "protocol.yaml",
    "scripts/desk.yaml",
    "settings.json",
    "tests/look-up.yaml",
    "tools.py",
    "tests/look-up.log",
]


async def test_a_new_agent_is_valid_and_answers_at_once(stenograph: Stenograph, tmp_path: Path):
    new = await stenograph("agents", "new", "desk", "--dir", str(tmp_path))
    valid = await stenograph("agents", "validate", str(tmp_path), "--strict")
    synced = await stenograph("agents", "sync", str(tmp_path))
    answered = await stenograph("chat", "desk", input="Hello there\n")

    assert new.out.splitlines() == [str(tmp_path / "desk" / name) for name in FILES]
    assert (valid.code, valid.out) == (0, "")
    assert synced.out.startswith("desk created, version ")
    assert answered.code == 0, answered.err
    assert answered.out.startswith("You said: Hello there. I am a script")


@pytest.mark.parametrize("form", [(), ("--worker",)])
async def test_a_new_agent_of_either_form_is_good_and_passes_its_own_tests(
    anywhere: Stenograph, tmp_path: Path, form: tuple[str, ...]
):
    folder = str(tmp_path / "clerk")
    new = await anywhere("agents", "new", folder, *form, "--json")

    valid = await anywhere("agents", "validate", folder, "--strict")
    tested = await anywhere("agents", "test", folder)

    assert new.json["folder"] == folder
    assert (valid.code, valid.out) == (0, ""), valid.out
    assert tested.code == 0, tested.out
    assert tested.err.endswith("1 case: 1 ok\n")


async def test_nothing_is_written_over(anywhere: Stenograph, tmp_path: Path):
    folder = str(tmp_path / "desk")
    first = await anywhere("agents", "new", folder)
    (tmp_path / "desk" / "tools.py").write_text("mine")

    again = await anywhere("agents", "new", folder)

    assert (first.code, again.code) == (0, 1)
    assert f"{folder} exists already" in again.err
    assert (tmp_path / "desk" / "tools.py").read_text() == "mine"


async def test_mistakes_are_printed_with_their_places_and_nothing_is_stored(stenograph: Stenograph, tmp_path: Path):
    await stenograph("agents", "new", str(tmp_path / "good-one"))
    await stenograph("agents", "new", str(tmp_path / "bad-one"))
    protocol = tmp_path / "bad-one" / "protocol.yaml"
    protocol.write_text(protocol.read_text().replace("tools: [look-up-order]", "tools: [look-up-oder]"))
    line = (
        f"{protocol}:31:11: error: agent.tools[0]: "
        "no tool 'look-up-oder'; did you mean 'look-up-order'? [unknown-name]\n"
    )

    validated = await stenograph("agents", "validate", str(tmp_path))
    as_json = await stenograph("agents", "validate", str(tmp_path), "--json")
    synced = await stenograph("agents", "sync", str(tmp_path))
    stored = await stenograph("agents", "list", "--json")

    assert (validated.code, validated.out) == (1, line)
    assert validated.err.endswith("stenograph: 1 error in 1 file\n")
    assert [problem["code"] for problem in as_json.json["errors"]] == ["unknown-name"]
    assert [agent["slug"] for agent in as_json.json["agents"]] == ["good-one"]
    assert (synced.code, synced.err) == (1, f"{line}stenograph: 1 error in 1 file, so nothing is stored\n")
    assert not {"good-one", "bad-one"} & {agent["slug"] for agent in stored.json}


async def test_warnings_come_after_errors_and_count_only_when_validation_is_strict(
    anywhere: Stenograph, tmp_path: Path
):
    folder = tmp_path / "desk"
    await anywhere("agents", "new", str(folder))
    protocol = folder / "protocol.yaml"
    protocol.write_text("resources:\n  NOTE: {type: string}\n" + protocol.read_text())

    lenient = await anywhere("agents", "validate", str(folder))
    strict = await anywhere("agents", "validate", str(folder), "--strict", "--json")
    (folder / "settings.json").write_text('{"slug": "desk"}')
    broken = await anywhere("agents", "validate", str(folder))

    assert lenient.code == 0
    assert lenient.out.startswith(f"{protocol}:1:1: warning: resources: ")
    assert lenient.out.endswith(" [deprecated]\n")
    assert lenient.err.endswith(": good\n1 warning in 1 file\n")
    assert (strict.code, strict.json["ok"]) == (1, False)
    kinds = [line.partition(": ")[2].partition(":")[0] for line in broken.out.splitlines()]
    assert (broken.code, kinds) == (1, ["error", "error", "warning"])


async def test_scripts_and_cases_are_checked_too_and_all_their_mistakes_told(anywhere: Stenograph, tmp_path: Path):
    folder = tmp_path / "desk"
    await anywhere("agents", "new", str(folder))
    (folder / "scripts" / "desk.yaml").write_text("turns:\n  - - txt: Hi\n    - text: Hi\n      chunks: 0\n")
    (folder / "tests" / "look-up.yaml").write_text(
        "about: x\nturns: [{trigger: user-message}]\ntools: {find: [{error: x}]}\n"
    )

    ran = await anywhere("agents", "validate", str(folder))

    assert ran.code == 1
    assert [line.removeprefix(f"{folder}/") for line in ran.out.splitlines()] == [
        "scripts/desk.yaml:2:7: error: turns[0][0].txt: unknown key 'txt'; did you mean 'text'? [unknown-key]",
        "scripts/desk.yaml:4:7: error: turns[0][1].chunks: must be greater than or equal to 1, not 0 [invalid]",
        "tests/look-up.yaml:3:9: error: tools.find: the agent has no tool 'find' [unknown-name]",
    ]


async def test_the_schema_of_the_language_accepts_a_good_protocol_and_refuses_a_bad_one(
    anywhere: Stenograph, tmp_path: Path
):
    await anywhere("agents", "new", str(tmp_path / "desk"))
    protocol = YAML(typ="safe", pure=True).load((tmp_path / "desk" / "protocol.yaml").read_text())

    printed = await anywhere("agents", "schema")

    schema = jsonschema_rs.validator_for(printed.json)
    assert schema.is_valid(protocol)
    assert not schema.is_valid(protocol | {"hanlders": {}})


async def test_sync_says_what_changed_and_list_shows_what_is_stored(stenograph: Stenograph, tmp_path: Path):
    folder = tmp_path / "clerk"
    await stenograph("agents", "new", str(folder))

    first = await stenograph("agents", "sync", str(folder), "--json")
    (folder / "tests" / "look-up.log").unlink()
    same = await stenograph("agents", "sync", str(folder), "--json")
    (folder / "prompts" / "system.md").write_text("You are short.")
    changed = await stenograph("agents", "sync", str(folder), "--json")
    listed = await stenograph("agents", "list")

    changes = [ran.json[0]["change"] for ran in (first, same, changed)]
    versions = [ran.json[0]["version"] for ran in (first, same, changed)]
    assert changes == ["created", "unchanged", "updated"]
    assert versions[0] == versions[1] != versions[2]
    assert first.json[0]["id"] == changed.json[0]["id"]
    assert any(line.split()[:2] == ["clerk", versions[2]] for line in listed.out.splitlines())


async def test_an_archived_agent_is_gone_for_new_sessions_and_listed_on_request(stenograph: Stenograph, tmp_path: Path):
    await stenograph("agents", "new", str(tmp_path / "porter"))
    stored = (await stenograph("agents", "sync", str(tmp_path / "porter"), "--json")).json[0]

    archived = await stenograph("agents", "archive", "porter")
    again = await stenograph("agents", "archive", "porter", "--json")
    listed = await stenograph("agents", "list", "--json")
    every = await stenograph("agents", "list", "--archived")
    chat = await stenograph("chat", "porter", input="Hello\n")
    anew = await stenograph("agents", "sync", str(tmp_path / "porter"), "--json")

    assert (archived.code, archived.out) == (0, "porter archived\n")
    assert (again.json["id"], again.json["changed"]) == (stored["id"], False)
    assert "porter" not in [agent["slug"] for agent in listed.json]
    [row] = [line for line in every.out.splitlines() if line.startswith("porter ")]
    assert row.split()[4] == again.json["archived_at"][:10]
    assert chat.code == 1
    assert anew.json[0]["change"] == "created"
    assert anew.json[0]["id"] != stored["id"]


async def test_an_agent_that_is_not_there_is_not_archived(stenograph: Stenograph, tmp_path: Path):
    await stenograph("agents", "new", str(tmp_path / "butler"))
    await stenograph("agents", "sync", str(tmp_path / "butler"))

    missed = await stenograph("agents", "archive", "buttler")

    assert (missed.code, missed.out) == (1, "")
    assert missed.err.endswith("; did you mean 'butler'?\n")


@pytest.mark.parametrize("command", ["test", "schema", "show", "diff", "archive"])
async def test_the_help_teaches_with_an_example(anywhere: Stenograph, command: str):
    ran = await anywhere("agents", command, "--help")

    assert ran.code == 0
    assert f"stenograph agents {command}" in ran.out.split("Example:")[1]


async def test_a_folder_without_an_agent_is_named(anywhere: Stenograph, tmp_path: Path):
    empty = await anywhere("agents", "validate", str(tmp_path))
    missing = await anywhere("agents", "sync", str(tmp_path / BUNDLE.slug))

    assert (empty.code, missing.code) == (1, 1)
    assert f"{tmp_path}: no agent in it" in empty.err
    assert f"{tmp_path / BUNDLE.slug}: there is no such folder" in missing.err
