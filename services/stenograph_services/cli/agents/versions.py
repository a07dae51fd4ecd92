"""`stenograph agents show` and `agents diff`: the stored versions of an agent, and what two of them differ in."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import (
    DEFAULT_DATA,
    DEFAULT_TENANT,
    Data,
    Json,
    NatsUrl,
    Place,
    Tenant,
    connected,
    run,
)

if TYPE_CHECKING:
    from rich.text import Text

    from stenograph_services.cli.agents.stored import StoredAgent, Version
    from stenograph_services.protocol import Agent

Slug = Annotated[str, typer.Argument(metavar="SLUG", help="The agent's slug, or its id.", show_default=False)]


def show(
    slug: Slug,
    version: Annotated[
        str | None, typer.Option("--version", metavar="V", help="A version, or its beginning; the current one without.")
    ] = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show a stored agent: its triggers, tools and models, its files, and which versions there are.

    Example: stenograph agents show order-desk

    Example: stenograph agents show order-desk --version 3f2a --json
    """
    stored = run(_stored(Place.of(nats_url, tenant, data), slug))
    wanted = stored.version(version)
    if as_json:
        output.print_json(_facts(stored, wanted) | {"versions": _versions(stored)})
    else:
        output.print_lines(_shown(stored, wanted))


def diff(
    slug: Slug,
    old: Annotated[str, typer.Argument(metavar="V1", help="A version, or its beginning.", show_default=False)],
    new: Annotated[
        str, typer.Argument(metavar="V2", help="Another one; `current` is that of new sessions.")
    ] = "current",
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show what two stored versions differ in: line by line, and what it means for sessions.

    A session keeps the version that it was created with, so a change is one for new sessions only.

    Example: stenograph agents diff order-desk 3f2a

    Example: stenograph agents diff order-desk 3f2a 9b1c
    """
    from stenograph_services.cli.agents.comparing import changes, difference, files_of

    stored = run(_stored(Place.of(nats_url, tenant, data), slug))
    before, after = stored.version(old), stored.version(new)
    files = difference(files_of(before.bundle), files_of(after.bundle), (before.version, after.version))
    known = before.agent is not None and after.agent is not None
    means = changes(before.agent, after.agent) if before.agent and after.agent else []
    if as_json:
        names = {"agent": stored.entry.slug, "old": before.version, "new": after.version}
        output.print_json(names | {"current": stored.entry.version, "changes": means, "diff": files})
        return
    output.print_lines(_coloured(files))
    for said in means if known else ["one of the two can no longer be read, so what it means cannot be said"]:
        output.note(f"- {said}", dim=False)
    output.note(_who_gets_what(stored, before, after))


async def _stored(place: Place, slug: str) -> "StoredAgent":
    from stenograph_services.cli.agents.stored import stored_agent

    async with connected(place) as client:
        return await stored_agent(client.connection.nats, place.tenant, slug)


def _who_gets_what(stored: "StoredAgent", before: "Version", after: "Version") -> str:
    if before.version == after.version:
        return "both are the same version"
    return f"new sessions get {stored.entry.version}; sessions keep the version that they were created with"


def _facts(stored: "StoredAgent", version: "Version") -> dict[str, Any]:
    from stenograph_services.cli.agents.comparing import files_of

    files = {path: len(text.encode()) for path, text in files_of(version.bundle).items()}
    names: dict[str, Any] = {"slug": stored.entry.slug, "id": stored.entry.id, "name": stored.entry.name}
    names |= {"version": version.version, "current": version.version == stored.entry.version}
    return names | {"stored_at": version.stored_at} | _of_agent(version.agent) | {"files": files}


def _of_agent(agent: "Agent | None") -> dict[str, Any]:
    from stenograph_services.cli.agents.comparing import models_of

    if agent is None:
        return {"readable": False}
    triggers = {name: [field.name for field in trigger.input] for name, trigger in agent.triggers.items()}
    tools = {name: list(tool.parameters.json.get("properties", {})) for name, tool in agent.tools.items()}
    return {
        "format": agent.format,
        "input": [field.name for field in agent.input],
        "triggers": triggers,
        "tools": tools,
        "children": list(agent.children),
        "models": models_of(agent),
    }


def _versions(stored: "StoredAgent") -> list[dict[str, Any]]:
    return [{"version": each.version, "stored_at": each.stored_at} for each in stored.versions]


def _shown(stored: "StoredAgent", version: "Version") -> "Iterator[Text]":
    from rich.text import Text

    facts = _facts(stored, version)
    yield Text.assemble((stored.entry.slug, "bold"), f"  {output.printable(stored.entry.name)}")
    yield _row("version", f"{version.version}{' (current)' if facts['current'] else ''}, stored {_time(version)}")
    yield _row("id", stored.entry.id)
    if version.agent is None:
        yield _row("", "cannot be read by this version of Stenograph; sessions of it cannot go on")
    for name in ("format", "models", "input", "triggers", "tools", "children"):
        if value := facts.get(name):
            yield _row(name, _listed(value))
    for at, (path, size) in enumerate(facts["files"].items()):
        yield _row("" if at else "files", f"{size:>8,} B  {output.printable(path)}")
    for at, each in enumerate(stored.versions):
        mark = "  current" if each.version == stored.entry.version else ""
        yield _row("" if at else "versions", f"{each.version}  {_time(each)}{mark}")


def _row(name: str, value: str) -> "Text":
    from rich.text import Text

    return Text.assemble((f"{name:<10}", "dim"), value)


def _listed(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}({', '.join(fields)})" for name, fields in value.items())
    return value if isinstance(value, str) else ", ".join(value)


def _time(version: "Version") -> str:
    return f"{version.stored_at:%Y-%m-%d %H:%M:%S} UTC"


def _coloured(files: str) -> "Iterator[Text]":
    from stenograph_services.cli.agents.testing import diff_lines

    return diff_lines(files)
