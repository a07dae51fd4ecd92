"""What of docs/security.md is about encryption at rest. Every declared stream has its line, or the page is not made."""

from stenograph_events.sealing import READABLE, READABLE_OF
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.streams import log_streams, streams, uploads_stream

SESSION_KEY, ANSWER_KEY, TOOL_KEY = "the session's data key", "the answer key of its call", "the tool's key"

STREAMS = {
    "EV": ("events", f"{SESSION_KEY}; requests to workers also {TOOL_KEY}", "the header, see below"),
    "TRIG": ("triggers and controls", SESSION_KEY, "subjects; expiries and nudges, which are numbers"),
    "TOOLS": ("copies of requests to workers", f"{SESSION_KEY} and {TOOL_KEY}", "the header, and what its queue shows"),
    "RES": ("answers, and claims", f"workers' {ANSWER_KEY}, others' {SESSION_KEY}", "subjects; the worker of a claim"),
    "TIM": ("deadlines", "nothing", "ids of calls and sessions; there is nothing else in it"),
    "TOK": ("frames for screens", "nothing", "it is in memory, and on no disk"),
    "BLOB": ("large results, pieces of snapshots", f"{ANSWER_KEY}, or {SESSION_KEY}", "their sizes, not their hashes"),
    "UPLOADS_<tenant>": ("workers' large results, until recorded", ANSWER_KEY, "whose call's, and their sizes"),
    "PARKED": ("what could not be processed", "as it came", "why, in words without content"),
    "KV_SNAP": ("snapshots", SESSION_KEY, "nothing"),
    "KV_DATAKEYS": ("data keys", "their tenant's key", "which master key that is of"),
    "KV_AGENTS": ("agents", "nothing", "protocols and prompts: they are of no session"),
    "KV_TOOLREG": ("tools", "nothing", "their parameters, and the public keys to seal to"),
    "KV_KEYS": ("API keys, revoked tokens", "hashed", ""),
    "OBJ_FILES": ("files that clients uploaded", f"a key of the upload, made of {SESSION_KEY}", "sessions and sizes"),
}

ABOUT = """\
## Encryption at rest

    stenograph tenants init                                    makes sealing.key among the keys
    STENOGRAPH_SEALING_KEY_FILE=…/sealing.key stenograph run … seals, and does not start without the file
    STENOGRAPH_SEALING=off                                     stores everything as anybody can read it

Whoever gets hold of a disk, a backup or a volume of nats-server reads no conversation. Each session has a data key of
its own, 256 random bits, in the bucket DATAKEYS; it is wrapped by a key of its tenant, and that is derived of the
installation's master key (HKDF-SHA256). Content is sealed with AES-256-GCM. `stenograph dev` seals only with
`STENOGRAPH_SEALING=on`. A session of before goes on sealed from its next event on; one that began sealed stays so, and
an event in clear is then none of its log.

A sealed event is one JSON object still. Its header stays readable, and everything else is in its last field:

    {"type":"message.added","id":"…","n":4,"prev":"…","at":"…","tenant":"acme","session":"…","turn":"…","cause":"…",
     "sealed":"<base64 of 12 bytes of nonce, the ciphertext, 16 bytes of tag>"}

What stands before `sealed` is authenticated with it, byte for byte: a changed header, a ciphertext in another event or
another session, and every changed bit is noticed when it is opened. The hash chain runs over the stored bytes, so that
anybody can check it: `stenograph sessions verify` needs the keys for the rules about what events mean, and none for
those about bytes and order. Clients that the gateway reads to get events opened, each with the SHA-256 of its stored
bytes (`stored_sha256`, over NATS the header `Stenograph-Digest`): that all of them belong together, in this order, they
check themselves; that such a hash is the right one for its event is the gateway's word.
"""

REQUESTS = """\
A request to a worker is sealed twice: for the log, and in the field `box` to the key of its tool, so that its workers
read it in their queue and nobody else. The key is made of the key of the tenant's account; its private half is in the
worker's credentials file, in a block that other NATS clients pass over, its public half comes with the registration. A
worker without it is not registered where requests are sealed. The box is the public key of the process that sealed it
(32 bytes), a nonce (24) and NaCl's box (X25519, XSalsa20-Poly1305) of:

    SHA-256 of the request's bytes before `,"box"` (32) · the answer key (32) · the other members, without braces

With the answer key, which is of one attempt of one call, the worker seals what it answers (`boxed ` and NaCl's
SecretBox) and what it uploads. It is made of the session's data key: who deletes that deletes the answers as well.
"""

FILES = """\
A file that a client uploads belongs to a session, and is sealed with a key made of the session's data key and of the
upload: piece by piece, 512 KiB each, the number of the piece authenticated with it, so that a part is read without the
rest, and no piece passes for another. What the object store knows of a sealed file are the size and the digest of its
sealed bytes; its own size, digest and media type stand sealed beside them, with its name and the number of its pieces.
Its filename is in its link and in the message that it came with, and nowhere else. A file of before its session was
sealed is read as it lies, until it goes with its age (`STENOGRAPH_FILES_MAX_AGE_SECONDS`).
"""

LOSS = """\
**Without the keys** nothing is lost: services wait, and say `session.sealed` and which key they lack; a client reads
503 `SEALED`. With the key back they go on where they stood. **A deleted data key** takes its session with it, wherever
copies of its log lie, but not out of an older copy of DATAKEYS. A service may keep a key in memory for a minute.
**Keep a copy of sealing.key where no server is**: whoever loses it loses every sealed session.

**Changing the master key**: `stenograph sealing add` writes a second one into the file; once all services have started
with it, `stenograph sealing rewrap` wraps every data key by it, and the first one opens nothing any more.

What this does not hide: who talked when and how much, which tools were asked for, sizes; anything from whoever holds
`sealing.key`, or the memory of a service; and what an application says over NATS without credentials and without keys,
which is stored as it came. The index in SQL holds no text of a sealed session, so it has no title, and searching by
text does not find it. Ids of events and calls are derived of one another, and tell nothing.
"""


def sealing() -> str:
    """Return the part of the page; raise `ValueError` if a stream has no line in it."""
    settings = Settings()
    declared = {"EV" if one.name in log_streams(settings) else one.name for one in streams(settings)}
    declared.add(uploads_stream(settings, "TENANT").name.replace("TENANT", "<tenant>"))
    if declared != set(STREAMS):
        raise ValueError(f"docs/sealing_parts.py and the streams differ in {sorted(declared ^ set(STREAMS))}")
    lines = [f"| {name} | {' | '.join(about)} |" for name, about in STREAMS.items()]
    table = ["| stream | holds | sealed with | readable |", "| --- | --- | --- | --- |", *lines]
    more = ", ".join(f"`{field}`" for fields in READABLE_OF.values() for field in fields)
    header = ", ".join(f"`{field}`" for field in READABLE)
    fields = f"Readable of every event: {header}; of a `tool.requested` also {more}.\n"
    return "\n".join((ABOUT, "\n".join(table) + "\n", fields, REQUESTS, FILES, LOSS))
