"""What a screen shows of a call that runs: `export-pages: 3 of 10 pages, 30 %`. Pure."""

from stenograph_events.frames import ToolProgress


def progress_text(frame: ToolProgress) -> str:
    """Return how far a call is, as one line."""
    said = ", ".join(filter(None, (frame.text, _share(frame))))
    return f"{frame.tool}: {said}" if said else frame.tool


def _share(frame: ToolProgress) -> str:
    if frame.done is None:
        return ""
    if not frame.total or not 0 <= frame.done <= frame.total:
        return "" if frame.text else f"{frame.done:,}"
    return f"{frame.done / frame.total:.0%}".replace("%", " %") if frame.text else f"{frame.done:,} of {frame.total:,}"
