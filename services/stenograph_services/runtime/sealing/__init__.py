"""Encryption at rest: a key file for the installation, a key for each tenant, a data key for each session.

key file  ──HKDF──▶  a tenant's key  ──wraps──▶  a session's data key  ──seals──▶  its events, snapshots, results
"""

import nacl.public
import nacl.secret
import nacl.signing  # noqa: F401 - events import these where they need them: no first call of a process waits for that

from stenograph_services.runtime.sealing.master_keys import MasterKeys
from stenograph_services.runtime.sealing.seals import Seals

__all__ = ["MasterKeys", "Seals"]
