"""The sweep: a session that somebody should be driving, and nobody does, is nudged.

    trig.control.<tenant>.<session>.nudge     {"woken_by":"5b3f…","n":12}       Nats-Msg-Id nudge:<session>:12

Such a session has lost its delivery, which only a defect or a person can cause. A model that thinks for minutes looks
the same from the log, so the sweep first asks the server whether the delivery may be alive:

* a start or a control of the session lies in TRIG: it is held, or it will be delivered. No nudge.
* the wake consumer of its log stream has acknowledged everything up to its last event, or holds nothing at all: no
  tool result of this session is held. Nudge.
* otherwise an older delivery, of any session, hides the answer. Nudge after ten times as long a silence: then no model
  is still asked, and of two drivers the fence lets one through.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client

from stenograph_events.subjects import control_subject, trigger_filters
from stenograph_events.wire import Nudge
from stenograph_services.projector.sessions import WORLD
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.index import SessionIndex, SessionRow
from stenograph_services.runtime.jetstream import NOT_FOUND, JetStreamError, api, publish
from stenograph_services.runtime.streams import TRIG, log_stream

log = structlog.get_logger()

CERTAINLY_SILENT = 10  # times `sweep_seconds`; with the default it equals the longest time that a model may take
