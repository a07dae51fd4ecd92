"""The OpenAPI document as a page for people: `GET /docs`, where `GET /` leads. Pure; no script, nothing from elsewhere.

sessions
  POST /api/agent-sessions      Create a session, pinned to the agent's current version
    curl http://127.0.0.1:8420/api/agent-sessions -H "Authorization: Bearer $STENOGRAPH_API_KEY" …
    201  {"sessionId":"2f01…"}
"""

import json
import shlex
from collections.abc import Iterator
from html import escape
from typing import Any

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
}

_STYLE = """
:root { color-scheme: light dark; --quiet: light-dark(#57606a, #9aa4af); --line: #8884; --box: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h1 { margin: 0; } h2 { margin: 2rem 0 .5rem; text-transform: capitalize; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
nav a { margin-right: 1rem; } p { margin: .5rem 0; }
details { border-top: 1px solid var(--line); } details[open] { padding-bottom: 1rem; }
summary { cursor: pointer; padding: .4rem 0; overflow-wrap: anywhere; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: var(--box); padding: .75rem; overflow: auto; max-height: 24rem; margin: .25rem 0; }
.method { display: inline-block; width: 5rem; font-weight: 600; }
.about, .about code { color: var(--quiet); } summary .about { display: block; padding-left: 5rem; margin-left: 1rem; }
td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
"""


def docs_page(document: dict[str, Any], base_url: str) -> str:
    """Return the page of an OpenAPI `document`; its commands ask the gateway at `base_url`."""
    info = document["info"]
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])} over HTTP</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(info['title'])}</h1>",
            f'<p class="about">version {escape(info["version"])} at <code>{escape(base_url)}</code></p>',
            f"<p>{_text(info['description'])}</p>",
            '<nav><a href="/openapi.json">openapi.json</a><a href="/asyncapi.json">asyncapi.json</a></nav>',
            *_sections(document, base_url),
            "</body></html>",
        ]
    )


def _sections(document: dict[str, Any], base_url: str) -> Iterator[str]:
    for tag in (one["name"] for one in document["tags"]):
        yield f'<h2 id="{escape(tag)}">{escape(tag)}</h2>'
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag in operation["tags"]:
                    yield _operation(document, base_url, path, method.upper(), operation)


def _operation(document: dict[str, Any], base_url: str, path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<details id="{escape(operation["operationId"])}"><summary><span class="method">{method}</span>',
        f'<code>{escape(path)}</code><span class="about">{_text(operation["summary"])}</span></summary>',
        f"<p>{_text(operation['description'])}</p>" if "description" in operation else "",
        *_parameters(operation.get("parameters", [])),
        *(f"<pre>{escape(command)}</pre>" for command in _commands(base_url, path, method, operation)),
        "<h3>Answers</h3>",
        *(_answer(document, status, found) for status, found in sorted(operation["responses"].items())),
        "</details>",
    ]
    return "".join(parts)


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    asked = [one for one in parameters if one["in"] != "path"]
    if not asked:
        return
    yield "<table>"
    for one in asked:
        schema = one["schema"]
        about = escape(str(schema.get("const") or ", ".join(schema.get("enum", [])) or schema.get("type", "")))
        yield f'<tr><td><code>{escape(one["name"])}</code></td><td>{one["in"]}</td><td class="about">{about}</td></tr>'
    yield "</table>"


def _commands(base_url: str, path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    """Yield the operation as commands to copy, one for each example of a body."""
    for one in operation.get("parameters", []):
        if one["in"] == "path" and "example" in one:
            path = path.replace("{" + one["name"] + "}", one["example"])
    streams = "text/event-stream" in next(iter(operation["responses"].values()))["content"]
    command = f"curl {'--no-buffer ' if streams else ''}{shlex.quote(base_url + path)}"
    if method != ("POST" if "requestBody" in operation else "GET"):
        command += " --head" if method == "HEAD" else f" -X {method}"
    if operation.get("security") != []:
        command += ' \\\n  -H "Authorization: Bearer $STENOGRAPH_API_KEY"'
    bodies = operation.get("requestBody", {}).get("content", {})
    examples = bodies.get("application/json", {}).get("examples")
    if not examples:
        yield command + (" \\\n  --upload-file FILE" if bodies else "")
        return
    for example in examples.values():
        body = shlex.quote(json.dumps(example["value"], indent=2, ensure_ascii=False))
        yield f"{command} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"


def _answer(document: dict[str, Any], status: str, found: dict[str, Any]) -> str:
    if "$ref" in found:
        found = document["components"]["responses"][found["$ref"].rpartition("/")[2]]
    example = next((one["example"] for one in found["content"].values() if "example" in one), None)
    shown = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    said = f"<div><code>{status}</code> {_text(found['description'])}</div>"
    return said + (f"<pre>{escape(shown)}</pre>" if example else "")


def _text(text: str) -> str:
    """Return `text`, with what stands between backquotes as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces))
