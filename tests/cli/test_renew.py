"""`stenograph workers renew` and `clients renew`: new time for a credential, in its file or printed. Asks no server."""

import stat
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.cli.conftest import Stenograph

from stenograph_services.accounts.claims import Token, UserClaims, claimed
from stenograph_services.accounts.folder import KeyFolder
from stenograph_services.accounts.minting import leaf, now, worker
from stenograph_services.accounts.records import IssuedCredential, TenantRecord

MONTH = 30 * 86_400


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    """Keys, with a tenant whose worker has a credential for a month, ten days old."""
    folder = KeyFolder(tmp_path / "keys")
    folder.make()
    record, issued = folder.add("acme"), now() - 10 * 86_400
    for mint, kind in ((worker, "worker"), (leaf, "leaf")):
        made = mint(folder.tenant_key("acme"), "acme", ["find"], "ci", issued + MONTH)
        one = IssuedCredential(made.user, kind, "ci", ["find"], issued, issued + MONTH)  # type: ignore[arg-type]
        record = TenantRecord("acme", record.account, record.created_at, ["find"], [*record.credentials, one])
        (tmp_path / f"{kind}.creds").write_text(made.text)
    folder.write(record)
    return folder


@pytest.fixture
def place(keys: KeyFolder) -> dict[str, str]:
    return {"STENOGRAPH_KEYS_DIR": str(keys.directory)}


def jwt_of(file: Path) -> Token:
    return claimed(file.read_text().splitlines()[1])


def left_over(directory: Path) -> list[Path]:
    """Return the drafts that lie there."""
    return list(directory.glob(".*"))


@pytest.mark.parametrize("kind", ["worker", "leaf"])
async def test_a_file_gets_new_time_and_keeps_its_secret_its_mode_and_its_links(
    anywhere: Stenograph, place: dict[str, str], tmp_path: Path, kind: str
):
    file, link = tmp_path / f"{kind}.creds", tmp_path / "current.creds"
    file.chmod(0o640)
    link.symlink_to(file)
    before, text = jwt_of(file), file.read_text()

    ran = await anywhere("workers", "renew", "acme", "--file", str(link), **place)
    after = jwt_of(file)

    assert (ran.code, ran.out) == (0, f"{link}\n"), ran.err
    assert "is good until" in ran.err
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert file.read_text().partition("------END NATS USER JWT")[2] == text.partition("------END NATS USER JWT")[2]
    assert (after.sub, after.name) == (before.sub, before.name)
    assert isinstance(after.nats, UserClaims)
    assert isinstance(before.nats, UserClaims)
    assert (after.nats.pub, after.nats.sub) == (before.nats.pub, before.nats.sub)
    assert MONTH - 5 <= after.exp - now() <= MONTH
    assert left_over(tmp_path) == []


async def test_without_its_file_the_token_is_printed_for_its_owner(
    anywhere: Stenograph, place: dict[str, str], keys: KeyFolder, tmp_path: Path
):
    user = keys.tenant("acme").credentials[0].user

    ran = await anywhere("workers", "renew", "acme", user[:10], "--expires", "2h", **place)
    [listed, _] = (await anywhere("workers", "list", "acme", "--json", **place)).json

    said = claimed(ran.out.strip())
    assert said.sub == user
    assert 7190 <= said.exp - now() <= 7200
    assert (listed["expires_at"], listed["renewed_at"] >= said.iat - 1) == (said.exp, True)


async def test_a_file_of_somebody_else_stays_as_it_is(
    anywhere: Stenograph, place: dict[str, str], keys: KeyFolder, tmp_path: Path
):
    user, file = keys.tenant("acme").credentials[0].user, tmp_path / "leaf.creds"
    before, record = file.read_text(), keys.tenant("acme")

    ran = await anywhere("workers", "renew", "acme", user[:10], "--file", str(file), **place)

    assert (ran.code, ran.out) == (2, "")
    assert "holds another credential" in ran.err
    assert (file.read_text(), keys.tenant("acme")) == (before, record)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["workers", "renew", "acme"], 2, "which credential? Give its ID, or its file with --file"),
        (["workers", "renew", "acme", "UB12345678"], 1, "names no worker's credential of acme"),
        (["workers", "renew", "acme", "--file", "{tmp}/keys/operator.conf"], 1, "is not a NATS credentials file"),
        (["clients", "renew", "acme", "--file", "{tmp}/worker.creds"], 1, "names no client's credential of acme"),
        (["workers", "renew", "nobody", "--file", "{tmp}/worker.creds"], 1, "there is no tenant 'nobody'"),
    ],
)
async def test_what_cannot_be_renewed_is_one_sentence(
    anywhere: Stenograph, place: dict[str, str], tmp_path: Path, arguments: list[str], code: int, sentence: str
):
    ran = await anywhere(*(one.format(tmp=tmp_path) for one in arguments), **place)

    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert sentence in ran.err


async def test_a_revoked_credential_gets_no_new_time(anywhere: Stenograph, place: dict[str, str], keys: KeyFolder):
    record = keys.tenant("acme")
    [one, *_] = record.credentials
    keys.write(replace(record, credentials=[replace(one, revoked_at=now())]))

    ran = await anywhere("workers", "renew", "acme", one.user[:10], **place)

    assert (ran.code, ran.out) == (1, "")
    assert "was revoked: `stenograph workers creds acme …` makes another" in ran.err
