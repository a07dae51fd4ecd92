"""How often somebody may ask."""

import pytest
from tests.gateway.doors import gateway_with, key_for
from tests.support.services import Stage

from stenograph_services.gateway.http.limits import Limits
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.runtime.config import Settings


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(limits: Limits, key: str, times: int, tenant: str = "default") -> int:
    """Return how many of `times` requests pass."""
    passed = 0
    for _ in range(times):
        try:
            limits.take(key, tenant)
        except Refusal:
            continue
        passed += 1
    return passed


def limits_of(clock: Clock, *, key: float = 0, tenant: float = 0) -> Limits:
    return Limits(Settings(key_requests_per_second=key, tenant_requests_per_second=tenant), clock)


def test_two_seconds_worth_may_come_at_once_and_then_as_much_as_the_rate_says():
    clock = Clock()
    limits = limits_of(clock, key=10)

    assert taken(limits, "k", 100) == 20
    clock.now += 0.5
    assert taken(limits, "k", 100) == 5
    clock.now += 3600
    assert taken(limits, "k", 100) == 20


def test_a_slow_rate_lets_one_through_at_a_time():
    clock = Clock()
    limits = limits_of(clock, key=0.1)

    assert taken(limits, "k", 5) == 1
    clock.now += 9.9
    assert taken(limits, "k", 5) == 0
    clock.now += 0.2
    assert taken(limits, "k", 5) == 1


def test_the_refusal_says_how_long_to_wait():
    clock = Clock()
    limits = limits_of(clock, key=0.1)
    limits.take("k", "default")
    clock.now += 2.5

    with pytest.raises(Refusal) as refused:
        limits.take("k", "default")

    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (429, "RATE_LIMITED", 8)


def test_one_key_does_not_use_up_what_another_may_ask():
    limits = limits_of(Clock(), key=10)

    assert taken(limits, "greedy", 100) == 20
    assert taken(limits, "modest", 5) == 5


def test_a_tenant_has_a_limit_over_all_of_its_keys_and_what_it_refuses_costs_the_key_nothing():
    clock = Clock()
    limits = limits_of(clock, key=10, tenant=15)

    assert taken(limits, "a", 100) == 20
    assert taken(limits, "b", 100) == 10
    clock.now += 1
    assert taken(limits, "b", 100) == 15
    assert taken(limits, "c", 5, tenant="other") == 5


def test_a_limit_of_nothing_is_no_limit():
    assert taken(limits_of(Clock()), "k", 10_000) == 10_000


@pytest.mark.parametrize("limit", ["key_requests_per_second", "tenant_requests_per_second"])
async def test_a_client_that_asks_too_often_is_told_when_to_ask_again(services: Stage, limit: str):
    async with gateway_with(services, api_key="mine", **{limit: 0.5}) as gate, gate.client("mine") as http:
        first = await http.get("/api/agents")
        second = await http.get("/api/agents")
        health = await http.get("/healthz")

    assert (first.status_code, health.status_code) == (200, 200)
    assert (second.status_code, second.json()["code"]) == (429, "RATE_LIMITED")
    assert 1 <= int(second.headers["Retry-After"]) <= 2


async def test_wrong_keys_use_up_nobodys_share(services: Stage):
    _, secret = await key_for(services, "sessions")

    async with gateway_with(services, key_requests_per_second=0.5, tenant_requests_per_second=0.5) as gate:
        for _ in range(5):
            assert await gate.status(secret[:-1]) == 401

        assert await gate.status(secret) == 200
        assert await gate.status(secret) == 429


async def test_a_token_is_counted_for_the_key_that_made_it(services: Stage):
    _, secret = await key_for(services, "mint", "sessions")

    async with gateway_with(services, key_requests_per_second=0.5) as gate:
        async with gate.client(secret) as http:
            refused = await http.post("/api/tokens", json={"agentId": "nobody"})

        assert refused.status_code == 404
        assert await gate.status(secret) == 429
