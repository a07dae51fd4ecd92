"""`stenograph agents schema`: the language as JSON Schema, for editors."""

from stenograph_services.cli import output


def schema() -> None:
    """Print the JSON Schema of protocol.yaml. An editor that knows it completes keys, explains them, shows mistakes.

    Example: stenograph agents schema > protocol.schema.json

    Point the editor at it by a first line in protocol.yaml (VS Code, Neovim, JetBrains, Helix …):

        # yaml-language-server: $schema=../../protocol.schema.json

    Or for all agents at once, in .vscode/settings.json:

        {"yaml.schemas": {"./protocol.schema.json": "agents/*/protocol.yaml"}}

    What only a look at all files can tell, `stenograph agents validate` says.
    """
    from stenograph_services.protocol.language_schema import json_schema

    output.print_json(json_schema())
