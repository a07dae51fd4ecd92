"""Leaf nodes: what a nats-server in a customer's network is configured with, so that its workers need no credential.

leafnodes { remotes: [ { url: "tls://nats.example:7422", credentials: "leaf.creds" } ] }
"""

import json
from typing import NamedTuple

from stenograph_services.accounts.walls import pull_mappings

CREDENTIALS = "leaf.creds"
LISTEN = "127.0.0.1:4222"


class Site(NamedTuple):
    """One leaf node: whose it is, what is served behind it, where it dials and where it listens."""

    tenant: str
    tools: list[str]
    user: str
    url: str
    listen: str = LISTEN
    ca: str | None = None


def configuration(site: Site) -> str:
    """Return the file that `nats-server -c` reads there. It holds no secret."""
    trust = f", tls: {{ ca_file: {_quoted(site.ca)} }}" if site.ca else ""
    renamed = "".join(
        f"  {_quoted(asked)}: {_quoted(passed)}\n" for asked, passed in pull_mappings(site.tenant, site.tools).items()
    )
    return f"""\
# A nats-server in the network of {site.tenant}. It dials {site.url}, and nothing dials in.
#
#   nats-server -c leaf.conf      where {CREDENTIALS} is, too
#
# Workers here connect without a credential. Whoever reaches the address below may serve the tools
# {", ".join(site.tools)}; {CREDENTIALS} says to a worker whose it is and what to believe, and signs its answers:
#
#   stenograph-worker tools.py --nats-url nats://{site.listen} --identity {CREDENTIALS}

server_name: {_quoted(f"{site.tenant}-{site.user[:10]}")}
listen: {_quoted(site.listen)}
leafnodes {{
  remotes: [ {{ url: {_quoted(site.url)}, credentials: {_quoted(CREDENTIALS)}{trust} }} ]
}}

# A leaf node lets nothing pass under $JS.API, so the question for work has another name on its way.
mappings {{
{renamed}}}
"""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
