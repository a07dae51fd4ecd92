"""Every kill point, and the scenes that pass it; and what a seed makes of them: one plan for each trial.

    worker/claim/sent                      the worker dies
    nats-server@worker/claim/sent          the nats-server dies, while the worker stands there
    nats-server/at-random                  the nats-server dies at some moment of the turn

`test_trials.py` holds the table to the code: whatever a trial passes that is not here fails it.
"""

import random
from typing import NamedTuple, get_args

from tests.faults.trials.places import Role
from tests.faults.trials.scenes import Scene

from stenograph_events.values import Retry

ANY: tuple[Scene, ...] = ("quick", "short", "slow")
RETRIES: tuple[Retry, ...] = ("safe", "never")
SENDING, DOING, TELLING, TAKING = ("before", "sent", "after"), ("before", "after"), ("before", "after"), ("",)
AT_RANDOM = "nats-server/at-random"

Phases = tuple[str, ...]


class Point(NamedTuple):
    """Where somebody dies: what the launcher calls it, whose process passes it, in which scenes and with which tools.

    A turn passes it up to `passes` times. `at_birth`: it is passed when a process starts, not in a turn.
    """

    name: str
    role: Role
    place: str
    scenes: tuple[Scene, ...] = ANY
    retries: tuple[Retry, ...] = RETRIES
    passes: int = 1
    at_birth: bool = False
    server: bool = False


class Plan(NamedTuple):
    """One trial, as its seed says."""

    seed: int
    point: Point
    scene: Scene
    retry: Retry
    passes: int
    delay_seconds: float


def _points() -> list[Point]:
    worker, gateway, orchestrator = get_args(Role)[:3]
    never: tuple[Retry, ...] = ("never",)
    safe: tuple[Retry, ...] = ("safe",)
    own = [
        *_at(worker, "taken", TAKING),
        *_at(worker, "claim", SENDING, retries=never),
        *_at(worker, "effect", DOING),
        *_at(worker, "answer", SENDING),
        *_at(worker, "ack/request", TELLING),
        *_at(worker, "heartbeat", TELLING, ("slow",)),
        *_at(worker, "register", DOING, at_birth=True),
        *_at(gateway, "taken/tool-gateway-requests", TAKING),
        *_at(gateway, "taken/tool-gateway-answers", TAKING),
        *_at(gateway, "taken/tool-gateway-timers", TAKING, ("late", "unheard")),
        *_at(gateway, "taken/tool-gateway-closed", TAKING, ("cancelled",)),
        *_at(gateway, "taken/tool-gateway-approvals", TAKING, ("approved",)),
        *_at(gateway, "append/tool.succeeded", SENDING),
        *_at(gateway, "append/tool.timed_out", SENDING, ("late", "unheard"), safe),
        *_at(gateway, "append/tool.outcome_unknown", SENDING, ("late",), never),
        *_at(gateway, "append/tool.answer_rejected", SENDING, ("late",)),
        *_at(gateway, "close-claim", SENDING, ("late", "cancelled", "unheard"), never),
        *_at(gateway, "set-timer", SENDING, ("slow", "approved")),
        *_at(gateway, "look-at-queue", DOING, ("slow", "late")),
        *_at(gateway, "note-answered", DOING),
        *_at(gateway, "ack/tool-gateway-requests", TELLING),
        *_at(gateway, "ack/tool-gateway-answers", TELLING),
        *_at(gateway, "ack/tool-gateway-timers", TELLING, ("late", "unheard")),
        *_at(gateway, "ack/tool-gateway-closed", TELLING, ("cancelled",)),
        *_at(gateway, "ack/tool-gateway-approvals", TELLING, ("approved",)),
        *_at(gateway, "register", DOING, at_birth=True),
        *_at(orchestrator, "taken/orchestrator-start", TAKING),
        *_at(orchestrator, "taken/orchestrator-wake", TAKING),
        *_at(orchestrator, "taken/orchestrator-control", TAKING, ("cancelled", "approved")),
        *_at(orchestrator, "append/turn.started", SENDING),
        *_at(orchestrator, "append/message.added", SENDING, passes=3),
        *_at(orchestrator, "append/tool.requested", SENDING),
        *_at(orchestrator, "append/turn.cancel_requested", SENDING, ("cancelled",)),
        *_at(orchestrator, "append/tool.cancelled", SENDING, ("cancelled",)),
        *_at(orchestrator, "append/approval.requested", SENDING, ("approved",)),
        *_at(orchestrator, "append/approval.granted", SENDING, ("approved",)),
        *_at(orchestrator, "append/turn.finished", SENDING),
        *_at(orchestrator, "ask", DOING, passes=2),
        *_at(orchestrator, "frame", TELLING, passes=2),
        *_at(orchestrator, "hint", TELLING, ("cancelled",)),
        *_at(orchestrator, "ack/orchestrator-start", TELLING),
        *_at(orchestrator, "ack/orchestrator-wake", TELLING),
        *_at(orchestrator, "ack/orchestrator-control", TELLING, ("cancelled", "approved")),
    ]
    sent = {one.place.removesuffix("/sent") for one in own if one.place.endswith("/sent")}
    servers = [
        one._replace(name=f"nats-server@{one.name}", server=True)
        for one in own
        if one.place.removesuffix("/sent").removesuffix("/after") in sent
    ]
    return [*own, *servers, Point(AT_RANDOM, orchestrator, "", server=True)]


def _at(
    role: Role,
    place: str,
    phases: Phases,
    scenes: tuple[Scene, ...] = ANY,
    retries: tuple[Retry, ...] = RETRIES,
    *,
    passes: int = 1,
    at_birth: bool = False,
) -> list[Point]:
    names = [f"{role}/{place}/{phase}".rstrip("/") for phase in phases]
    return [Point(name, role, name, scenes, retries, passes, at_birth) for name in names]


POINTS: dict[str, Point] = {point.name: point for point in _points()}


def plans(count: int, seed: int, only: str = "") -> list[Plan]:
    """Return `count` trials from `seed`: each point as often as any other, the points in random order."""
    chosen = [point for point in POINTS.values() if only in point.name]
    drawn = random.Random(seed)
    order: list[Point] = []
    while len(order) < count:
        order += drawn.sample(chosen, len(chosen))
    return [plan(seed * 1_000_000 + i, point) for i, point in enumerate(order[:count])]


def plan(seed: int, point: Point) -> Plan:
    """Return the trial of `point` that `seed` says."""
    drawn = random.Random(seed)
    scene, retry = drawn.choice(point.scenes), drawn.choice(point.retries)
    return Plan(seed, point, scene, retry, drawn.randint(1, point.passes), drawn.uniform(0, 0.08))
