"""`stenograph agents …`: from nothing to an agent that answers."""

from pathlib import Path

from tests.cli.conftest import Stenograph
from tests.support.small_agent import BUNDLE

FILES = [
    "settings.json",
    "protocol.yaml",
    "prompts/system.md",
    "prompts/user-message.md",
    "scripts/desk.yaml",
    "tools.py",
]


async def test_a_new_agent_is_valid_and_answers_at_once(stenograph: Stenograph, tmp_path: Path):
    new = await stenograph("agents", "new", "desk", "--dir", str(tmp_path))
    valid = await stenograph("agents", "validate", str(tmp_path))
    synced = await stenograph("agents", "sync", str(tmp_path))
    answered = await stenograph("chat", "desk", input="Hello there\n")

    assert new.out.splitlines() == [str(tmp_path / "desk" / name) for name in FILES]
    assert (valid.code, valid.out) == (0, "")
    assert synced.out.startswith("desk created, version ")
    assert answered.code == 0, answered.err
    assert answered.out.startswith("You said: Hello there. I am a script")


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
    line = f"{protocol}:31 agent.tools[0]: no tool 'look-up-oder'; did you mean 'look-up-order'?\n"

    validated = await stenograph("agents", "validate", str(tmp_path))
    as_json = await stenograph("agents", "validate", str(tmp_path), "--json")
    synced = await stenograph("agents", "sync", str(tmp_path))
    stored = await stenograph("agents", "list", "--json")

    assert (validated.code, validated.out) == (1, line)
    assert validated.err.endswith("stenograph: 1 problem in 1 file\n")
    assert [problem["code"] for problem in as_json.json["problems"]] == ["unknown-name"]
    assert [agent["slug"] for agent in as_json.json["agents"]] == ["good-one"]
    assert (synced.code, synced.err) == (1, f"{line}stenograph: 1 problem in 1 file, so nothing is stored\n")
    assert not {"good-one", "bad-one"} & {agent["slug"] for agent in stored.json}


async def test_sync_says_what_changed_and_list_shows_what_is_stored(stenograph: Stenograph, tmp_path: Path):
    folder = tmp_path / "clerk"
    await stenograph("agents", "new", str(folder))

    first = await stenograph("agents", "sync", str(folder), "--json")
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


async def test_a_folder_without_an_agent_is_named(anywhere: Stenograph, tmp_path: Path):
    empty = await anywhere("agents", "validate", str(tmp_path))
    missing = await anywhere("agents", "sync", str(tmp_path / BUNDLE.slug))

    assert (empty.code, missing.code) == (1, 1)
    assert f"{tmp_path}: no agent in it" in empty.err
    assert f"{tmp_path / BUNDLE.slug}: there is no such folder" in missing.err
