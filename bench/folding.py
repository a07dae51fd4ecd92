"""The fold in one process: decode, apply, and check the chain, of a session of 10,000 events."""

import gc
import time
from statistics import median

from bench.history import history
from stenograph_events import EMPTY, decode, follow, new_session_id
from stenograph_projections import session as sessions
from stenograph_projections.session import Session

EVENTS = 10_000


def folded_per_second(times: int) -> float:
    """Return how many events one processor folds in a second, the median of `times` folds."""
    log = [data for _, data in history(new_session_id(), "lookup", "v1", EVENTS)]
    _fold(log)
    gc.collect()
    return EVENTS / median(_seconds(log) for _ in range(times))


def _seconds(log: list[bytes]) -> float:
    before = time.process_time()
    _fold(log)
    return time.process_time() - before


def _fold(log: list[bytes]) -> Session | None:
    head, session = EMPTY, None
    for sequence, data in enumerate(log, 1):
        event = decode(data)
        session = sessions.apply(session, event)
        head = follow(head, event, data, sequence)
    return session
