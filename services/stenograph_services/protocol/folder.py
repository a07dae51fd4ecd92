"""An agent's folder, read without ever leaving it.

    support-chat/
      protocol.yaml  settings.json
      prompts/system.md  prompts/tickets/summary.md      →  "system", "tickets/summary"
      references/refunds.md                              →  "refunds"
      scripts/support-chat.yaml                          →  "support-chat"

Links are followed while they stay inside, and only plain files are read: a folder from somewhere else cannot show us
`/etc/passwd`, nor make us wait for a named pipe. Other files and hidden ones are left alone.
"""

import errno
import json
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stenograph_services.protocol.beneath import LeavesFolder, open_beneath
from stenograph_services.protocol.bundle import Bundle
from stenograph_services.protocol.problems import AgentError, Problem
from stenograph_services.protocol.source import MAX_BYTES

MAX_FILES = 500
MAX_FOLDERS = 200  # below prompts/ and its like: links may make a folder appear in itself, or twice in each of many


def read_folder(path: Path | str) -> Bundle:
    """Return the files of the agent in `path`; raise `AgentError` naming each that is missing or cannot be read."""
    path = Path(path)
    try:
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        message = "there is no such folder" if missing else f"cannot be read: {error.strerror}"
        problem = Problem(file=str(path), code="missing" if missing else "unreadable", message=message)
        raise AgentError([problem]) from error
    try:
        return _Folder(path, root).bundle()
    finally:
        os.close(root)


class _Folder:
    """The folder `path`, open as `root`. What is in it goes by its path relative to that."""

    def __init__(self, path: Path, root: int) -> None:
        self.path = path
        self.root = root
        self.found: list[Problem] = []

    def bundle(self) -> Bundle:
        settings, protocol = self.text("settings.json"), self.text("protocol.yaml")
        prompts, references = self.texts("prompts", ".md"), self.texts("references", ".md")
        scripts = self.texts("scripts", ".yaml")
        if self.found:
            raise AgentError(self.found)
        slug = _slug(settings, self.path.resolve().name)
        return Bundle(slug, settings, protocol, prompts, scripts, references)

    def texts(self, top: str, suffix: str) -> dict[str, str]:
        """Return the texts of all files below `top` that end in `suffix`, by their names without it."""
        texts: dict[str, str] = {}
        folders = deque([top] if top in os.listdir(self.root) else [])
        entered = 0
        while folders and entered < MAX_FOLDERS and len(texts) <= MAX_FILES:
            self.enter(folders.popleft(), top, suffix, texts, folders)
            entered += 1
        if folders or len(texts) > MAX_FILES:
            limit = f"{MAX_FILES} files" if len(texts) > MAX_FILES else f"{MAX_FOLDERS} folders"
            self.report(top, "too-many", f"holds more than {limit}")
        return texts

    def enter(self, folder: str, top: str, suffix: str, texts: dict[str, str], folders: deque[str]) -> None:
        """Add the files of `folder` to `texts` and the folders in it to `folders`."""
        for name in self.names(folder, suffix):
            path = f"{folder}/{name}"
            with self.opened(path) as descriptor:
                if descriptor is None:
                    continue
                if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                    folders.append(path)
                elif name.endswith(suffix) and len(texts) <= MAX_FILES:
                    texts[path.removeprefix(f"{top}/").removesuffix(suffix)] = self.content(path, descriptor)

    def names(self, folder: str, suffix: str) -> list[str]:
        """Return the names in `folder` of files that end in `suffix`, of folders, and of links, which may be either."""
        with self.opened(folder) as descriptor:
            if descriptor is None:
                return []
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                self.report(folder, "not-a-folder", "is not a folder")
                return []
            with os.scandir(descriptor) as entries:
                return sorted(
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(".")
                    and (entry.name.endswith(suffix) or entry.is_symlink() or entry.is_dir(follow_symlinks=False))
                )

    def text(self, path: str) -> str:
        with self.opened(path) as descriptor:
            return "" if descriptor is None else self.content(path, descriptor)

    @contextmanager
    def opened(self, path: str) -> Iterator[int | None]:
        """Yield a descriptor of `path`, or None if it cannot be opened, which is reported."""
        try:
            descriptor = open_beneath(self.root, path)
        except OSError as error:
            self.report(path, *self.refusal(path, error))
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def content(self, path: str, descriptor: int) -> str:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self.report(path, "not-a-file", "is not a plain file")
            return ""
        try:
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                self.report(path, "too-large", f"is longer than {MAX_BYTES} bytes")
                return ""
            # One version on every machine, also where git checks out with CRLF.
            return content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            self.report(path, "encoding", f"is not UTF-8 (byte {error.start})")
        except OSError as error:
            self.report(path, *self.refusal(path, error))
        return ""

    def refusal(self, path: str, error: OSError) -> tuple[str, str]:
        """Return the code and the sentence that say why `path` was not read."""
        if isinstance(error, LeavesFolder):
            return "link", "is a link that leads out of the folder, or is absolute; it is not followed"
        if error.errno == errno.ELOOP:
            return "link", "is a link that leads to itself"
        if isinstance(error, FileNotFoundError):
            dangling = (self.path / path).is_symlink()
            return "missing", "is a link to nothing" if dangling else "there is no such file"
        return "unreadable", f"cannot be read: {error.strerror}"

    def report(self, path: str, code: str, message: str) -> None:
        self.found.append(Problem(file=str(self.path / path), code=code, message=message))


def _slug(settings: str, otherwise: str) -> str:
    """Return the slug that `settings` gives. Settings that are broken are reported when the bundle is compiled."""
    try:
        slug = json.loads(settings)["slug"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return otherwise
    return slug if isinstance(slug, str) else otherwise
