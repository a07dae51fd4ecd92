"""The OpenAPI document against a real gateway: whatever is asked, it is answered as documented, and nothing breaks.

2,000 requests, and 20,000 in `make soak`; half of them name real agents and sessions, so that they get past the door.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO
from tests.support.processes import Process, Processes
from tests.support.services import Stage

from stenograph_services.runtime.nats_server import free_ports

KEY = "the-key-of-this-test"
CHECKS = (status_code_conformance, content_type_conformance, response_schema_conformance)
RSS_MAX_BYTES = 32 * 1024 * 1024
WARM = 400
"""Requests after which the gateway has imported, compiled and cached what it needs."""


class Fuzzed:
    """The gateway as it is asked: what was asked, and how it was answered."""

    def __init__(self, url: str, gateway: Process, sessions: Sequence[str]) -> None:
        self.answers: Counter[int] = Counter()
        self.warm_bytes = 0
        self._url = url
        self.log = gateway.output
        self._process = psutil.Process(gateway.pid)
        self._sessions = sessions
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {KEY}"
        self._schema = schemathesis.openapi.from_url(f"{url}/openapi.json")

    @property
    def asked(self) -> int:
        return self.answers.total()

    @property
    def rss_bytes(self) -> int:
        return int(self._process.memory_info().rss)

    def ask(self, count: int) -> None:
        """Ask at least `count` requests, about as many of each route, half of them wrong on purpose."""
        operations = [found.ok() for found in self._schema.get_all_operations() if isinstance(found, Ok)]
        while (left := count - self.asked) > 0:  # a route that takes nothing is soon asked everything
            for operation in operations:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    with contextlib.suppress(Unsatisfiable):  # nothing wrong can be sent to one that takes nothing
                        self._ask_of(operation, mode, left // (2 * len(operations)) + 1)

    def _ask_of(self, operation: Any, mode: GenerationMode, count: int) -> None:
        @hypothesis.settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode), likely=st.booleans())
        def ask(case: Any, likely: bool) -> None:
            self._ask_one(self._real(case) if likely else case)

        ask()

    def _ask_one(self, case: Any) -> None:
        asked = case.as_transport_kwargs(base_url=self._url, headers={"Authorization": f"Bearer {KEY}"})
        endless = case.path.endswith("/events/stream")
        with self._http.request(**asked, timeout=30, stream=endless) as answer:
            self.answers[answer.status_code] += 1
            assert answer.status_code < 500, f"{case.method} {answer.url}: {answer.status_code} {answer.text}"
            if endless and answer.ok:
                assert next(answer.iter_lines()) == b"retry: 1000"
            else:
                case.validate_response(answer, checks=list(CHECKS))
        if self.asked == WARM:
            self.warm_bytes = self.rss_bytes

    def _real(self, case: Any) -> Any:
        """Return `case` with names of what is there, where it names something."""
        session = random.choice(self._sessions)
        for name, value in (("session", session), ("agent", "agent-1")):
            if name in (case.path_parameters or {}) and case.method != "DELETE":
                case.path_parameters[name] = value
        if isinstance(case.body, dict):
            known = {"agentId": "agent-1", "sessionId": session, "triggerName": "user-message"}
            case.body |= {name: value for name, value in known.items() if name in case.body}
            if "triggerName" in case.body:
                case.body["input"] = {"TEXT": "Hello"}
                case.body.pop("executionId", None)
                case.body.pop("toolResults", None)
        return case


@pytest.fixture
async def fuzzed(services: Stage, processes: Processes, tmp_path: Path) -> Fuzzed:
    sessions = [(await services.session(script)).id for script in (SAY_HELLO, SAY_HELLO, CALL_THEN_SAY)]
    port = free_ports(1)[0]
    env = {
        "STENOGRAPH_NATS_URL": services.settings.nats_url,
        "STENOGRAPH_DATA_DIR": str(tmp_path),
        "STENOGRAPH_PORT": str(port),
        "STENOGRAPH_API_KEY": KEY,
        "STENOGRAPH_KEY_REQUESTS_PER_SECOND": "0",
        "STENOGRAPH_TENANT_REQUESTS_PER_SECOND": "0",
    }
    gateway = processes.start("gateway", "-m", "stenograph_services.cli", "run", "gateway", env=env)
    await gateway.line("service.started")
    return Fuzzed(f"http://127.0.0.1:{port}", gateway, sessions)


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(2_000, id="2,000", marks=pytest.mark.timeout(300)),
        pytest.param(20_000, id="20,000", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
async def test_whatever_is_asked_is_answered_as_documented(fuzzed: Fuzzed, count: int):
    await asyncio.to_thread(fuzzed.ask, count)

    assert fuzzed.asked >= count
    assert {200, 201, 400, 404} <= set(fuzzed.answers)
    assert fuzzed.rss_bytes - fuzzed.warm_bytes <= RSS_MAX_BYTES, f"{fuzzed.warm_bytes} B grew to {fuzzed.rss_bytes} B"
    assert "Traceback" not in fuzzed.log()
