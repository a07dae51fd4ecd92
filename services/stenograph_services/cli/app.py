"""`stenograph`: every command there is. Each imports what is heavy when it runs, so that `--help` answers at once."""

import typer

from stenograph_services.cli import (
    agents,
    approvals,
    clients,
    effects,
    keys,
    leaf,
    parked,
    sealing,
    sessions,
    signers,
    tenants,
    tools,
    workers,
)
from stenograph_services.cli.audit import audit
from stenograph_services.cli.chat import chat
from stenograph_services.cli.demo.command import demo
from stenograph_services.cli.dev import dev
from stenograph_services.cli.output import CommandLine
from stenograph_services.cli.run import run
from stenograph_services.cli.worker import worker

BEGIN, LOOK, OPERATE = "Begin", "Look and act", "Operate"

main = typer.Typer(
    name="stenograph",
    help="A session service for AI agents: every turn, message and tool call is an event on NATS JetStream.",
    cls=CommandLine,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they show local variables, and those may hold keys
    context_settings={"help_option_names": ["--help", "-h"]},
)
main.command(rich_help_panel=BEGIN)(demo)
main.command(rich_help_panel=BEGIN)(dev)
main.command(rich_help_panel=BEGIN)(chat)
main.add_typer(agents.app, name="agents", rich_help_panel=LOOK)
main.add_typer(sessions.app, name="sessions", rich_help_panel=LOOK)
main.add_typer(approvals.app, name="approvals", rich_help_panel=LOOK)
main.add_typer(effects.app, name="effects", rich_help_panel=LOOK)
main.command(rich_help_panel=OPERATE)(run)
main.command(rich_help_panel=OPERATE)(worker)
main.add_typer(tools.app, name="tools", rich_help_panel=OPERATE)
main.add_typer(parked.app, name="parked", rich_help_panel=OPERATE)
main.add_typer(keys.app, name="keys", rich_help_panel=OPERATE)
main.add_typer(tenants.app, name="tenants", rich_help_panel=OPERATE)
main.add_typer(workers.app, name="workers", rich_help_panel=OPERATE)
main.add_typer(clients.app, name="clients", rich_help_panel=OPERATE)
main.command(rich_help_panel=OPERATE)(audit)
main.add_typer(sealing.app, name="sealing", rich_help_panel=OPERATE)
main.add_typer(signers.app, name="signers", rich_help_panel=OPERATE)
main.add_typer(leaf.app, name="leaf", rich_help_panel=OPERATE)
