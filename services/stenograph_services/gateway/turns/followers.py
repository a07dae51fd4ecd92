"""Who still follows a turn that a client of this gateway has left. All gateways are asked before it is cancelled.

    follow.<tenant>.<session>    "91d2…", the turn    →    "", from each gateway that has a client who follows it

For a client whose connection broke may have come back to another gateway, minutes before this one learned that it had
gone. So it is a question, which can be asked at any time, and no announcement, which can come too early. What it
costs to lose the answer is what silence means: the turn is cancelled.
"""

from collections.abc import Callable

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from stenograph_events import TurnId
from stenograph_events.subjects import follow_filter, follow_subject, parse_follow

ANSWER_SECONDS = 0.25  # many round trips; at most this much longer does a model talk to nobody


class Followers:
    """Asks for followers, and answers for those of this gateway. `has`: whether it has one, of a session and a turn."""

    def __init__(self, nc: Client, tenant: str, has: Callable[[str, str], bool]) -> None:
        self._nc = nc
        self._tenant = tenant
        self._has = has

    async def start(self) -> None:
        """Answer from now on, for as long as the connection lives."""
        await self._nc.subscribe(follow_filter(self._tenant), cb=self._answer)

    async def any(self, session: str, turn: TurnId) -> bool:
        """Return whether some gateway, this one or another, has a client that follows `turn`."""
        try:
            await self._nc.request(follow_subject(self._tenant, session), turn.encode(), timeout=ANSWER_SECONDS)
        except (nats.errors.Error, OSError):  # nobody said a word, or the server is not there to carry it
            return False
        return True

    async def _answer(self, message: Msg) -> None:
        if self._has(parse_follow(message.subject), message.data.decode()):
            await message.respond(b"")
