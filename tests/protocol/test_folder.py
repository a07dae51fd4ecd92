"""An agent's folder is read as it lies there, and nothing outside of it is."""

import os
from pathlib import Path

import pytest
from tests.support.small_agent import BUNDLE

from stenograph_services.protocol import AgentError, Bundle, read_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x" / "prompts").mkdir(parents=True)
    (tmp_path / "x" / "settings.json").write_text(BUNDLE.settings)
    (tmp_path / "x" / "protocol.yaml").write_text(BUNDLE.protocol)
    for name, text in BUNDLE.prompts.items():
        (tmp_path / "x" / "prompts" / f"{name}.md").write_text(text)
    return tmp_path / "x"


def refusal(folder: Path) -> str:
    with pytest.raises(AgentError) as caught:
        read_folder(folder)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_folder_is_the_bundle_of_its_files(folder: Path):
    assert read_folder(folder) == BUNDLE


def test_prompts_of_inner_folders_and_scripts_are_named_by_their_paths(folder: Path):
    (folder / "prompts" / "tickets").mkdir()
    (folder / "prompts" / "tickets" / "summary.md").write_text("Sum up.")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "demo.yaml").write_text("turns: []")

    bundle = read_folder(folder)

    assert bundle.prompts["tickets/summary"] == "Sum up."
    assert bundle.scripts == {"demo": "turns: []"}


def test_the_line_ends_of_a_checkout_change_no_version(folder: Path):
    (folder / "protocol.yaml").write_bytes(b"\xef\xbb\xbf" + BUNDLE.protocol.replace("\n", "\r\n").encode())

    assert read_folder(folder).version == BUNDLE.version


def test_hidden_files_and_other_kinds_are_left_alone(folder: Path):
    (folder / "prompts" / ".draft.md").write_text("x")
    (folder / "prompts" / "notes.txt").write_text("x")

    assert read_folder(folder) == BUNDLE


def test_every_missing_file_is_told(folder: Path):
    (folder / "settings.json").unlink()
    (folder / "protocol.yaml").unlink()

    assert refusal(folder) == "protocol.yaml: there is no such file\nsettings.json: there is no such file"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(AgentError, match="there is no such folder"):
        read_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["protocol.yaml", "prompts/system.md"])
def test_a_link_is_not_followed(folder: Path, tmp_path: Path, name: str):
    (tmp_path / "secret").write_text("secret")
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "secret")

    assert refusal(folder) == f"{name}: is a link, which is not followed"


@pytest.mark.parametrize("name", ["prompts", "prompts/inner"])
def test_a_linked_folder_is_not_followed(folder: Path, tmp_path: Path, name: str):
    (tmp_path / "elsewhere").mkdir()
    if name == "prompts":
        for file in (folder / "prompts").iterdir():
            file.unlink()
        (folder / "prompts").rmdir()
    (folder / name).symlink_to(tmp_path / "elsewhere")

    assert refusal(folder).startswith(f"{name}: is a link")


def test_a_named_pipe_does_not_make_us_wait(folder: Path):
    os.mkfifo(folder / "prompts" / "pipe.md")

    assert refusal(folder) == "prompts/pipe.md: is not a plain file"


def test_bytes_that_are_no_text_and_files_that_are_too_long_are_told(folder: Path):
    (folder / "prompts" / "system.md").write_bytes(b"ab\xff")
    (folder / "prompts" / "said.md").write_bytes(b"x" * (1024 * 1024 + 1))

    assert refusal(folder).splitlines() == [
        "prompts/said.md: is longer than 1048576 bytes",
        "prompts/system.md: is not UTF-8 (byte 2)",
    ]


def test_a_bundle_that_no_message_can_carry_is_refused():
    with pytest.raises(AgentError, match="one version holds at most 1000000"):
        Bundle("x", "", "", {"a": "x" * 1_000_000}).encode()


def test_the_bytes_of_a_bundle_do_not_depend_on_the_order_of_its_files():
    one, other = Bundle("x", "", "", {"a": "1", "b": "2"}), Bundle("x", "", "", {"b": "2", "a": "1"})

    assert one.encode() == other.encode()
    assert Bundle.decode(one.encode()) == one
