"""What the demo's last check must not let pass: a log that was changed where the hash chain alone cannot show it."""

import pytest

from stenograph_events import Head
from stenograph_events.chain import digest
from stenograph_events.subjects import event_subject
from stenograph_events.testing import assistant_message, log, session_created, turn_finished, turn_started, user_message
from stenograph_projections.invariants import Stored
from stenograph_services.cli.demo import checks
from stenograph_services.cli.demo.acts import tampered
from stenograph_services.cli.demo.promises import BrokenPromise

STORY = log(session_created(), turn_started(), user_message(), assistant_message(), turn_finished())
STORED = [Stored(event.n, event_subject(event), data) for event, data in STORY]
KNOWN = Head(STORED[-1].sequence, len(STORED), digest(STORED[-1].data))


def test_a_sound_log_is_verified_with_the_number_of_its_cases():
    assert checks.verified(STORED, KNOWN).startswith("5 events, ")


@pytest.mark.parametrize("n", range(1, 6))
def test_one_changed_byte_of_any_event_is_found_also_of_the_last(n: int):
    changed = [*STORED[: n - 1], tampered(STORED[n - 1]), *STORED[n:]]

    with pytest.raises(BrokenPromise, match="breaks the rule"):
        checks.verified(changed, KNOWN)


def test_a_log_whose_end_is_missing_is_found():
    with pytest.raises(BrokenPromise, match="once had 5 events"):
        checks.verified(STORED[:-1], KNOWN)
