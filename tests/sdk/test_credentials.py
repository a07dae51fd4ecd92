"""A credentials file says whose worker it is; one that cannot be read says nothing, and connecting complains of it."""

from pathlib import Path

import pytest

from stenograph_sdk import Worker
from stenograph_sdk.credentials import Said, said_by
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.minting import worker


def test_a_workers_file_says_its_tenant_its_inboxes_and_whose_requests_it_may_run(tmp_path: Path):
    minted = worker(new_key("account"), "Acme_1", ["find"], "w-1", 4_000_000_000, signers=["CB1", "CB2"])
    file = tmp_path / "a.creds"
    file.write_text(minted.text)

    said = said_by(file)
    assert said[:3] == ("Acme_1", f"_INBOX_{minted.user}", ("CB1", "CB2"))
    assert (said.jwt, said.expires_at, said.kind) == (minted.text.splitlines()[1], 4_000_000_000, "worker")
    assert said.expires_at > said.issued_at > 1_700_000_000
    assert Worker("nats://127.0.0.1:1", file, tenant="other")._tenant == "other"


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN NATS USER JWT-----\na.b.c\n", "-----BEGIN NATS USER JWT-----\na.e30.c\n"]
)
def test_a_file_that_is_none_says_nothing(tmp_path: Path, text: str):
    file = tmp_path / "a.creds"
    file.write_text(text)

    assert said_by(file) == said_by(tmp_path / "nowhere") == said_by(None) == Said()
