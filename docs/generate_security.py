"""Write docs/security.md from the doors that the accounts have and the uses that each credential names.

python docs/generate_security.py            write it
python docs/generate_security.py --check    exit 1 if it is out of date, for tests
"""

from collections.abc import Iterable
from pathlib import Path

from pages import keep

from stenograph_services.accounts import walls

PAGE = Path(__file__).parent / "security.md"
TENANT, TOOL, USER = "acme", "get-account", "UB3F…"

HEAD = """\
# Security

<!-- Made by docs/generate_security.py from services/stenograph_services/accounts/walls.py: change that. -->

nats-server in operator mode is the wall. The platform has an account that owns JetStream and every stream; each
tenant has an account of its own, without JetStream, in which nothing exists but what it imports by name. Claims are
signed with Ed25519 keys: the operator's signs accounts, an account's signs its users, and the server checks both by
itself. There are only allow-lists: what no line below names is denied, and the server says so to whoever tried.

    stenograph tenants init                     once: the keys, and what nats-server includes
    stenograph tenants create acme              a tenant, on the running server
    stenograph workers creds acme --tools a,b   a credential for exactly these tools
    stenograph workers revoke acme UB3F9A1C2B   its connections are closed at once

## Keys

| file | holds | who needs it |
| --- | --- | --- |
| `operator.nk` | the key above every wall | `stenograph tenants` and `stenograph workers`; no service |
| `system.nk`, `platform.nk`, `tenants/<tenant>.nk` | keys of accounts | the same commands |
| `system.creds` | a user that tells the server of changed accounts | the same commands |
| `platform.creds` | a user of the platform's account | the services: `STENOGRAPH_NATS_CREDENTIALS` |
| `operator.conf` | public claims | nats-server, beside a resolver of type `full` |

Each file with a secret has mode 600, and is refused with any other. A credential's secret is kept nowhere: it is
printed once.
"""
TAIL = """\
## What a revocation does

The server is handed the tenant's account anew, with the time of the revocation. It closes the connections of that
credential and takes no other from it, also after a restart. Calls that the worker had in hand are given to another
worker if they may run again; otherwise they end at their deadline, as timed out or of unknown outcome. A credential
that expires is cut off at that time.

## What the wall does not hide

Whoever holds a tenant's worker credential can answer any open call of its tools, in all sessions of that tenant.
Whoever holds `platform.creds` can read and write everything: it belongs on the machines of the services alone.
"""


def page() -> str:
    """Return the text of the page."""
    exports = ((f"`{one.subject}`", f"{one.type}, {one.name}") for one in walls.exports())
    imports = ((f"`{one.subject}`", one.type) for one in walls.doors(TENANT, [TOOL]))
    uses = walls.worker_uses(TENANT, [TOOL], walls.inbox_of(USER))
    return "\n".join(
        (
            HEAD,
            "## What the platform exports\n",
            "Each import needs a token of the platform's that names the account and the literal subject.\n",
            _table(("subject", "what"), exports),
            "## What a tenant's account imports\n",
            f"Of tenant `{TENANT}`, whose workers may serve `{TOOL}`; the last two lines are there for each tool.\n",
            _table(("subject", "what"), imports),
            "## What a worker's credential may do\n",
            f"Of tenant `{TENANT}`, for `{TOOL}`; `{USER}` is its public key. The first five are there per tool.\n",
            _table(("subject", "way", "to"), ((f"`{one.subject}`", one.way, one.about) for one in uses)),
            TAIL,
        )
    )


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    raise SystemExit(keep(PAGE, page(), __file__))
