import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from stenograph_services.runtime.errors import InvalidSetting, Unreachable
from stenograph_services.runtime.index import SESSIONS, InvalidCursor, SessionIndex, SessionRow, upsert_statement

AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
POSTGRESQL = os.environ.get("STENOGRAPH_TEST_DATABASE_URL")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "postgresql",
            marks=pytest.mark.skipif(
                not POSTGRESQL, reason="STENOGRAPH_TEST_DATABASE_URL=postgresql://… names no database to fill and empty"
            ),
        ),
    ]
)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionIndex]:
    index = SessionIndex(f"sqlite:///{tmp_path}/new/index.db" if request.param == "sqlite" else str(POSTGRESQL))
    index.clear()
    yield index
    index.clear()
    index.close()


def row(session: str = "00a", events: int = 1, **more: Any) -> SessionRow:
    given: dict[str, Any] = {
        "tenant": "default",
        "agent": "support-chat",
        "agent_version": "v1",
        "status": "idle",
        "turns": 1,
        "sequence": events * 10,
        "created_at": AT,
        "updated_at": AT + timedelta(seconds=events),
    }
    return SessionRow(session=session, events=events, **given | more)


def test_what_goes_in_comes_out(index: SessionIndex):
    full = row(title="O'Hara; 100 % \N{SNOWMAN}", woken_by="e1", outcome="failed", input_tokens=2**62)

    index.upsert([full, row("00b")])

    assert index.get("default", "00a") == full
    assert index.rows([("default", "00b"), ("other", "00b")]) == {("default", "00b"): row("00b")}
    assert index.get("default", "00c") is None


def test_a_row_only_moves_forward(index: SessionIndex):
    index.upsert([row(events=5)])
    index.upsert([row(events=4, title="older")])
    assert index.get("default", "00a") == row(events=5)

    index.upsert([row(events=6, title="newer")])
    assert index.get("default", "00a") == row(events=6, title="newer")


def test_a_break_is_news_at_the_same_event(index: SessionIndex):
    broken = row(events=5, status="broken", problem="the log is broken at event 6")
    index.upsert([row(events=5)])
    index.upsert([broken])
    index.upsert([row(events=5)])

    assert index.get("default", "00a") == broken


def test_a_row_that_cannot_be_stored_keeps_no_other_out(index: SessionIndex):
    impossible = row("00b", input_tokens=2**70)

    assert index.upsert([row("00a"), impossible, row("00c")]) == [impossible]
    assert index.get("default", "00c")


def test_a_list_shows_the_last_touched_first_page_by_page(index: SessionIndex):
    index.upsert([row(f"00{i}", events=1 + i // 2) for i in range(7)])

    pages = []
    cursor = None
    while True:
        page = index.list("default", limit=3, cursor=cursor)
        pages.append([found.session for found in page.rows])
        if (cursor := page.cursor) is None:
            break

    assert pages == [["006", "005", "004"], ["003", "002", "001"], ["000"]]


def test_a_list_is_narrowed_by_tenant_agent_status_and_text(index: SessionIndex):
    rows = [
        row("00a", title="My ORDER is 50% off"),
        row("00b", agent="triage", status="running"),
        row("00c", tenant="b"),
        row("00d", parent="00a"),
    ]
    index.upsert(rows)

    def found(tenant: str = "default", **wanted: Any) -> list[str]:
        return [one.session for one in index.list(tenant, **wanted).rows]

    assert found() == ["00b", "00a"]
    assert found(children=True) == ["00d", "00b", "00a"]
    assert found("b") == ["00c"]
    assert found(agent="triage") == found(status="running") == found(text="00b") == ["00b"]
    assert found(text="order") == found(text="50%") == ["00a"]
    assert found(text="_rder") == found(agent="nobody") == []


@pytest.mark.parametrize("cursor", ["", "x", "12x-00a", "9" * 40 + "-00a"])
def test_a_cursor_that_no_page_had_is_refused(index: SessionIndex, cursor: str):
    with pytest.raises(InvalidCursor, match="is none that a page had"):
        index.list("default", cursor=cursor)


def test_silent_sessions_are_those_that_an_event_woke_long_ago(index: SessionIndex):
    index.upsert(
        [row("00a", 1, woken_by="e"), row("00b", 1), row("00c", 60, woken_by="e"), row("00d", 2, woken_by="e")]
    )

    assert [one.session for one in index.silent(AT + timedelta(seconds=30))] == ["00a", "00d"]


def test_a_cleared_index_is_empty(index: SessionIndex):
    assert index.empty()
    index.upsert([row()])
    assert not index.empty()
    index.clear()
    assert index.empty()


def test_two_processes_share_an_index(index: SessionIndex, tmp_path: Path):
    one, two = (SessionIndex(f"sqlite:///{tmp_path}/shared.db") for _ in range(2))
    one.upsert([row()])

    assert two.get("default", "00a") == row()


def test_postgresql_understands_the_statements():
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

    upsert = str(upsert_statement("postgresql").compile(dialect=dialect))  # type: ignore[attr-defined]
    table = str(CreateTable(SESSIONS, if_not_exists=True).compile(dialect=dialect))

    assert "ON CONFLICT (tenant, session) DO UPDATE SET agent = excluded.agent" in upsert
    assert "WHERE excluded.events > sessions_2.events OR" in upsert
    assert "updated_at TIMESTAMP WITH TIME ZONE NOT NULL" in table


@pytest.mark.parametrize("url", ["nonsense", "mysql://a/b", "oracle+nothing://a/b"])
def test_a_url_that_is_none_of_the_two_is_an_invalid_setting(url: str):
    with pytest.raises(InvalidSetting, match="STENOGRAPH_DATABASE_URL"):
        SessionIndex(url)


def test_a_database_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(Unreachable, match="STENOGRAPH_DATABASE_URL") as caught:
        SessionIndex("postgresql://somebody:secret@127.0.0.1:1/sessions")

    assert "secret" not in str(caught.value)
