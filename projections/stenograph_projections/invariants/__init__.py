"""Invariants: what every log must satisfy, whoever wrote it and whatever died meanwhile.

    report = check([(214, "ev.2f.default.2f0193….session", b'{"type":"session.created",…}'), …], complete=True)
    report.ok       False
    report.broken   [Broken(session="2f0193…", rule="one-result", n=9, detail="call c1 is answered already")]
    report.rules    {"chain": 12, "one-result": 2, …}: how many cases each rule had, so that an empty log proves nothing

Start at `checking`; the rules are in `storage` (bytes and positions), `turns`, `calls`, `signatures`, `approvals`,
`effects`,
`threads`, `budgets`, `children` and `lifecycle`. A rule is a generator over one session's log, and its docstring is
what it promises.
"""

from stenograph_projections.invariants.checking import RULES, Broken, Report, check
from stenograph_projections.invariants.log import Issued, Stored

__all__ = ["RULES", "Broken", "Issued", "Report", "Stored", "check"]
