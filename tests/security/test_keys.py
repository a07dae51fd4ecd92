"""Where keys may lie, and who needs one: the commands of an operator, and no service."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from tests.security.walls import Wall
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_services.accounts import changes
from stenograph_services.accounts.errors import AccountsError, UnsafeKeys
from stenograph_services.accounts.folder import KeyFolder
from stenograph_services.accounts.private import read_private
from stenograph_services.runtime.errors import InvalidSetting
from stenograph_services.runtime.private_files import private_text

SOMEBODY = 12_345


async def test_services_start_with_the_platforms_credential_and_no_key(
    wall: Wall, processes: Processes, tmp_path: Path
):
    keys, away = wall.folder.directory, wall.folder.directory.with_name("away")
    credentials, ready = tmp_path / "platform.creds", tmp_path / "ready"
    shutil.copy(wall.folder.platform_credentials, credentials)
    env = {
        "STENOGRAPH_NATS_URL": wall.server.url,
        "STENOGRAPH_NATS_CREDENTIALS": str(credentials),
        "STENOGRAPH_DATA_DIR": str(tmp_path / "data"),
        "STENOGRAPH_PORT": "0",
        "STENOGRAPH_SEALING": "off",
        "STENOGRAPH_KEYS_DIR": str(keys),
    }

    keys.rename(away)
    try:
        run = ("-m", "stenograph_services.cli", "run", "all", "--ready-file", str(ready))
        service = processes.start("all", *run, env=env)
        await until(ready.exists, 40, what="all services take work")
        started = service.output().count("service.started")
        code = service.stop()
    finally:
        away.rename(keys)

    assert (started, code) == (4, 0)


async def test_the_keys_of_the_operator_may_come_from_the_environment_alone(
    wall: Wall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(wall.folder.directory, tmp_path / "keys")
    folder = KeyFolder(tmp_path / "keys")
    for name in ("operator", "system", "platform"):
        file = folder.directory / f"{name}.nk"
        monkeypatch.setenv(f"STENOGRAPH_{name.upper()}_KEY", file.read_text())
        file.unlink()

    await changes.create(folder, wall.server.url, "remote")
    minted = await changes.worker_credentials(folder, wall.server.url, "remote", ["a"], "", None)
    monkeypatch.delenv("STENOGRAPH_OPERATOR_KEY")

    assert minted.user.startswith("U")
    assert not folder.exists
    with pytest.raises(AccountsError, match="there are no keys in"):
        await changes.create(folder, wall.server.url, "remote")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody else")
@pytest.mark.parametrize(
    ("mode", "taken"), [(0o400, True), (0o440, True), (0o640, True), (0o444, False), (0o660, False)]
)
def test_a_mounted_secret_may_be_read_by_its_group_and_nobody_else(tmp_path: Path, mode: int, taken: bool):
    file = tmp_path / "operator.nk"
    file.write_text("SOAA")
    file.chmod(mode)
    os.chown(file, SOMEBODY, os.getegid())

    if taken:
        assert (read_private(file), private_text(file, "STENOGRAPH_X")) == ("SOAA", "SOAA")
        return
    with pytest.raises(UnsafeKeys, match="defaultMode: 0440"):
        read_private(file)
    with pytest.raises(InvalidSetting, match=r"STENOGRAPH_X: .*defaultMode: 0440"):
        private_text(file, "STENOGRAPH_X")


def test_a_key_of_our_own_is_for_its_owner_alone(tmp_path: Path):
    file = tmp_path / "operator.nk"
    file.write_text("SOAA")
    file.chmod(0o640)

    with pytest.raises(UnsafeKeys, match=f"chmod 600 {file}"):
        read_private(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
