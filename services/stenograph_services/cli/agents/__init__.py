"""`stenograph agents …`: begin an agent, check it, rehearse it, store it, see which versions there are.

$ stenograph agents new order-desk
$ stenograph agents validate agents/order-desk
$ stenograph agents test agents/order-desk
$ stenograph agents sync agents
"""

import typer

from stenograph_services.cli.agents.archiving import archive
from stenograph_services.cli.agents.beginning import new
from stenograph_services.cli.agents.schema import schema
from stenograph_services.cli.agents.storing import list_, sync
from stenograph_services.cli.agents.testing import rehearse_cases
from stenograph_services.cli.agents.validating import validate
from stenograph_services.cli.agents.versions import diff, show

__all__ = ["app"]

FOLDERS, STORED = "Agents in folders", "Agents that are stored"

app = typer.Typer(no_args_is_help=True, help="Begin agents, check and rehearse them, store them.")
app.command(rich_help_panel=FOLDERS)(new)
app.command(rich_help_panel=FOLDERS)(validate)
app.command("test", rich_help_panel=FOLDERS)(rehearse_cases)
app.command(rich_help_panel=FOLDERS)(schema)
app.command(rich_help_panel=STORED)(sync)
app.command("list", rich_help_panel=STORED)(list_)
app.command(rich_help_panel=STORED)(show)
app.command(rich_help_panel=STORED)(diff)
app.command(rich_help_panel=STORED)(archive)
