"""The command line. Start at `app`, which names every command; each command is a module of its own."""

from stenograph_services.cli.app import main

__all__ = ["main"]
