"""The child agents that an agent may run. In the language they are called workers."""

from collections.abc import Mapping

from stenograph_services.protocol.agent import ChildAgent
from stenograph_services.protocol.declarations import check_title
from stenograph_services.protocol.documents import WorkerDoc
from stenograph_services.protocol.problems import shown
from stenograph_services.protocol.scope import Scope


def children(scope: Scope, docs: Mapping[str, WorkerDoc]) -> dict[str, ChildAgent]:
    """Return the child agents that `workers` declares. What their own protocols say is theirs."""
    scope.check_names("worker", ("workers",))
    for name in scope.declared("workers"):
        if name in scope.declared("tools"):
            message = f"{shown(name)} is a tool already; a model calls both by their names"
            scope.report(("workers", name), "duplicate", message)
    return {slug: _child(scope, slug, doc) for slug, doc in docs.items()}


def _child(scope: Scope, slug: str, doc: WorkerDoc) -> ChildAgent:
    path = ("workers", slug)
    check_title(scope, doc.display, doc.title, path)
    for theirs, ours in doc.tools.items():
        scope.check_name("tool", theirs, (*path, "tools", theirs))
        scope.check_known("tool", ours, scope.declared("tools"), (*path, "tools", theirs))
    given = {"display": doc.display, "timeout_seconds": doc.timeout}
    return ChildAgent(
        slug=slug,
        description=doc.description,
        tools=doc.tools,
        title=doc.title,
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
