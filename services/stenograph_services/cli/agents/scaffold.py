"""The agent that `stenograph agents new` writes: small, complete, and running at once.

agents/order-desk/
  settings.json  protocol.yaml  prompts/system.md  prompts/user-message.md
  scripts/order-desk.yaml     what its model says, until a real one is named in protocol.yaml
  tools.py                    its tool, served by `stenograph worker agents/order-desk/tools.py`
  tests/look-up.yaml          a case for `stenograph agents test`; look-up.log is what it comes to

The files lie in templates/; in their texts and names SLUG, TITLE and FOLDER are replaced.
"""

from pathlib import Path
from typing import Literal

import typer

from stenograph_services.cli.output import Failure

TEMPLATES = Path(__file__).parent / "templates"


def write_agent(folder: Path, form: Literal["interactive", "worker"] = "interactive") -> list[Path]:
    """Write the agent into `folder`, named after it, and return its files. Nothing that exists is written over."""
    from stenograph_services.cli.rehearsal import rehearse_folder
    from stenograph_services.protocol.names import broken_name

    slug = folder.name
    if wrong := broken_name("slug", slug) or broken_name("script", slug):
        raise typer.BadParameter(f"{slug!r}: {wrong}", param_hint="NAME")
    if folder.exists():
        raise Failure(f"{folder} exists already, and nothing is written over: choose another name, or remove it")
    top = TEMPLATES / form
    written = [_write(template, folder, str(template.relative_to(top))) for template in sorted(top.rglob("*.*"))]
    rehearse_folder(folder, update=True)
    return [*written, *sorted((folder / "tests").glob("*.log"))]


def _write(template: Path, folder: Path, name: str) -> Path:
    slug = folder.name
    path = folder / name.replace("SLUG", slug)
    text = template.read_text(encoding="utf-8")
    for word, value in (("SLUG", slug), ("TITLE", slug.replace("-", " ").capitalize()), ("FOLDER", str(folder))):
        text = text.replace(word, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
