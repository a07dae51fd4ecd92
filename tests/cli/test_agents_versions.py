"""`stenograph agents show` and `agents diff`: which versions are stored, and what two of them differ in."""

from pathlib import Path

import pytest
from tests.cli.conftest import Stenograph


@pytest.fixture(scope="module")
def stored_versions() -> list[str]:
    return []


@pytest.fixture
async def versions(stenograph: Stenograph, tmp_path: Path, stored_versions: list[str]) -> list[str]:
    """Two stored versions of the agent `teller`, the older one first: another model's answer, tool and trigger."""
    if not stored_versions:
        folder = tmp_path / "teller"
        await stenograph("agents", "new", str(folder))
        first = await stenograph("agents", "sync", str(folder), "--json")
        protocol = (folder / "protocol.yaml").read_text()
        changed = protocol.replace("timeout: 10s", "timeout: 20s").replace("orderId:\n", "orderNumber:\n")
        changed = changed.replace("    optional: true\n    default: Acme\n", "").replace("enqueue #", "reject #")
        (folder / "protocol.yaml").write_text(changed)
        (folder / "prompts" / "system.md").write_text("You help {{COMPANY_NAME}}.\n")
        second = await stenograph("agents", "sync", str(folder), "--json")
        stored_versions += [ran.json[0]["version"] for ran in (first, second)]
    return stored_versions


async def test_an_agent_is_shown_with_its_files_and_versions(stenograph: Stenograph, versions: list[str]):
    shown = await stenograph("agents", "show", "teller")

    assert shown.code == 0, shown.err
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows[0] == ["teller", "Teller"]
    assert rows[1][:3] == ["version", versions[1], "(current),"]
    assert ["models", "scripted/teller"] in rows
    assert ["triggers", "user-message(USER_MESSAGE)"] in rows
    assert ["tools", "look-up-order(orderNumber)"] in rows
    assert [row[-1] for row in rows if "B" in row] == [
        "settings.json",
        "protocol.yaml",
        "prompts/system.md",
        "prompts/user-message.md",
        "scripts/teller.yaml",
    ]
    assert rows[-2][:2] == ["versions", versions[1]]
    assert rows[-1][0] == versions[0]


async def test_an_older_version_is_shown_by_its_beginning(stenograph: Stenograph, versions: list[str]):
    ran = await stenograph("agents", "show", "teller", "--version", versions[0][:6], "--json")

    assert ran.json["version"] == versions[0]
    assert ran.json["current"] is False
    assert ran.json["tools"] == {"look-up-order": ["orderId"]}
    assert ran.json["files"]["prompts/user-message.md"] == len("{{USER_MESSAGE}}")
    assert [each["version"] for each in ran.json["versions"]] == versions[::-1]


async def test_two_versions_differ_in_lines_and_in_what_they_mean(stenograph: Stenograph, versions: list[str]):
    ran = await stenograph("agents", "diff", "teller", versions[0])

    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == f"--- {versions[0]}/prompts/system.md"
    assert "+You help {{COMPANY_NAME}}." in lines
    assert "-    timeout: 10s" in lines
    assert ran.err.splitlines() == [
        "- sessions are given `COMPANY_NAME`, which must be sent from now on",
        "- tool `look-up-order` has other parameters: workers serve both while older sessions go on",
        "- tool `look-up-order` has timeout 20s, not 10s",
        "- the model is asked in another way: its system prompt, tools or settings",
        "- a trigger during a turn: reject, not enqueue",
        f"new sessions get {versions[1]}; sessions keep the version that they were created with",
    ]


async def test_a_version_does_not_differ_from_itself(stenograph: Stenograph, versions: list[str]):
    ran = await stenograph("agents", "diff", "teller", "current", versions[1], "--json")

    assert (ran.json["changes"], ran.json["diff"]) == ([], "")


async def test_an_agent_or_version_that_is_not_there_is_named(stenograph: Stenograph, versions: list[str]):
    agent = await stenograph("agents", "show", "tellr")
    version = await stenograph("agents", "diff", "teller", "zzz")

    assert (agent.code, version.code) == (1, 1)
    assert "; did you mean 'teller'?" in agent.err
    assert f"teller has no version 'zzz'; the newest are {versions[1]}, {versions[0]}" in version.err
