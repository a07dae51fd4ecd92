"""When the last wait for a person ends, as the log of a child's session says it."""

from datetime import datetime, timedelta

import pytest

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    START,
    approval_denied,
    approval_granted,
    approval_requested,
    log,
    resolution_requested,
    tool_cancelled,
    tool_requested,
    tool_resolved,
    tool_succeeded,
    tool_timed_out,
)
from stenograph_services.tool_gateway.child_deadlines import last_wait

SOON, LATE = START + timedelta(days=1), START + timedelta(days=7)


def ends(*events: AnyEvent) -> datetime | None:
    return last_wait([event for event, _ in log(*events)])


def test_nobody_is_waited_for_where_nobody_is_asked():
    assert ends(tool_requested("c1"), tool_succeeded("c1")) is None


def test_whoever_has_the_most_time_of_those_that_are_asked_ends_the_wait():
    both: list[AnyEvent] = [approval_requested("c1", deadline_at=LATE), resolution_requested("c2", deadline_at=SOON)]

    assert ends(*both) == LATE
    assert ends(*both, approval_granted("c1", at=START)) == SOON


@pytest.mark.parametrize(
    "said",
    [
        approval_granted("c1", at=SOON),
        approval_denied("c1", at=SOON),
        tool_timed_out("c1", 0, at=SOON),
        tool_cancelled("c1", at=SOON),
        tool_resolved("c1", at=SOON),
    ],
)
def test_a_wait_is_over_when_somebody_spoke_or_nobody_will(said: AnyEvent):
    assert ends(approval_requested("c1", deadline_at=LATE), said, tool_succeeded("c2", at=LATE)) == SOON
