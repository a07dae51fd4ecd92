"""Settings: everything an operator may turn, from `STENOGRAPH_…` variables. Numbers carry their unit in the name."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from stenograph_services.runtime.errors import InvalidSetting

Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]
KIB, MIB, GIB = 1024, 1024**2, 1024**3


class CompatibleServer(BaseModel, extra="forbid", frozen=True):
    """A server that speaks OpenAI's chat completions. `key_env` names the variable with its key, if it wants one."""

    base_url: str = Field(pattern=r"^https?://[^\s/]+")
    key_env: str | None = Field(None, min_length=1)


class Settings(BaseSettings):
    """One process's settings. Frozen: nothing changes its mind at run time."""

    model_config = SettingsConfigDict(env_prefix="STENOGRAPH_", frozen=True, extra="ignore")

    # ---- where things are
    nats_url: str = "nats://127.0.0.1:4222"
    nats_credentials: Path | None = None
    nats_monitor_url: str | None = None
    require_sync: bool = False
    data_dir: Path = Path(".stenograph")
    database_url: str | None = None
    """SQLAlchemy URL of the session index; SQLite in `data_dir` if not given."""
    tenant: str = "default"

    # ---- the HTTP gateway
    host: str = "127.0.0.1"
    port: int = Field(8420, ge=0, le=65535)
    api_key: str | None = None
    public_url: str | None = None
    sse_heartbeat_seconds: Seconds = 10.0
    body_max_bytes: Bytes = 8 * MIB

    # ---- the log
    shards: int = Field(4, ge=1, le=64)
    """Log streams. The 64 shard tokens are dealt out over them; more streams serve new sessions only."""
    replicas: int = Field(1, ge=1, le=5)
    log_max_bytes: int = Field(-1, ge=-1)
    """Room of each log stream; full means that appends are refused, never that old events go."""

    # ---- leases and work in flight
    ack_wait_seconds: Seconds = 5.0
    max_turns: int = Field(1_000, ge=1)
    """Turns that run at once, over all orchestrators."""
    crash_limit: int = Field(5, ge=1)
    """Deliveries that may end without progress before the turn is given up."""
    sweep_seconds: Seconds = 60.0
    """A session that is runnable and silent for so long is nudged."""

    # ---- limits
    trigger_max_bytes: Bytes = 256 * KIB
    queue_max: int = Field(16, ge=0)
    """Triggers that may wait in one session."""
    trigger_store_max_bytes: Bytes = GIB
    """Room of TRIG; when it is full a trigger is refused with 503, never dropped."""
    inline_max_bytes: Bytes = 256 * KIB
    """A tool result over this goes to BLOB."""
    tool_timeout_seconds: Seconds = 60.0
    """How long a worker may take for a call whose tool does not say."""
    model_timeout_seconds: Seconds = 600.0
    model_attempts: int = Field(3, ge=1)
    child_depth_max: int = Field(8, ge=0)
    """How deep child agents may nest; 0 runs none."""

    # ---- models
    providers: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], CompatibleServer] = {}
    """Servers of the operator's own, by the prefix of their models' names."""
    tenant_keys: Path | None = None
    """A JSON file {tenant: {variable: key}}, mode 600, of the tenants that ask models with keys of their own."""

    # ---- retention
    trigger_max_age_seconds: float = Field(0, ge=0)
    """0: a trigger waits for ever. Anything else drops accepted triggers after that time."""
    answers_max_age_seconds: Seconds = 7 * 86_400
    requests_max_age_seconds: Seconds = 7 * 86_400
    timers_max_age_seconds: float = Field(0, ge=0)
    frames_max_age_seconds: Seconds = 300
    frames_max_bytes: Bytes = 256 * MIB

    # ---- projections
    snapshot_events: int = Field(64, ge=1)
    """A busy session's snapshot is written again after so many events …"""
    snapshot_idle_seconds: Seconds = 1.0
    """… and any session's once it was quiet for this long."""

    log_level: str = "info"
    log_json: bool | None = None
    """JSON lines, or text for people; by default text on a terminal."""

    @field_validator("nats_url")
    @classmethod
    def _names_servers(cls, url: str) -> str:
        """nats-py given no server at all tries for ever without a pause."""
        for one in url.split(","):
            parsed = urlsplit(one.strip())
            if parsed.scheme not in ("nats", "tls", "ws", "wss") or not parsed.hostname:
                raise ValueError("must name servers such as nats://127.0.0.1:4222, separated by commas")
        return url

    def nats_servers(self) -> list[str]:
        """Return the addresses of `nats_url`, which may name several, separated by commas."""
        return [url.strip() for url in self.nats_url.split(",") if url.strip()]

    def index_url(self) -> str:
        """Return the SQLAlchemy URL of the session index."""
        return self.database_url or f"sqlite:///{self.data_dir / 'index.db'}"


def load_settings(**given: object) -> Settings:
    """Return the environment's settings, with `given` over them; raise `InvalidSetting` naming each wrong one."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [f"STENOGRAPH_{str(e['loc'][0]).upper()}: {e['msg']}, got {e['input']!r}" for e in error.errors()]
        raise InvalidSetting("; ".join(wrong)) from error
    except SettingsError as error:  # text that should be JSON; its cause says where it is none
        raise InvalidSetting(f"A STENOGRAPH_ variable has to be JSON: {error}: {error.__cause__}") from error
