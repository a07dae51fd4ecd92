"""Write docs/security.md from the doors that the accounts have and the uses that each credential names.

python docs/generate_security.py            write it
python docs/generate_security.py --check    exit 1 if it is out of date, for tests
"""

from collections.abc import Iterable
from pathlib import Path

from pages import keep
from sealing_parts import sealing

from stenograph_services.accounts import walls
from stenograph_services.accounts.records import ClientScope

PAGE = Path(__file__).parent / "security.md"
TENANT, TOOL, USER, AGENT, SESSION = "acme", "get-account", "UB3F…", "help-desk", "2f0193a5c1d07b6c8e2d4f60718293a4b5"
INBOX = walls.inbox_of(USER)
SCOPES = (
    (
        "For all sessions of the tenant, with `--approve` and `--budget`; without them their lines are not there.",
        ClientScope(approve=True, budget=True),
    ),
    (f"With `--agent {AGENT}`.", ClientScope(agent=AGENT)),
    (f"With `--session {SESSION}`.", ClientScope(session=SESSION)),
)

HEAD = """\
# Security

<!-- Made by docs/generate_security.py of accounts/walls.py (services) and docs/sealing_parts.py: change those. -->

nats-server in operator mode is the wall. The platform has an account that owns JetStream and every stream; each
tenant has an account of its own, without JetStream, in which nothing exists but what it imports by name. Claims are
signed with Ed25519 keys: the operator's signs accounts, an account's signs its users, and the server checks both by
itself. There are only allow-lists: what no line below names is denied, and the server says so to whoever tried.

    stenograph tenants init                     once: the keys, and what nats-server includes
    stenograph tenants create acme              a tenant, on the running server
    stenograph workers creds acme --tools a,b   a credential for exactly these tools
    stenograph leaf config acme --tools a,b     the same for a nats-server in the customer's network
    stenograph workers revoke acme UB3F9A1C2B   its connections are closed at once
    stenograph clients creds acme --agent help  a credential for an application, here for one agent's sessions alone
    stenograph audit --follow --json            a line for each denial: who, what, why

How nats-server is configured, and by which ways workers come in, says [deployment-nats.md](deployment-nats.md).

## Keys

| file | holds | who needs it |
| --- | --- | --- |
| `operator.nk` | the key above every wall | `stenograph tenants`, `workers`, `clients`, `leaf`; no service |
| `system.nk`, `platform.nk`, `tenants/<tenant>.nk` | keys of accounts | the same commands |
| `system.creds` | a user that tells the server of changed accounts | the same commands |
| `platform.creds` | a user of the platform's account | the services: `STENOGRAPH_NATS_CREDENTIALS` |
| `signing.nk` | the key that signs requests to workers | orchestrators: `STENOGRAPH_SIGNING_KEY_FILE` |
| `signers.json` | which keys sign and signed, public halves | who checks a log: `stenograph sessions verify --keys` |
| `sealing.key` | the master keys of sealed sessions | the services: `STENOGRAPH_SEALING_KEY_FILE` |
| `operator.conf` | public claims | nats-server, beside a resolver of type `full` |

Each file with a secret has mode 600, and is refused with any other. One that is mounted, owned by somebody else or on a
file system that nobody can write, may be readable for its group as well (in Kubernetes `defaultMode: 0440` and an
`fsGroup`), never for all. The keys of operator, system and platform may come from the environment instead:
`STENOGRAPH_OPERATOR_KEY`, `STENOGRAPH_SYSTEM_KEY`, `STENOGRAPH_PLATFORM_KEY`. A command that changes a tenant or a
credential writes into `tenants/` of the folder (`STENOGRAPH_KEYS_DIR`); all else there may be read-only. A credential's
secret is kept nowhere: it is printed once.

`stenograph dev` makes all this in its data folder, runs nats-server on it, and writes two credentials that are ready to
use: `creds/app.creds` for applications, and `creds/worker.creds`, which serves every tool of the tenant, as tools come
and go while somebody develops. `stenograph dev --insecure` leaves the wall out.
"""
TAIL = """\
## Secrets

An input and a tool's parameter may be declared `secret: true` ([protocol.md](protocol.md#secrets)). Such a value is
sealed before anything that holds it is stored, whether its session is sealed or not, and only the worker that runs the
call reads it.

| where | what stands there |
| --- | --- |
| the application, to the gateway | the value, in the body of a request over HTTP or NATS: let that be TLS |
| events, TRIG, snapshots, state, exports, answers over HTTP and NATS | a token, `stenograph-secret:…`, or `(secret)` |
| frames, questions to models, the index, what services log | nothing |
| TOOLS | a token; and in `secrets` of the request a box to the tool's key |
| the worker | the value, in the arguments of its handler |

A token is base64 of AES-256-GCM (12 bytes of nonce, the ciphertext, 16 of tag) with a key that is made of the session's
data key; the value is padded to a multiple of 64 bytes. Where sessions are not sealed, one with secrets has a data key
for them alone: an entry of DATAKEYS with `"seals":false`. So `STENOGRAPH_SEALING_KEY_FILE` is needed also with
`STENOGRAPH_SEALING=off`; a service without it refuses sessions of agents that declare secrets (503 `NO_KEYS`). Deleting
a data key deletes its secrets.

The box is the public key of the process that made it (32 bytes), a nonce (24) and NaCl's box of the SHA-256 (32) of

    ["tool.secrets/1","acme","charge","2f01…","91d2…","7e1f…","1"]

which are tenant, tool, session, turn, call and attempt, and of `{"apiKey":"…"}`, followed by one byte 0x80 and zeros.
A tool whose workers gave no key gets no secrets, and neither does an application that runs a tool itself: such a call
is refused.

What this does not do: whoever has `sealing.key` and the log, or a worker's credential and its requests, reads them; so
does whoever reads the memory of a service. What a handler answers is what it says: the SDK replaces a secret of six
characters or more that stands in a result or an error as it is, and no encoding or part of it. It never logs arguments.
Whoever publishes into TRIG without the gateway (`stenograph dev --insecure`, the platform's credentials) has written
the value there: the trigger is rejected. What people type into messages is not declared, and stays where it stands.

## Signed requests

An orchestrator that has a signing key signs each request to a worker as it appends it, so that the log and the copy
in the worker's queue hold the signature. Signed is one line of JSON texts:

    ["tool.requested/1","acme","get-account","2f01…","91d2…","7e1f…","1","2026-11-22T10:01:05Z","safe","9b1c2a…"]

What it is, tenant, tool, session, turn (empty if there is none), call, attempt, deadline, retry, the SHA-256 of
the arguments as they stand in the event, which is their canonical form, sorted and without spaces, and, if the event
has them, `max_result_bytes`, and for its `secrets` the word `secrets`, a space and the SHA-256 of the text of their
`box`. The field `signed` holds
the public key and the Ed25519 signature of these bytes, in base64 for URLs.

A worker's credential names the public keys, so that its worker needs no setting, and asks nobody whom to believe. It
runs a request only if one of those keys signed exactly this, if it is for its tenant and tool, and if it came on the
subject of its session. Anything else is set aside with an error in the worker's log: neither run nor answered, so
that a forged request closes no call. A true one whose deadline has passed is not run either; the answer says so.
`Worker(…, verify=False)` runs whatever comes; a worker whose credential names no key does so, too, and both say it
when they start.

A true request that is delivered again runs again only where `retry: safe` allows it: a call of `retry: never` is
claimed first. Requests to a client or a child agent are not signed: they never leave the services but through the
gateway, over a connection that the client has authenticated.

`stenograph sessions verify` checks every signature against the key that it names; with `--signer KEY` or `--keys DIR`
also that the key is the platform's, and that no request lacks one.

**Changing the key** takes three steps, so that no call is refused meanwhile: `stenograph signers add` makes a second
one, which new credentials name beside the first; renew those of the workers; `stenograph signers use` lets it sign,
from the next start of the orchestrators on, and destroys the first. In a folder of before there were signatures,
`signers add` makes the first key.

## Signed answers

A worker signs its answer with the key of its own credential, the one that it connects with. Signed is one line again:

    ["tool.answered/1","acme","get-account","2f01…","7e1f…","1","succeeded","w-1","4be07c…"]

What it is, tenant, tool, session, call, attempt, outcome (`succeeded`, `failed`, `expired`), the worker's name (empty
if it has none), and the SHA-256 of the result as JSON without line breaks, inline or uploaded, or of the text that
says why it failed (its first 4,000 characters), or nothing for `expired`.

The tool gateway checks it before anything else. An answer whose signature is of something else closes no call: it is
parked, and its place, which is write-once, is free again for the worker that has the call. The log keeps key and
signature with `tool.succeeded`, `tool.failed`, `tool.timed_out` and `tool.answer_rejected`; where the event does not
hold what was signed, as with a result that breaks its declared type, it holds its SHA-256.

An answer without a signature is taken only where services connect without credentials, or where
`STENOGRAPH_ACCEPT_UNSIGNED_ANSWERS=true` says so: behind the wall everybody who may answer has a key. Whoever holds a
credential can answer with it, and can sign with a key of their own making; they cannot answer in the name of another
credential, and `stenograph sessions verify --keys` names an answer whose key was never given out for that tool. What
applications answer for client tools, and what child agents do, is not signed.

    stenograph sessions log 2f01 --json > log.jsonl
    stenograph sessions verify --file log.jsonl --keys /etc/stenograph/keys      needs no server

## Progress

What a worker says of a call that runs is neither signed, sealed nor stored. Its credential lets it publish that for its
tools alone, and no frame at all: the tool gateway makes one if, by the log, the call that the subject names is open, in
that session, of that tool, in that attempt. So a worker can speak for an open call of its tool that another one has, if
it knows session and call, as it can answer it. It reaches no other session, tool or tenant.

It is content all the same: it passes the memory of nats-server and of the services in clear, as what models say does,
and is kept in TOK, in memory, for minutes, also of a sealed session. A tool says no secrets there.

A frame of a call goes out five times a second at most. Each tool gateway takes 50 messages of a tenant in a tenth of a
second, a bound that nats-server itself keeps, and looks into logs for a tenant 200 times a second at most; one message
over 4 KiB, and the tenant is not heard for 30 s. What is too much is lost: frames of that tenant's own tools.

## What a revocation does

The server is handed the tenant's account anew, with the time of the revocation. It closes the connections of that
credential and takes no other from it, also after a restart. Calls that the worker had in hand are given to another
worker if they may run again; otherwise they end at their deadline, as timed out or of unknown outcome. A credential
that expires is cut off at that time.

A worker of our SDK that is sent away ends with `CredentialRevoked` or `CredentialExpired`, a client's calls raise it.
The worker cancels the handlers that run, and its log names each of their calls.

## New time, and new credentials

    stenograph workers renew acme --file acme.creds     new time for the same user, written into its file
    stenograph workers renew acme UB3F9A1C2B            the same, printed: its owner puts it into the file

Renewing signs the same public key anew: the secret stays where it is, and nobody else has to see it. It names the keys
that sign requests by then. A worker or client of our SDK looks at its file each second; when it says something else,
requests that are open are answered, what is on its way is taken, and the connection is made anew under the calls that
run. The file may hold a wholly new credential, too. Its log warns when a quarter of the time is left, a week before the
end at the latest, and again each time half of the rest is over. A leaf node reads its file when it connects anew.

To exchange a credential that may be known to others: make a second one, put it into the file or start a worker that has
it, then revoke the first.

## What is denied is told

nats-server writes a line into its log for each permission that somebody violates. `stenograph audit` reads them: the
public key of the credential, its tenant, what was tried on which subject, and, where the operator's keys lie, which
credential that is. With `--follow` it also hears of connections that were refused, and what they showed; whether that
was theirs nobody has proved. What clients choose, names and subjects, the server quotes, so that none of them can write
a line of its own into the log. The log's times have to be UTC (`logtime_utc: true`).

Of leaf nodes nats-server tells less. One that publishes what may not pass is cut off, with a line that names its
address and no credential; subscriptions that may not pass are left out without a word. And it writes the name of a leaf
node into its log as it is (2.15.1): whoever holds that credential can write lines that accuse others, and hide none.

What the gateway denies a client, the sessions that a credential is not for, it logs as `access.denied`, with the same
keys. The client itself reads that there is no such session, as of one that never was.

The tests try more than 500 subjects with each kind of credential, and look for a line of each denial. Whoever holds the
key of a tenant's whole account is denied nothing there: outside of what it imports there is nobody who hears it.

## What a tenant may use up

A worker uploads a large result into a stream of its tenant's own, `UPLOADS_<tenant>`, which nobody reads but the tool
gateway. Its size is the tenant's quota, `STENOGRAPH_UPLOAD_QUOTA_BYTES` (256 MiB) or what `stenograph tenants quota`
says: the server counts, so that whoever uploads without end fills that, and calls of the same tenant whose results are
large fail and say so. No other tenant notices. What a recorded result refers to is copied to BLOB, where it stays with
its session, and gives its room back; what nothing refers to is gone after `STENOGRAPH_UPLOADS_MAX_AGE_SECONDS` (a day).
nats-server sets aside on its disk what each stream may take (`max_file_store`): without room for one more quota the
registration of a tenant's first worker is refused, and says so.

What cannot be processed is parked in a stream of `STENOGRAPH_PARKED_MAX_BYTES` (1 GiB), at most about 1,000 messages of
one tenant and service. Nothing of it goes by itself. Where there is no room, the service's log has a line
`message.unparked`, and the message stays where it came from: an event in the log, an answer in RES for its seven days,
a trigger in TRIG, to come again each minute until a person has made room. Of an answer that is not believed that line
is all that is left.

## What the wall does not hide

Whoever holds a tenant's worker credential can answer any open call of its tools, in all sessions of that tenant; so can
whoever reaches the address where a leaf node of that tenant listens, and holds a key. The log says whose key it was.
Both publish answers into a stream that all tenants share: they learn from the acks how much is written there, and may
ask by a header (`Nats-Expected-Last-Subject-Sequence-Subject`) whether a subject is used, and when it was last. They
read nothing there, and keep nobody from writing.

Whoever holds a client's credential learns the positions of its own events in their stream, and with them how much is
written there in all.

Whoever holds `platform.creds` can read and write everything: it belongs on the machines of the services alone.
"""


def page() -> str:
    """Return the text of the page."""
    exports = ((f"`{one.subject}`", f"{one.type}, {one.name}") for one in walls.exports())
    imports = (
        (f"`{one.subject}`", one.type, f"`{one.local}`" if one.local else "the same")
        for one in walls.doors(TENANT, [TOOL])
    )
    uses = walls.worker_uses(TENANT, [TOOL], INBOX)
    passing = walls.leaf_uses(TENANT, [TOOL], INBOX)
    return "\n".join(
        (
            HEAD,
            "## What the platform exports\n",
            "Each import needs a token of the platform's that names the account and the literal subject.\n",
            _table(("subject", "what"), exports),
            "## What a tenant's account imports\n",
            f"Of tenant `{TENANT}`, whose workers may serve `{TOOL}`; the last three lines are there for each tool.\n",
            _table(("subject", "what", "its name there"), imports),
            "## What a worker's credential may do\n",
            f"Of tenant `{TENANT}`, for `{TOOL}`; `{USER}` is its public key. The first eight are there per tool.\n",
            _uses(uses),
            "## What passes a leaf node\n",
            f"With the credential of a leaf node of `{TENANT}`, for `{TOOL}`; it opens no other kind of connection.\n",
            _uses(passing),
            "## What a client's credential may do\n",
            "A client uses no stream: it asks the gateway, which checks whose session it is, writes, and reads to it.\n"
            "The agent and the session of a subject are those that the credential is limited to; `_` is any.",
            "The session of a child agent is one of that agent: a credential for its parent alone does not reach it.\n",
            *(part for title, scope in SCOPES for part in (title + "\n", _uses(_client_uses(scope)))),
            sealing(),
            TAIL,
        )
    )


def _client_uses(scope: ClientScope) -> list[walls.Use]:
    return walls.client_uses(TENANT, scope, INBOX)


def _uses(uses: Iterable[walls.Use]) -> str:
    return _table(("subject", "way", "to"), ((f"`{one.subject}`", one.way, one.about) for one in uses))


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    raise SystemExit(keep(PAGE, page(), __file__))
