"""Check a log against every rule and say what was found."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from stenograph_events import Head
from stenograph_projections.invariants import (
    approvals,
    budgets,
    calls,
    children,
    effects,
    lifecycle,
    signatures,
    storage,
    threads,
    turns,
)
from stenograph_projections.invariants.log import AnyStored, Issued, Rule, read

_RULES: tuple[Rule, ...] = (
    storage.decodable,
    storage.chain,
    storage.known_head,
    storage.rising_sequence,
    storage.unique_id,
    storage.created_first,
    storage.one_session,
    storage.subject,
    storage.cause,
    storage.foldable,
    turns.one_outcome,
    turns.one_turn_at_a_time,
    turns.queue_order,
    turns.one_end,
    turns.within_its_turn,
    turns.cancelling,
    calls.one_answer,
    calls.asked_before,
    calls.attempts,
    calls.result_after_request,
    calls.one_result,
    calls.answered_first,
    calls.own_answers,
    signatures.signed_requests,
    signatures.signed_answers,
    approvals.approved_first,
    approvals.decided_once,
    effects.tried_again,
    effects.only_unsafe_unknown,
    effects.resolved_as_declared,
    effects.checks,
    threads.steps,
    threads.typed_answers,
    threads.asked_again,
    threads.started_threads,
    threads.summed_up,
    budgets.waits_for_budget,
    children.child_calls,
    children.parent_link,
    lifecycle.expiry,
    lifecycle.at_rest,
    lifecycle.rolled_back,
)

_OF_BYTES: tuple[Rule, ...] = (
    storage.decodable,
    storage.chain,
    storage.known_head,
    storage.rising_sequence,
    storage.unique_id,
    storage.created_first,
    storage.one_session,
)
"""The rules that can be checked of a sealed log without its key."""

RULES: dict[str, str] = {rule.__name__.replace("_", "-"): rule.__doc__ or "" for rule in _RULES}
"""What each rule promises, by its name, in the order of the check."""


class Broken(msgspec.Struct, frozen=True):
    """A rule that does not hold at event `n` of `session`."""

    session: str
    rule: str
    n: int
    detail: str


class Report(msgspec.Struct, frozen=True):
    """What a check found: how many events there were, how many cases each rule had, and those that broke it.

    `answers` counts, by the public key of the worker, the answers that are signed. Of logs that are `sealed`, so many
    events of them without a key, only the rules of bytes and positions were checked.
    """

    events: int = 0
    rules: dict[str, int] = {}
    broken: list[Broken] = []
    answers: dict[str, int] = {}
    sealed: int = 0

    @property
    def ok(self) -> bool:
        """Whether there was something to check and nothing is broken."""
        return self.events > 0 and not self.broken

    def __add__(self, other: "Report") -> "Report":
        """Return the report on the logs of both; `sum(reports, Report())` is the one on many sessions."""
        cases = {name: self.rules.get(name, 0) + other.rules.get(name, 0) for name in RULES}
        answers = Counter(self.answers) + Counter(other.answers)
        broken, sealed = self.broken + other.broken, self.sealed + other.sealed
        return Report(self.events + other.events, cases, broken, dict(answers), sealed)


def check(
    stored: Iterable[AnyStored],
    *,
    complete: bool = False,
    known: Head | None = None,
    signers: Collection[str] | None = None,
    issued: Mapping[str, Issued] | None = None,
) -> Report:
    """Check one session's log: (stream sequence, subject or None, stored bytes), in stream order.

    `complete` says that nothing runs any more, so that every turn must have ended. `known` is where the log once stood,
    from a snapshot or an export: only with it do a lost end and an edit of the last event show. `signers` are the
    platform's public keys: with them every request to a worker must be signed by one of them. `issued` are the public
    keys of workers: with them every answer to such a request must be signed by one that was given out for its tool.
    Of a sealed log without its key the rules about what the events mean have no case.
    """
    ours = None if signers is None else frozenset(signers)
    log = read(stored, complete=complete, known=known, signers=ours, issued=issued)
    session = log.headers[0].session if log.headers else ""
    checked = _OF_BYTES if log.sealed else _RULES
    cases: dict[str, int] = {}
    broken: list[Broken] = []
    for name, rule in zip(RULES, _RULES, strict=True):
        found = list(rule(log)) if rule in checked else []
        cases[name] = len(found)
        broken += [Broken(session, name, n, detail) for n, detail in found if detail is not None]
    return Report(len(log.records), cases, broken, signatures.answers_by_key(log), log.sealed)
