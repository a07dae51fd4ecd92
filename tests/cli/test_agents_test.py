"""`stenograph agents test`: the cases of an agent, and where they go another way than expected."""

from pathlib import Path

import pytest
from tests.cli.conftest import Stenograph

from stenograph_services.cli.rehearsal import rehearse_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def desk(anywhere: Stenograph, tmp_path: Path) -> Path:
    """The folder of a new agent, whose one case passes."""
    await anywhere("agents", "new", str(tmp_path / "desk"))
    return tmp_path / "desk"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


async def test_a_case_that_goes_as_expected_passes(anywhere: Stenograph, desk: Path):
    ran = await anywhere("agents", "test", str(desk))

    assert ran.code == 0
    assert ran.out.split()[:5] == ["ok", "desk", "look-up", "15", "events"]
    assert ran.err == "1 case: 1 ok\n"


async def test_a_difference_is_shown_and_update_takes_it_as_meant(anywhere: Stenograph, desk: Path):
    change(desk / "prompts" / "user-message.md", "{{USER_MESSAGE}}", "They ask: {{USER_MESSAGE}}")

    differs = await anywhere("agents", "test", str(desk))
    written = await anywhere("agents", "test", str(desk), "--update")
    passes = await anywhere("agents", "test", str(desk))

    assert (differs.code, written.code, passes.code) == (1, 0, 0)
    assert differs.err == "1 case: 1 differs\n"
    changed = [line for line in differs.out.splitlines() if line.startswith(("-", "+"))]
    assert changed[:2] == [f"--- {desk}/tests/look-up.log", "+++ this rehearsal"]
    assert '-message.added          turn-1 user "Where is order 1001?" block=0' in changed
    assert '+message.added          turn-1 user "They ask: Where is order 1001?" block=0' in changed


async def test_a_case_without_an_expected_log_is_new(anywhere: Stenograph, desk: Path):
    (desk / "tests" / "look-up.log").unlink()

    ran = await anywhere("agents", "test", str(desk))

    assert ran.code == 1
    assert f"{desk}/tests/look-up.log is not there; --update writes it" in ran.out


async def test_a_case_that_cannot_be_rehearsed_is_told_with_its_line_and_never_written(
    anywhere: Stenograph, desk: Path
):
    expected = (desk / "tests" / "look-up.log").read_text()
    change(desk / "tests" / "look-up.yaml", "      - text: I cannot find that one.\n", "")

    ran = await anywhere("agents", "test", str(desk), "--update")

    assert ran.code == 2
    assert "tests/look-up.yaml:13:5: error: turns[1].model: the model is asked for answer 2, and here are 1" in ran.out
    assert (desk / "tests" / "look-up.log").read_text() == expected


async def test_an_agent_that_cannot_be_loaded_fails_by_its_own_mistakes(anywhere: Stenograph, desk: Path):
    change(desk / "protocol.yaml", "block: next-message", "block: next-mesage")

    ran = await anywhere("agents", "test", str(desk))

    assert ran.code == 2
    assert "unknown block 'next-mesage'; did you mean 'next-message'?" in ran.out


async def test_names_choose_among_the_cases(anywhere: Stenograph, desk: Path):
    (desk / "tests" / "other.yaml").write_text((desk / "tests" / "look-up.yaml").read_text())

    chosen = await anywhere("agents", "test", str(desk), "look-up")
    unknown = await anywhere("agents", "test", str(desk), "lok-up")
    no_folder = await anywhere("agents", "test", "look-up")

    assert (chosen.code, chosen.err) == (0, "1 case: 1 ok\n")
    assert unknown.code == 2
    assert "no case 'lok-up' in any of these agents; did you mean 'look-up'?" in unknown.err
    assert no_folder.code == 2
    assert "'look-up' is no folder; name the agent's folder first" in no_folder.err


async def test_the_verdicts_are_there_for_programs(anywhere: Stenograph, desk: Path):
    change(desk / "prompts" / "system.md", "questions", "all questions")

    ran = await anywhere("agents", "test", str(desk), "--json")

    assert (ran.code, ran.json["ok"]) == (1, False)
    (case,) = ran.json["cases"]
    assert (case["agent"], case["case"], case["status"], case["events"]) == ("desk", "look-up", "differs", 15)
    assert case["diff"].startswith("---")


async def test_an_agent_without_cases_is_told_how_to_write_one(anywhere: Stenograph, desk: Path):
    (desk / "tests" / "look-up.yaml").unlink()

    ran = await anywhere("agents", "test", str(desk))

    assert (ran.code, ran.err) == (0, "no cases: write one as tests/NAME.yaml\n")


async def test_child_agents_lie_beside_an_agent_or_in_its_tests(anywhere: Stenograph, desk: Path, tmp_path: Path):
    beside, inside = tmp_path / "summer", desk / "tests" / "children" / "summer"
    protocol = (desk / "protocol.yaml").read_text()
    declared = protocol.replace(
        "agent:\n", "workers:\n  summer: {description: Sums up}\n\nagent:\n  workers: [summer]\n"
    )
    (desk / "protocol.yaml").write_text(declared)
    (desk / "tests" / "look-up.yaml").write_text(
        "about: The summary is fetched.\n"
        "turns:\n"
        "  - trigger: user-message\n"
        "    input: {USER_MESSAGE: Sum up}\n"
        "    model: [{calls: [{tool: summer, arguments: {TEXT: abc}}]}, {text: 'So: {{last_result}}'}]\n"
    )
    await anywhere("agents", "new", str(beside), "--worker")

    from_beside = await anywhere("agents", "test", str(desk), "--json")
    inside.parent.mkdir()
    beside.rename(inside)
    from_inside = await anywhere("agents", "test", str(desk), "--json")

    logs = [ran.json["cases"][0]["log"] for ran in (from_beside, from_inside)]
    assert logs[0] == logs[1]
    assert "  turn.finished          child-1 completed output=" in logs[0]
    assert '"So: In short: abc"' in logs[0]


def test_the_cases_of_the_demo_agent_pass():
    found = rehearse_folder(ROOT / "agents" / "support-chat")

    assert [(verdict.case, verdict.status) for verdict in found] == [
        ("cancel", "passed"),
        ("plan", "passed"),
        ("tool-error", "passed"),
    ]
