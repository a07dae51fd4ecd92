"""`stenograph sealing`: the key file made, and a key added to it."""

import json
from pathlib import Path

from typer.testing import CliRunner

from stenograph_services.cli.app import main
from stenograph_services.runtime.sealing.master_keys import read_keys


def add(path: Path) -> str:
    done = CliRunner().invoke(main, ["sealing", "add", "--key-file", str(path), "--json"])
    assert done.exit_code == 0, done.output
    return str(json.loads(done.stdout)["key"])


def test_the_file_is_made_for_its_owner_alone_and_the_keys_of_before_stay_in_it(tmp_path: Path):
    path = tmp_path / "sealing.key"

    first = add(path)
    kept = read_keys(path)
    second = add(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert read_keys(path)[:-1] == kept
    assert first != second


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("not a key\n")
    path.chmod(0o600)

    done = CliRunner().invoke(main, ["sealing", "add", "--key-file", str(path)])

    assert done.exit_code != 0
    assert path.read_text() == "not a key\n"
