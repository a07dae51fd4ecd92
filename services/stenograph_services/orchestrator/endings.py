"""How a turn ends: one `turn.finished`, which is also the answer to the call of a parent, if there is one."""

from typing import Literal

from msgspec import Raw

from stenograph_events.types import TurnFinished
from stenograph_projections.session import Session
from stenograph_services.orchestrator.decisions import Append, Env, append, common

Outcome = Literal["completed", "failed", "cancelled"]


def finish(
    session: Session,
    env: Env,
    outcome: Outcome,
    *,
    reason: str | None = None,
    detail: str | None = None,
    output: Raw | None = None,
) -> Append:
    """Return the one terminal event of the running turn."""
    turn = session.turn
    assert turn is not None, "only a running turn can finish"
    return append(
        TurnFinished(
            **common(session, env, turn.started, "finished"),
            outcome=outcome,
            reason=reason,
            detail=detail,
            output=output,
            parent=session.parent,
        )
    )


def failed(session: Session, env: Env, reason: str, detail: str | None) -> Append:
    """Return the end of a turn that cannot go on. `reason` is a stable code, `detail` a sentence."""
    return finish(session, env, "failed", reason=reason, detail=detail)
