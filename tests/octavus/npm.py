"""The packages of the application SDK, installed once, and Node to run files beside them.

node = Node.installed(cache_directory)
ran = node.run(folder / "chat.mjs", env={...})

Node looks for packages in the folders above a file, so what runs is copied to where they are linked.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

PROJECT = Path(__file__).parent
MANIFESTS = ("package.json", "package-lock.json")
OLDEST = 20
"""The Node that the packages ask for, and the first whose test runner is stable."""


def missing_node() -> str | None:
    """Return why nothing can be run, None if there are a Node and an npm that can."""
    if not shutil.which("node") or not shutil.which("npm"):
        return f"there is no Node here: install Node {OLDEST} or newer, with npm"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST:
        return f"Node {version} is too old: install Node {OLDEST} or newer"
    return None


class Node:
    """Node, with the packages in `modules`."""

    def __init__(self, modules: Path) -> None:
        self.modules = modules

    @classmethod
    def installed(cls, cache: Path) -> "Node":
        """Install what package-lock.json names into `cache`, unless that was done before."""
        named = b"".join((PROJECT / name).read_bytes() for name in MANIFESTS)
        modules = cache / hashlib.sha256(named).hexdigest()[:16]
        if not modules.is_dir():
            _install(modules)
        return cls(modules / "node_modules")

    def folder(self, at: Path, files: Iterable[Path]) -> Path:
        """Return the folder `at`, filled with `files` and what they may import."""
        at.mkdir(parents=True, exist_ok=True)
        for file in files:
            if file.is_dir():
                shutil.copytree(file, at / file.name)
            else:
                shutil.copy(file, at)
        shutil.copy(PROJECT / "package.json", at)
        (at / "node_modules").symlink_to(self.modules)
        return at

    def run(self, folder: Path, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `node *arguments` in `folder`, and return what it said, both its outputs in one."""
        everything = {**os.environ, **env, "NO_COLOR": "1", "NODE_NO_WARNINGS": "1"}
        return subprocess.run(
            ["node", *arguments],
            cwd=folder,
            env=everything,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=100,
            check=False,
        )


def _install(at: Path) -> None:
    """Install into `at`, whole or not at all: two runs of the tests may do it at once."""
    at.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=at.parent) as directory:
        beside = Path(directory) / "packages"
        beside.mkdir()
        for name in MANIFESTS:
            shutil.copy(PROJECT / name, beside)
        npm = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=beside,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert npm.returncode == 0, f"npm ci failed:\n{npm.stdout}"
        if not at.exists():
            beside.rename(at)
