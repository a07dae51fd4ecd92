"""What lies beside the log: blobs, what is parked, and the keys of buckets."""

import base64
from typing import Literal

from stenograph_events.ids import checked_id


def blob_subject(tenant: str, sha256: str, chunk: int | Literal["*"]) -> str:
    return f"blob.{checked_id(tenant, 'tenant')}.{checked_id(sha256, 'sha256')}.{chunk}"


def parked_subject(tenant: str, service: str) -> str:
    return f"park.{checked_id(tenant, 'tenant')}.{checked_id(service, 'service')}"


def parked_filter(tenant: str) -> str:
    """Return the filter of all that is parked for `tenant`."""
    return f"park.{checked_id(tenant, 'tenant')}.*"


def snapshot_key(tenant: str, session: str) -> str:
    return f"{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}"


def data_key(tenant: str, session: str) -> str:
    return f"{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}"


def agent_key(tenant: str, slug: str, version: str | None = None) -> str:
    """Return the key of an agent's current entry, or of one of its versions."""
    key = f"{checked_id(tenant, 'tenant')}.{checked_id(slug, 'agent')}"
    return f"{key}.{checked_id(version, 'version')}" if version else key


def agents_filter(tenant: str) -> str:
    """Return the filter of the current entries of all agents of `tenant`."""
    return f"{checked_id(tenant, 'tenant')}.*"


def access_key(tenant: str, id: str) -> str:
    """Return the key, in the bucket KEYS, of the API key `id`; `*` as its id is the filter of all of a tenant's."""
    return f"key.{checked_id(tenant, 'tenant')}.{id if id == '*' else checked_id(id, 'key')}"


def revoked_token(tenant: str, jti: str) -> str:
    """Return the key, in the bucket KEYS, that says that the token `jti` is revoked."""
    return f"revoked.{checked_id(tenant, 'tenant')}.{checked_id(jti, 'token')}"


def bucket_subject(bucket: str, key: str) -> str:
    """Return where NATS stores `key`, or a filter of keys, of a key-value bucket."""
    return f"$KV.{bucket}.{key}"


def object_subject(bucket: str, name: str) -> str:
    """Return where NATS stores what it knows of the object `name` of an object store."""
    return f"$O.{bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def object_chunks(bucket: str, nuid: str) -> str:
    """Return where NATS stores the bytes of an object: one subject for all of its chunks."""
    return f"$O.{bucket}.C.{nuid}"


def object_filters(bucket: str) -> list[str]:
    """Return the filters of everything in an object store."""
    return [f"$O.{bucket}.M.>", f"$O.{bucket}.C.>"]
