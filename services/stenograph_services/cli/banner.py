"""What `stenograph dev` says: where everything is, which agents there are, what to try next; later, what changed."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from stenograph_services.cli.connect import DEFAULT_DATA
from stenograph_services.cli.dev_wall import app_credentials_of
from stenograph_services.runtime.agents import AgentEntry
from stenograph_services.runtime.config import Settings

_COLOURS = {"stored": "green", "broken": "red", "gone": "yellow"}


class Banner:
    """Speaks to the person who started `dev`."""

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        self._settings = settings
        self._folder = folder
        self._console = Console(highlight=False, soft_wrap=True)

    def first(self, how: str, sentence: str) -> None:
        """Tell about an agent at the start, if it is broken; the others are in the list."""
        if how == "broken":
            self.news(how, sentence)

    def news(self, how: str, sentence: str) -> None:
        """Tell what a change of the agents' files led to."""
        if how != "same":
            self._say(f"[{_COLOURS[how]}]{escape(sentence)}[/]")

    def show(self, agents: Sequence[AgentEntry]) -> None:
        """Show where everything is and what to do with it."""
        self._say("\n[bold]Stenograph is running.[/] Ctrl-C stops it.\n")
        for name, value in self._places(agents):
            self._say(f"  [bold]{name:<9}[/]{value}")
        self._say("\nNext, in another terminal:\n")
        for command in self._commands(agents):
            self._say(f"  {escape(command)}")
        self._say("")

    def _places(self, agents: Sequence[AgentEntry]) -> list[tuple[str, str]]:
        settings = self._settings
        key = escape(settings.api_key or "")
        if not Settings().api_key:
            key += "  [dim](for this run; set STENOGRAPH_API_KEY to keep one)[/]"
        found = ", ".join(agent.slug for agent in agents) or "none yet"
        watched = (
            f"  [dim](watching {escape(str(self._folder))})[/]" if self._folder else "  [dim](give --agents DIR)[/]"
        )
        walled = settings.nats_credentials is not None
        nats = settings.nats_url + ("" if walled else "  [yellow](--insecure: whoever reaches it may do everything)[/]")
        return [
            ("HTTP", f"http://{settings.host}:{settings.port}"),
            ("NATS", nats),
            ("Python", escape(_client_line(settings))),
            ("API key", key),
            ("Data", escape(str(settings.data_dir))),
            ("Agents", escape(found) + watched),
        ]

    def _commands(self, agents: Sequence[AgentEntry]) -> list[str]:
        commands = []
        if self._settings.data_dir != DEFAULT_DATA:  # there, other commands find the address of our nats-server
            commands.append(f"export STENOGRAPH_DATA_DIR={shlex.quote(str(self._settings.data_dir.absolute()))}")
        if not agents:
            return [
                *commands,
                f"stenograph agents new {shlex.quote(str((self._folder or Path('agents')) / 'my-agent'))}",
            ]
        for agent in agents:
            tools = self._folder / agent.slug / "tools.py" if self._folder else None
            if tools is not None and tools.is_file():
                commands.append(f"stenograph worker {shlex.quote(str(tools))}")
        return [*commands, f"stenograph chat {agents[0].slug}", "stenograph sessions list"]

    def _say(self, text: str) -> None:
        self._console.print(text)


def _client_line(settings: Settings) -> str:
    """Return the line that connects an application."""
    if settings.nats_credentials is None:
        return f'Client.connect("{settings.nats_url}")'
    return f'Client.connect("{settings.nats_url}", credentials="{app_credentials_of(settings.data_dir)}")'
