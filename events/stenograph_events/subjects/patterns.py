"""The wildcards that streams and consumers are declared with."""

from stenograph_events.subjects.requests import ApiVerb


class Pattern:
    """The wildcards that streams and consumers are declared with."""

    TRIGGERS = "trig.>"
    STARTS = "trig.start.>"
    CONTROLS = "trig.control.>"
    WAKES = "ev.*.*.*.tool-result"
    TOOL_REQUESTS = "ev.*.*.*.tool-request.*"
    TOOL_CLOSED = "ev.*.*.*.tool-closed"
    CLIENT_REQUESTS = "ev.*.*.*.client-request.*"
    CHILD_REQUESTS = "ev.*.*.*.child-request.*"
    CHILD_ENDS = "ev.*.*.*.child-end"
    APPROVALS = "ev.*.*.*.approval"
    REQUEST_COPIES = "tool.req.>"
    REQUEST_COPY_TRANSFORM = "tool.req.{{wildcard(2)}}.{{wildcard(4)}}.{{wildcard(3)}}"
    ANSWERS = "tool.res.>"
    CLAIMS = "tool.claim.>"
    TIMERS_SET = "tim.set.>"
    TIMERS_FIRED = "tim.fire.>"
    FRAMES = "tok.>"
    HINTS = "hint.>"
    BLOBS = "blob.>"
    PARKED = "park.>"
    EVENTS = "ev.>"
    LIVE = "live.>"
    ASKS = "as.>"
    LOG_READS = "log.*.*.*.read"
    LOG_FOLLOWS = "log.*.*.*.follow"
    LOG_KEEPS = "log.*.*.*.keep"

    @staticmethod
    def shard(token: str) -> str:
        return f"ev.{token}.>"

    @staticmethod
    def api(verb: ApiVerb) -> str:
        return f"api.*.{verb}.*" if verb == "tools.register" else f"api.*.{verb}"
