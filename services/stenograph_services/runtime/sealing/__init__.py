"""Encryption at rest: a key file for the installation, a key for each tenant, a data key for each session.

key file  ──HKDF──▶  a tenant's key  ──wraps──▶  a session's data key  ──seals──▶  its events, snapshots, results
"""

from stenograph_services.runtime.sealing.master_keys import MasterKeys
from stenograph_services.runtime.sealing.seals import Seals

__all__ = ["MasterKeys", "Seals"]
