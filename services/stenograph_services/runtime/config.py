"""Settings: everything an operator may turn, from `STENOGRAPH_…` variables. Numbers carry their unit in the name."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from stenograph_services.runtime.errors import InvalidSetting

Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]
KIB, MIB, GIB = 1024, 1024**2, 1024**3

_SECRETS = frozenset({"api_key", "token_secret"})
_WEB_ADDRESS = re.compile(r"https?://[^\s?#@/]+(/[^\s?#]*)?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@]+")


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
    nats_ca: Path | None = None
    """Certificates to trust instead of the system's. With them, and with `tls://`, nothing is said in plain text."""
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
    """A key with every scope, beside those that `stenograph keys create` makes."""
    token_secret: str | None = Field(None, min_length=32)
    """What ephemeral tokens are signed with; made once, and kept in the bucket KEYS, if not given."""
    key_requests_per_second: float = Field(300, ge=0)
    """What one API key, or a client's credential, may ask of one gateway process, for ever; 0 is no limit."""
    tenant_requests_per_second: float = Field(1_000, ge=0)
    cors_origins: str = ""
    """Web origins whose pages may ask, separated by commas, or `*`; none by default."""
    public_url: str | None = None
    """Where applications, browsers and providers reach the gateway; by default what a request names as its host."""
    sse_heartbeat_seconds: Seconds = 10.0
    body_max_bytes: Bytes = 8 * MIB

    # ---- the log
    shards: int = Field(4, ge=1, le=64)
    """Log streams. The 64 shard tokens are dealt out over them; more streams serve new sessions only."""
    replicas: int = Field(1, ge=1, le=5)
    log_max_bytes: int = Field(-1, ge=-1)
    """Room of each log stream; full means that appends are refused, never that old events go."""

    # ---- encryption at rest
    sealing: bool | None = None
    """Whether what is stored of sessions is encrypted, each with a key of its own. `stenograph run` does unless this is
    off, and does not start without keys; `stenograph dev` does only if this is on."""
    sealing_key_file: Path | None = None
    """The file of mode 600 with the keys that open all others; `stenograph tenants init` makes it."""

    # ---- leases and work in flight
    ack_wait_seconds: Seconds = 5.0
    max_turns: int = Field(1_000, ge=1)
    """Turns that run at once, over all orchestrators."""
    crash_limit: int = Field(5, ge=1)
    """Deliveries that may end without progress before the turn is given up."""
    sweep_seconds: Seconds = 60.0
    """A session that is runnable and silent for so long is nudged."""
    session_idle_seconds: float = Field(86_400, ge=0)
    """A session without anything to do for so long expires, until a client restores it; 0: none ever does."""

    # ---- limits
    trigger_max_bytes: Bytes = 256 * KIB
    queue_max: int = Field(16, ge=0)
    """Triggers that may wait in one session."""
    trigger_store_max_bytes: Bytes = GIB
    """Room of TRIG; when it is full a trigger is refused with 503, never dropped."""
    inline_max_bytes: Bytes = 256 * KIB
    """A tool result over this goes to BLOB."""
    result_max_bytes: int = Field(64 * MIB, gt=0, le=64 * MIB)
    """A tool result over this fails its call; a protocol may say less for a tool."""
    upload_quota_bytes: Bytes = 256 * MIB
    """Room for the large results of one tenant's workers, from when they are uploaded until their call is recorded."""
    tool_timeout_seconds: Seconds = 60.0
    """How long a worker may take for a call whose tool does not say."""
    breaker_failures: int = Field(5, ge=0)
    """After so many failures in a row a tool is not asked any more for a while; 0: every tool always is."""
    breaker_pause_seconds: Seconds = 30.0
    """For how long at first; it doubles, up to ten minutes, while the call that then tries it fails, too."""
    file_max_bytes: Bytes = 100 * MIB
    """An uploaded file."""
    upload_max_bytes: Bytes = 200 * MIB
    """All files that one request asks upload URLs for."""
    upload_max_files: int = Field(20, ge=1)
    model_files_max_bytes: Bytes = 20 * MIB
    """Uploaded files that travel inside one question to a model, because its provider cannot fetch them: the newest."""
    model_timeout_seconds: Seconds = 600.0
    model_attempts: int = Field(3, ge=1)
    child_depth_max: int = Field(8, ge=0)
    """How deep child agents may nest; 0 runs none."""

    # ---- models
    providers: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], CompatibleServer] = {}
    """Servers of the operator's own, by the prefix of their models' names."""
    tenant_keys: Path | None = None
    """A JSON file {tenant: {variable: key}}, mode 600, of the tenants that ask models with keys of their own."""

    # ---- signatures
    signing_key_file: Path | None = None
    """The seed, mode 600, that an orchestrator signs tool requests with: `signing.nk` in the folder of keys."""
    accept_unsigned_answers: bool | None = None
    """Whether workers may answer without a signature; by default only where services connect without credentials."""

    # ---- retention
    trigger_max_age_seconds: float = Field(0, ge=0)
    """0: a trigger waits for ever. Anything else drops accepted triggers after that time."""
    answers_max_age_seconds: Seconds = 7 * 86_400
    requests_max_age_seconds: Seconds = 7 * 86_400
    uploads_max_age_seconds: Seconds = 86_400
    """What a worker uploaded, and no recorded result refers to."""
    parked_max_bytes: Bytes = GIB
    """Room for what could not be processed; when it is full nothing more is parked, and nothing that is goes."""
    timers_max_age_seconds: float = Field(0, ge=0)
    files_max_age_seconds: float = Field(30 * 86_400, ge=0)
    """Uploaded files; also the pieces of an upload that broke off with its gateway. 0: for ever."""
    file_store_max_bytes: int = Field(-1, ge=-1)
    """Room for uploaded files; when it is full an upload is refused with 503."""
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

    @field_validator("cors_origins")
    @classmethod
    def _names_origins(cls, origins: str) -> str:
        """An origin has no path: a browser's never equals one with a slash at its end, so nobody would get in."""
        for one in _listed(origins):
            if one != "*" and not _ORIGIN.fullmatch(one):
                raise ValueError("must name origins such as https://app.example, separated by commas")
        return origins

    @field_validator("public_url")
    @classmethod
    def _is_reachable(cls, url: str | None) -> str | None:
        """Links are this with a path after it."""
        if url is not None and not _WEB_ADDRESS.fullmatch(url):
            raise ValueError("must be an address such as https://agents.example, without `?` and `#`")
        return url and url.rstrip("/")

    def takes_unsigned_answers(self) -> bool:
        """Return whether an answer that no worker signed is one: where nobody has a credential, nobody can sign."""
        given = self.accept_unsigned_answers
        return self.nats_credentials is None if given is None else given

    def web_origins(self) -> list[str]:
        """Return the origins of `cors_origins`."""
        return _listed(self.cors_origins)

    def nats_servers(self) -> list[str]:
        """Return the addresses of `nats_url`, which may name several, separated by commas."""
        return _listed(self.nats_url)

    def index_url(self) -> str:
        """Return the SQLAlchemy URL of the session index."""
        return self.database_url or f"sqlite:///{self.data_dir / 'index.db'}"


def _sentence(setting: str, problem: str, given: object) -> str:
    shown = "" if setting in _SECRETS else f", got {given!r}"
    return f"STENOGRAPH_{setting.upper()}: {problem}{shown}"


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def load_settings(**given: object) -> Settings:
    """Return the environment's settings, with `given` over them; raise `InvalidSetting` naming each wrong one."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [_sentence(str(e["loc"][0]), e["msg"], e["input"]) for e in error.errors()]
        raise InvalidSetting("; ".join(wrong)) from None  # pydantic's own error shows secrets, too
    except SettingsError as error:  # text that should be JSON; its cause says where it is none
        raise InvalidSetting(f"A STENOGRAPH_ variable has to be JSON: {error}: {error.__cause__}") from error
