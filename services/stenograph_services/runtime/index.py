"""The index of sessions: one row each in SQL, so that a person can search them. A cache: the projector makes it anew.

    tenant   session   agent         status   turns  events  title                   woken_by  problem
    default  2f0193…   support-chat  waiting  3      41      What plan am I on?      NULL      NULL
    default  07ab31…   support-chat  broken   1      12      Where is my order?      NULL      event 13 …

SQLite by default, PostgreSQL by URL. Every method blocks: call it through `asyncio.to_thread`. The projector writes,
everybody else only reads.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from stenograph_services.runtime.errors import InvalidSetting, Unreachable

SCHEMA = 2
"""Raised when a column changes: the table takes another name, is found empty, and is filled from the log."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

IndexFailed = SQLAlchemyError
"""What each method raises when the database refuses or is gone."""

Status = Literal["idle", "queued", "running", "waiting", "broken", "expired"]


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A session as lists show it, after its event number `events`, which lies at `sequence` in its log stream."""

    tenant: str
    session: str
    agent: str
    agent_version: str
    status: Status
    turns: int
    events: int
    sequence: int
    created_at: datetime
    updated_at: datetime
    title: str | None = None
    """The beginning of the first message that the user sees of his own."""
    input_tokens: int = 0
    output_tokens: int = 0
    woken_by: str | None = None
    """The event whose delivery drives the session now, if one does."""
    outcome: str | None = None
    """How the last finished turn ended."""
    problem: str | None = None
    """Why the session is broken: what is wrong with its log, and at which event."""
    parent: str | None = None
    """The session whose call it answers, if it is a child agent's."""


Rows = list[SessionRow]


class Page(msgspec.Struct, frozen=True):
    """Some rows, and the cursor of the next ones if there are more."""

    rows: Rows
    cursor: str | None = None


class InvalidCursor(ValueError):
    """A cursor that no page had."""


class _Time(sa.TypeDecorator[datetime]):
    """UTC both ways; SQLite forgets the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


_metadata = sa.MetaData()
SESSIONS = sa.Table(
    f"sessions_{SCHEMA}",
    _metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("session", sa.String(64), primary_key=True),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("agent_version", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("turns", sa.Integer, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("created_at", _Time, nullable=False),
    sa.Column("updated_at", _Time, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("woken_by", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("problem", sa.Text),
    sa.Column("parent", sa.Text),
)
_columns = SESSIONS.c
_newest = sa.Index(f"sessions_{SCHEMA}_newest", _columns.tenant, _columns.updated_at, _columns.session)
_woken = sa.Index(
    f"sessions_{SCHEMA}_woken",
    _columns.updated_at,
    sqlite_where=_columns.woken_by.is_not(None),
    postgresql_where=_columns.woken_by.is_not(None),
)
_idle = sa.Index(
    f"sessions_{SCHEMA}_idle",
    _columns.updated_at,
    sqlite_where=_columns.status == "idle",
    postgresql_where=_columns.status == "idle",
)


class SessionIndex:
    """The index behind a SQLAlchemy URL. Making one connects, and makes the table if there is none."""

    def __init__(self, url: str) -> None:
        """Raises `InvalidSetting` for a URL that is none, `Unreachable` when nothing answers there."""
        self._engine = _engine(url)
        self._upsert = upsert_statement(self._engine.dialect.name)
        try:
            self._create()
        except DBAPIError as error:
            shown = self._engine.url.render_as_string(hide_password=True)
            raise Unreachable(
                f"STENOGRAPH_DATABASE_URL: the session index {shown} cannot be used: {error.orig}"
            ) from error

    def close(self) -> None:
        self._engine.dispose()

    # ---- the projector's side

    def upsert(self, rows: Sequence[SessionRow]) -> Rows:
        """Bring `rows` in, in one transaction. A row that stands further already stays as it is.

        Returns the rows that the database will never take (a date before year 1): they must not keep the others out.
        """
        if not rows:
            return []
        try:
            with self._engine.begin() as connection:
                connection.execute(self._upsert, [msgspec.structs.asdict(row) for row in rows])
        except (OperationalError, InterfaceError, InternalError):
            raise
        except (StatementError, ArithmeticError, ValueError):
            return [*rows] if len(rows) == 1 else [refused for row in rows for refused in self.upsert([row])]
        return []

    def rows(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], SessionRow]:
        """Return the rows of those of `keys` (tenant, session) that have one."""
        which = sa.tuple_(_columns.tenant, _columns.session).in_(list(keys))
        return {(row.tenant, row.session): row for row in self._select(sa.select(SESSIONS).where(which))}

    def silent(self, before: datetime, limit: int = 1_000) -> Rows:
        """Return the sessions that somebody should be driving and whose last event is older than `before`."""
        wanted = sa.select(SESSIONS).where(_columns.woken_by.is_not(None), _columns.updated_at < before)
        return self._select(wanted.order_by(_columns.updated_at).limit(limit))

    def idle(self, before: datetime, limit: int = 1_000) -> Rows:
        """Return the sessions that have had nothing to do since `before`; child agents' are over and not among them."""
        quiet = (_columns.status == "idle") & (_columns.updated_at < before) & _columns.parent.is_(None)
        return self._select(sa.select(SESSIONS).where(quiet).order_by(_columns.updated_at).limit(limit))

    def empty(self) -> bool:
        """Return whether no session is in it: it is new, or somebody deleted it."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(_columns.session).limit(1)).first() is None

    def clear(self) -> None:
        """Delete every row."""
        with self._engine.begin() as connection:
            connection.execute(SESSIONS.delete())

    # ---- everybody's side

    def list(
        self,
        tenant: str,
        *,
        agent: str | None = None,
        status: Status | None = None,
        text: str | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        children: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Return the tenant's sessions, the last touched first; those of child agents only with `children`.

        `text` is looked for in titles and in ids. Both times are exclusive.

        Raises `InvalidCursor`.
        """
        wanted = sa.select(SESSIONS).where(_columns.tenant == tenant)
        if not children:
            wanted = wanted.where(_columns.parent.is_(None))
        if agent is not None:
            wanted = wanted.where(_columns.agent == agent)
        if status is not None:
            wanted = wanted.where(_columns.status == status)
        if updated_after is not None:
            wanted = wanted.where(_columns.updated_at > updated_after)
        if updated_before is not None:
            wanted = wanted.where(_columns.updated_at < updated_before)
        if text:
            found = _columns.title.icontains(text, autoescape=True)
            wanted = wanted.where(found | _columns.session.startswith(text, autoescape=True))
        if cursor is not None:
            at, session = _parsed(cursor)
            wanted = wanted.where(
                (_columns.updated_at < at) | ((_columns.updated_at == at) & (_columns.session < session))
            )
        newest = wanted.order_by(_columns.updated_at.desc(), _columns.session.desc())
        rows = self._select(newest.limit(limit + 1))
        more = len(rows) > limit
        rows = rows[:limit]
        return Page(rows, _cursor(rows[-1]) if more and rows else None)

    def get(self, tenant: str, session: str) -> SessionRow | None:
        """Return one session's row."""
        return self.rows([(tenant, session)]).get((tenant, session))

    def _select(self, statement: sa.Select[Any]) -> Rows:
        with self._engine.connect() as connection:
            return [SessionRow(**row) for row in connection.execute(statement).mappings()]

    def _create(self) -> None:
        statements: Sequence[sa.Executable] = [
            CreateTable(SESSIONS, if_not_exists=True),
            CreateIndex(_newest, if_not_exists=True),
            CreateIndex(_woken, if_not_exists=True),
            CreateIndex(_idle, if_not_exists=True),
        ]
        for statement in statements:
            try:
                self._execute(statement)
            except DBAPIError:  # PostgreSQL refuses the slower of two that make the same thing in one moment
                self._execute(statement)

    def _execute(self, statement: sa.Executable) -> None:
        with self._engine.begin() as connection:
            connection.execute(statement)


def upsert_statement(dialect: str) -> sa.Executable:
    """Return the statement that inserts a row or moves it forward, never back; a break is news at any event."""
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(SESSIONS)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=[_columns.tenant, _columns.session],
        set_={column.name: new[column.name] for column in SESSIONS.columns if not column.primary_key},
        where=(new.events > _columns.events) | (new.problem.is_not(None) & _columns.problem.is_(None)),
    )


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.get_backend_name() != "postgresql":
            raise InvalidSetting(
                f"STENOGRAPH_DATABASE_URL: sqlite:///<file> and postgresql://… work, got {parsed.get_backend_name()!r}"
            )
        return sa.create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidSetting(
            f"STENOGRAPH_DATABASE_URL: {error}; give sqlite:///<file> or postgresql://<user>@<host>/<database>"
        ) from error


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": 15})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")  # readers beside one writer
        connection.execute("PRAGMA synchronous=FULL")  # an event is acked after its commit, and never delivered again

    return engine


def _cursor(row: SessionRow) -> str:
    """Such as `1795341600120000-2f0193…`: microseconds, and the session that the page ended with."""
    return f"{(row.updated_at - _EPOCH) // timedelta(microseconds=1)}-{row.session}"


def _parsed(cursor: str) -> tuple[datetime, str]:
    at, _, session = cursor.partition("-")
    try:
        return _EPOCH + timedelta(microseconds=int(at)), session
    except (ValueError, OverflowError) as error:
        raise InvalidCursor(f"the cursor {cursor[:80]!r} is none that a page had") from error
