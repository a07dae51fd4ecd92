"""`stenograph`: every command there is. Each imports what is heavy when it runs, so that `--help` answers at once."""

import typer

from stenograph_services.cli.demo.command import demo
from stenograph_services.cli.dev import dev
from stenograph_services.cli.output import CommandLine
from stenograph_services.cli.run import run

main = typer.Typer(
    name="stenograph",
    help="A session service for AI agents: every turn, message and tool call is an event on NATS JetStream.",
    cls=CommandLine,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they show local variables, and those may hold keys
)
main.command(rich_help_panel="See it")(demo)
main.command(rich_help_panel="See it")(dev)
main.command(rich_help_panel="Operate it")(run)
