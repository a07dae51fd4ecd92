"""What a trigger may bring beside its name and its input: tools known only at run time, and who sends it.

    {"triggerName":"user-message","input":{…},"sender":{"id":"u-7","name":"Ada"},
     "dynamicToolSchemas":[{"name":"files__search","description":"…","inputSchema":{"type":"object",…}}]}

A turn keeps what its trigger brought: a continuation may send the tools once more, or others, and they are not read.
"""

from typing import Any, NamedTuple

import msgspec

from stenograph_events.values import OfferedTool, Sender
from stenograph_services.gateway.http.bodies import SenderBody
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.protocol.offered import InvalidTools, ToolsTooLarge, offered

KEY = "dynamicToolSchemas"


class Brought(NamedTuple):
    """What one trigger brings beside its name and its input."""

    tools: tuple[OfferedTool, ...] = ()
    sender: Sender | None = None

    def check_size(self, input_bytes: int, most: int) -> None:
        """Raise `Refusal` if it takes more than `most` bytes, together with an input of `input_bytes`."""
        size = input_bytes + len(msgspec.json.encode(self))
        if size > most:
            raise Refusal(413, f"input, sender and {KEY} take {size} bytes together; at most {most} are taken")


NOTHING_ELSE = Brought()


def brought(tools: Any, sender: SenderBody | None = None, place: str = KEY) -> Brought:
    """Return what a body brings, whose tools are at `place`; raise `Refusal` with what is wrong with the tools."""
    try:
        checked = offered(tools, place)
    except ToolsTooLarge as error:
        raise Refusal(413, str(error)) from error
    except InvalidTools as error:
        raise Refusal(400, str(error)) from error
    return Brought(checked, Sender(sender.id, sender.name, sender.image) if sender else None)
