"""An agent's folder is read as it lies there, and nothing outside of it is."""

import os
import shutil
import socket
from pathlib import Path

import msgspec
import pytest
from tests.support.small_agent import BUNDLE

from stenograph_services.protocol import AgentError, read_folder


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


LEAVES = "is a link that leads out of the folder, or is absolute; it is not followed"


@pytest.mark.parametrize("name", ["protocol.yaml", "prompts/system.md", "references/refunds.md"])
@pytest.mark.parametrize("target", ["../secret", "../../secret", "absolute"])
def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path, name: str, target: str):
    (tmp_path / "secret").write_text("secret")
    (tmp_path.parent / "secret").write_text("secret")
    (folder / "references").mkdir()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "secret" if target == "absolute" else "../" * name.count("/") + target)

    assert refusal(folder) == f"{name}: {LEAVES}"


@pytest.mark.parametrize("name", ["prompts", "prompts/inner"])
@pytest.mark.parametrize("target", ["../elsewhere", "../../elsewhere", "inside/../../elsewhere", "absolute"])
def test_a_linked_folder_outside_is_not_followed(folder: Path, tmp_path: Path, name: str, target: str):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.md").write_text("secret")
    (folder / "inside").mkdir()
    if name == "prompts":
        shutil.rmtree(folder / "prompts")
    up = "../" * name.count("/")
    (folder / name).symlink_to(tmp_path / "elsewhere" if target == "absolute" else up + target)

    assert refusal(folder) == f"{name}: {LEAVES}"


def test_a_link_that_leaves_by_way_of_another_link_is_not_followed(folder: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.md").write_text("secret")
    (folder / ".hidden").symlink_to(tmp_path / "elsewhere")
    (folder / "prompts" / "system.md").unlink()
    (folder / "prompts" / "system.md").symlink_to("../.hidden/secret.md")

    assert refusal(folder) == f"prompts/system.md: {LEAVES}"


def test_a_config_map_of_kubernetes_is_read(folder: Path, tmp_path: Path):
    """It mounts a hidden folder, a link `..data` to that, and a link for each file, so that all change at once."""
    mount = tmp_path / "mount"
    shutil.copytree(folder, mount / "..2026_08_20")
    (mount / "..data").symlink_to("..2026_08_20")
    for name in ("protocol.yaml", "settings.json", "prompts"):
        (mount / name).symlink_to(f"..data/{name}")

    assert read_folder(mount) == BUNDLE


def test_a_config_map_that_is_only_the_prompts_is_read(folder: Path):
    (folder / "prompts" / "..2026").mkdir()
    (folder / "prompts" / "..data").symlink_to("..2026")
    for name in BUNDLE.prompts:
        (folder / "prompts" / f"{name}.md").rename(folder / "prompts" / "..2026" / f"{name}.md")
        (folder / "prompts" / f"{name}.md").symlink_to(f"..data/{name}.md")

    assert read_folder(folder) == BUNDLE


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(folder)

    assert read_folder(tmp_path / "link") == BUNDLE


def test_a_link_to_nothing_and_one_to_itself_are_told(folder: Path):
    (folder / "prompts" / "gone.md").symlink_to("nowhere.md")
    (folder / "prompts" / "self.md").symlink_to("self.md")

    assert refusal(folder).splitlines() == [
        "prompts/gone.md: is a link to nothing",
        "prompts/self.md: is a link that leads to itself",
    ]


def test_folders_that_are_linked_into_each_other_do_not_keep_us_for_ever(folder: Path):
    (folder / "prompts" / "again").symlink_to(".")
    (folder / "prompts" / "more").symlink_to("../prompts")

    assert "prompts: holds more than" in refusal(folder)


def test_too_many_files_are_refused(folder: Path):
    for at in range(501):
        (folder / "prompts" / f"p{at}.md").touch()

    assert refusal(folder) == "prompts: holds more than 500 files"


@pytest.mark.parametrize("name", ["prompts", "references"])
def test_a_file_where_a_folder_should_be_is_told(folder: Path, name: str):
    shutil.rmtree(folder / name, ignore_errors=True)
    (folder / name).write_text("x")

    assert refusal(folder) == f"{name}: is not a folder"


def test_references_are_read_and_tests_are_left_alone(folder: Path):
    (folder / "references").mkdir()
    (folder / "references" / "refunds.md").write_text("---\ndescription: x\n---\nText")
    (folder / "tests").mkdir()
    (folder / "tests" / "hello.yaml").write_text("x")
    os.mkfifo(folder / "tests" / "pipe.yaml")

    assert read_folder(folder) == msgspec.structs.replace(
        BUNDLE, references={"refunds": "---\ndescription: x\n---\nText"}
    )


def test_no_descriptor_stays_open(folder: Path):
    (folder / "prompts" / "self.md").symlink_to("self.md")
    before = len(os.listdir("/dev/fd"))

    refusal(folder)

    assert len(os.listdir("/dev/fd")) == before


def test_a_named_pipe_does_not_make_us_wait(folder: Path):
    os.mkfifo(folder / "prompts" / "pipe.md")

    assert refusal(folder) == "prompts/pipe.md: is not a plain file"


def test_what_the_system_does_not_let_us_read_is_told(folder: Path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "prompts" / "socket.md"))

        assert refusal(folder) == "prompts/socket.md: cannot be read: No such device or address"


def test_bytes_that_are_no_text_and_files_that_are_too_long_are_told(folder: Path):
    (folder / "prompts" / "system.md").write_bytes(b"ab\xff")
    (folder / "prompts" / "said.md").write_bytes(b"x" * (1024 * 1024 + 1))

    assert refusal(folder).splitlines() == [
        "prompts/said.md: is longer than 1048576 bytes",
        "prompts/system.md: is not UTF-8 (byte 2)",
    ]
