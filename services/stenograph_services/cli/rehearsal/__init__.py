"""Rehearsals: an agent runs through a test case in memory, by the very functions that the services use.

Start at `documents` (what a case may say), then `engine` (what happens on the stage) and `verdicts` (what a folder's
cases come to). The engine knows nothing of cases: any `World` may answer on a `Stage`.
"""

from stenograph_services.cli.rehearsal.case import Case, CaseError, parse_case, read_case
from stenograph_services.cli.rehearsal.engine import Stage
from stenograph_services.cli.rehearsal.performing import rehearse
from stenograph_services.cli.rehearsal.scenes import Log, Recorded
from stenograph_services.cli.rehearsal.telling import told
from stenograph_services.cli.rehearsal.verdicts import Verdict, case_files, checked, rehearse_folder, verdicts
from stenograph_services.cli.rehearsal.world import Spoken, World

__all__ = [
    "Case",
    "CaseError",
    "Log",
    "Recorded",
    "Spoken",
    "Stage",
    "Verdict",
    "World",
    "case_files",
    "checked",
    "parse_case",
    "read_case",
    "rehearse",
    "rehearse_folder",
    "told",
    "verdicts",
]
