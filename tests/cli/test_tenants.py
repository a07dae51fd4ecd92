"""`stenograph tenants …` and `workers …`: accounts and credentials, made and ended on a server that runs."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.errors import Error as NatsError
from tests.cli.conftest import Stenograph
from tests.security.walls import Guest

from stenograph_events.signatures import Signer
from stenograph_services.accounts.folder import KeyFolder
from stenograph_services.runtime.nats_server import NatsServer


@pytest.fixture(scope="module")
async def walled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    """A server whose operator made the keys under `keys` beside it."""
    directory = tmp_path_factory.mktemp("walled")
    folder = KeyFolder(directory / "keys")
    folder.make()
    async with NatsServer(directory / "nats", operator=folder.server_config.read_text()) as server:
        yield server


@pytest.fixture
def place(walled: NatsServer) -> dict[str, str]:
    return {"STENOGRAPH_NATS_URL": walled.url, "STENOGRAPH_KEYS_DIR": str(walled.directory.parent / "keys")}


async def test_keys_are_made_once_and_only_their_owner_can_read_them(stenograph: Stenograph, tmp_path: Path):
    keys = tmp_path / "keys"

    made = await stenograph("tenants", "init", "--keys", str(keys))
    again = await stenograph("tenants", "init", "--keys", str(keys))

    assert (made.code, made.out) == (0, f"{keys / 'operator.conf'}\n")
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "holds keys already" in again.err
    secret = [path for path in keys.rglob("*") if path.suffix in (".nk", ".creds")]
    assert len(secret) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


async def test_a_key_that_others_can_read_is_refused(stenograph: Stenograph, tmp_path: Path):
    keys = tmp_path / "keys"
    await stenograph("tenants", "init", "--keys", str(keys))
    (keys / "system.creds").chmod(0o644)

    refused = await stenograph("tenants", "create", "acme", "--keys", str(keys))

    assert refused.code == 1
    assert f"{keys / 'system.creds'} has mode 644, so others can read it: `chmod 600" in refused.err


async def test_a_credential_works_until_it_is_revoked_and_stays_on_the_list(
    stenograph: Stenograph, walled: NatsServer, place: dict[str, str], tmp_path: Path
):
    created = await stenograph("tenants", "create", "acme", **place)
    made = await stenograph("workers", "creds", "acme", "--tools", "a,b", "--expires", "30d", "--name", "ci", **place)
    file = tmp_path / "acme.creds"
    file.write_text(made.out)
    guest = await Guest.connect(walled.url, file)
    [listed] = (await stenograph("workers", "list", "acme", "--json", **place)).json

    revoked = await stenograph("workers", "revoke", "acme", listed["credential"][:10], **place)
    await asyncio.wait_for(guest.closed.wait(), 1.0)
    table = await stenograph("workers", "list", "acme", **place)

    assert (created.code, created.out) == (0, "active acme\n")
    assert (listed["tools"], listed["name"]) == (["a", "b"], "ci")
    assert listed["expires_at"] - listed["issued_at"] == 30 * 86_400
    assert revoked.out == f"revoked {listed['credential'][:10]}\n"
    seed = made.out.partition("BEGIN USER NKEY SEED-----\n")[2].split()[0]
    assert seed.startswith("SU")
    assert seed not in made.err
    assert "revoked (UTC)" in table.out
    with pytest.raises(NatsError):
        await Guest.connect(walled.url, file)


async def test_a_clients_credential_is_listed_with_what_it_is_for_and_revoked(
    stenograph: Stenograph, walled: NatsServer, place: dict[str, str], tmp_path: Path
):
    await stenograph("tenants", "create", "apps", **place)
    made = await stenograph("clients", "creds", "apps", "--agent", "help-desk", "--approve", **place)
    file = tmp_path / "app.creds"
    file.write_text(made.out)
    guest = await Guest.connect(walled.url, file)
    [listed] = (await stenograph("clients", "list", "apps", "--json", **place)).json
    table = await stenograph("clients", "list", "apps", **place)
    workers = await stenograph("workers", "list", "apps", "--json", **place)

    revoked = await stenograph("clients", "revoke", "apps", listed["credential"][:10], **place)
    await asyncio.wait_for(guest.closed.wait(), 1.0)

    assert (listed["kind"], listed["agent"], listed["approve"]) == ("client", "help-desk", True)
    assert ("agent help-desk" in table.out, "approve" in table.out) == (True, True)
    assert workers.json == []
    assert "for agent help-desk: keep it to its owner" in made.err
    assert revoked.out == f"revoked {listed['credential'][:10]}\n"


async def test_a_tenant_is_listed_suspended_let_in_and_deleted(stenograph: Stenograph, place: dict[str, str]):
    await stenograph("tenants", "create", "bolt", **place)
    suspended = await stenograph("tenants", "suspend", "bolt", "--json", **place)
    shown = await stenograph("tenants", "list", **place)
    again = await stenograph("tenants", "create", "bolt", **place)
    deleted = await stenograph("tenants", "delete", "bolt", **place)
    left = (await stenograph("tenants", "list", "--json", **place)).json

    assert suspended.json["state"] == "suspended"
    [line] = [line for line in shown.out.splitlines() if line.startswith("bolt")]
    assert line.split()[1] == "suspended"
    assert (again.out, deleted.out) == ("active bolt\n", "deleted bolt\n")
    assert "bolt" not in [one["tenant"] for one in left]


async def test_a_tenant_that_is_deleted_leaves_no_room_set_aside_for_its_uploads(
    stenograph: Stenograph, walled: NatsServer, place: dict[str, str]
):
    platform = walled.directory.parent / "keys" / "platform.creds"
    await stenograph("tenants", "create", "gone", **place)
    await stenograph(
        "tenants", "quota", "gone", "--uploads", "2MiB", STENOGRAPH_NATS_CREDENTIALS=str(platform), **place
    )
    platform_line = await nats.connect(walled.url, user_credentials=str(platform))
    before = await platform_line.jetstream().account_info()

    deleted = await stenograph("tenants", "delete", "gone", **place)
    after = await platform_line.jetstream().account_info()
    await platform_line.close()

    assert (deleted.code, deleted.out, deleted.err) == (0, "deleted gone\n", "")
    assert (before.streams, after.streams) == (1, 0)


async def test_a_signing_key_follows_another_while_credentials_name_both(stenograph: Stenograph, tmp_path: Path):
    env = {"STENOGRAPH_KEYS_DIR": str(tmp_path / "keys")}
    await stenograph("tenants", "init", **env)
    file = tmp_path / "keys" / "signing.nk"
    [first] = (await stenograph("signers", "list", "--json", **env)).json
    early = await stenograph("signers", "use", **env)

    added = (await stenograph("signers", "add", "--json", **env)).json
    again = await stenograph("signers", "add", **env)
    trusted = KeyFolder(tmp_path / "keys").signers.trusted
    signed_by = Signer(file.read_text().strip()).public
    used = (await stenograph("signers", "use", "--json", **env)).json
    table = await stenograph("signers", "list", **env)

    assert (first["key"], first["state"]) == (signed_by, "signs")
    assert (added["state"], trusted) == ("next", [first["key"], added["key"]])
    assert (used["key"], used["state"]) == (added["key"], "signs")
    assert Signer(file.read_text().strip()).public == added["key"]
    assert KeyFolder(tmp_path / "keys").signers.trusted == [added["key"]]
    assert [line.split()[1] for line in table.out.splitlines()[1:]] == ["retired", "signs"]
    assert (early.code, again.code) == (1, 1)
    assert "no key waits: `stenograph signers add` makes one" in early.err
    assert "a key waits already: `stenograph signers use`" in again.err


async def test_a_folder_of_before_there_were_signatures_gets_its_key(stenograph: Stenograph, tmp_path: Path):
    env = {"STENOGRAPH_KEYS_DIR": str(tmp_path / "keys")}
    await stenograph("tenants", "init", **env)
    for name in ("signing.nk", "signers.json"):
        (tmp_path / "keys" / name).unlink()

    none = await stenograph("signers", "list", "--json", **env)
    added = await stenograph("signers", "add", **env)

    assert none.json == []
    assert added.out.startswith("signs: C")
    assert f"set STENOGRAPH_SIGNING_KEY_FILE={tmp_path / 'keys' / 'signing.nk'}" in added.err
    assert stat.S_IMODE((tmp_path / "keys" / "signing.nk").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["tenants", "create", "a.b"], 1, "a.b"),
        (
            ["tenants", "suspend", "nobody"],
            1,
            "no tenant 'nobody': `stenograph tenants create nobody` makes it",
        ),
        (["workers", "creds", "nobody", "--tools", "a"], 1, "there is no tenant 'nobody'"),
        (["workers", "creds", "nobody", "--tools", ","], 1, "needs at least one tool"),
        (["workers", "creds", "nobody", "--tools", "a", "--expires", "soon"], 2, "'soon' is no time such as 30d"),
        (["clients", "creds", "nobody"], 1, "there is no tenant 'nobody'"),
        (["clients", "creds", "nobody", "--agent", "a", "--session", "b"], 1, "choose one of them"),
        (["workers", "list", "nobody", "--keys", "nowhere"], 1, "there are no keys in nowhere"),
        (["tenants", "create", "acme", "--nats-url", "nats://127.0.0.1:1"], 1, "cannot reach the server at"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(
    stenograph: Stenograph, place: dict[str, str], arguments: list[str], code: int, sentence: str
):
    ran = await stenograph(*arguments, **place)

    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert sentence in ran.err
