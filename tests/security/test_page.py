"""docs/security.md says what the code says, and what it says is what the server enforces."""

import subprocess
import sys
from pathlib import Path

from stenograph_services.accounts import walls
from stenograph_services.accounts.claims import UserClaims, claimed
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.minting import leaf, worker

ROOT = Path(__file__).parents[2]


def test_the_page_about_security_says_what_the_code_says():
    check = subprocess.run([sys.executable, "docs/generate_security.py", "--check"], cwd=ROOT, capture_output=True)

    assert check.returncode == 0, check.stderr.decode()


def test_a_workers_credential_allows_what_the_page_lists_and_nothing_else():
    minted = worker(new_key("account"), "acme", ["get-account", "send-mail"], "w-1")
    claims = claimed(minted.text.splitlines()[1]).nats
    uses = walls.worker_uses("acme", ["get-account", "send-mail"], walls.inbox_of(minted.user))

    assert isinstance(claims, UserClaims)
    assert claims.pub.allow == [use.subject for use in uses if use.way == "publish"]
    assert claims.sub.allow == [use.subject for use in uses if use.way == "subscribe"]
    assert [one for one in claims.sub.allow if not one.startswith("tool.cancel.acme.")] == [f"_INBOX_{minted.user}.>"]
    assert len(uses) == 8 * 2 + 1


def test_a_leaf_nodes_credential_lets_pass_what_the_page_lists_and_nothing_else():
    minted = leaf(new_key("account"), "acme", ["get-account"], "site")
    claims = claimed(minted.text.splitlines()[1]).nats
    uses = walls.leaf_uses("acme", ["get-account"], walls.inbox_of(minted.user))

    assert isinstance(claims, UserClaims)
    assert claims.pub.allow == [use.subject for use in uses if use.way == "publish"]
    assert claims.sub.allow == ["tool.cancel.acme.get-account", f"_INBOX_{minted.user}.>"]
    assert claims.allowed_connection_types == ["LEAFNODE", "LEAFNODE_WS"]
