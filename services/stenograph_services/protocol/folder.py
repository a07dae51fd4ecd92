"""An agent's folder, read without ever leaving it.

    support-chat/
      protocol.yaml  settings.json
      prompts/system.md  prompts/tickets/summary.md      →  "system", "tickets/summary"
      scripts/support-chat.yaml                          →  "support-chat"

Links are refused, and only plain files are opened: a folder from somewhere else cannot show us `/etc/passwd`, nor make
us wait for a named pipe. Other files and hidden ones are left alone.
"""

import json
import os
import stat
from pathlib import Path

from stenograph_services.protocol.bundle import Bundle
from stenograph_services.protocol.problems import AgentError, Problem
from stenograph_services.protocol.source import MAX_BYTES

MAX_FILES = 500


def read_folder(path: Path | str) -> Bundle:
    """Return the files of the agent in `path`; raise `AgentError` naming each that is missing or cannot be read."""
    return _Folder(Path(path)).bundle()


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[Problem] = []

    def bundle(self) -> Bundle:
        if not self.path.is_dir():
            raise AgentError([self.problem(self.path, "missing", "there is no such folder")])
        settings, protocol = self.required("settings.json"), self.required("protocol.yaml")
        prompts, scripts = self.texts("prompts", ".md"), self.texts("scripts", ".yaml")
        if self.found:
            raise AgentError(self.found)
        return Bundle(_slug(settings, self.path.resolve().name), settings, protocol, prompts, scripts)

    def required(self, name: str) -> str:
        try:
            return self.text(name, None, self.path / name)
        except FileNotFoundError:
            self.found.append(self.problem(self.path / name, "missing", "there is no such file"))
            return ""

    def texts(self, folder: str, suffix: str) -> dict[str, str]:
        """Return the texts of all files below `folder` that end in `suffix`, by their names without it."""
        top = self.path / folder
        if top.is_symlink():
            self.found.append(self.problem(top, "link", "is a link; put the folder itself here"))
            return {}
        texts: dict[str, str] = {}
        if not top.is_dir():
            return texts
        for parent, folders, files, descriptor in os.fwalk(top, follow_symlinks=False):
            links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
            self.found += [
                self.problem(Path(parent, name), "link", "is a link, which is not followed") for name in links
            ]
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(name for name in files if name.endswith(suffix) and not name.startswith(".")):
                file = Path(parent, name)
                if len(texts) == MAX_FILES:
                    self.found.append(self.problem(top, "too-many", f"holds more than {MAX_FILES} files"))
                    return texts
                texts[file.relative_to(top).as_posix().removesuffix(suffix)] = self.text(name, descriptor, file)
        return texts

    def text(self, name: str, folder: int | None, file: Path) -> str:
        """Return the text of `name` inside the open `folder`. `O_NONBLOCK`: opening a pipe would wait for a writer."""
        try:
            where = name if folder is not None else file
            descriptor = os.open(where, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            with open(descriptor, "rb") as opened:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    self.found.append(self.problem(file, "not-a-file", "is not a plain file"))
                    return ""
                content = opened.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                self.found.append(self.problem(file, "too-large", f"is longer than {MAX_BYTES} bytes"))
            # One version on every machine, also where git checks out with CRLF.
            return content.decode("utf-8-sig").replace("\r\n", "\n")
        except FileNotFoundError:
            raise
        except UnicodeDecodeError as error:
            self.found.append(self.problem(file, "encoding", f"is not UTF-8 (byte {error.start})"))
        except OSError as error:
            link = file.is_symlink()
            reason = "is a link, which is not followed" if link else f"cannot be read: {error.strerror}"
            self.found.append(self.problem(file, "link" if link else "unreadable", reason))
        return ""

    def problem(self, file: Path, code: str, message: str) -> Problem:
        return Problem(file=str(file), code=code, message=message)


def _slug(settings: str, otherwise: str) -> str:
    """Return the slug that `settings` gives. Settings that are broken are reported when the bundle is compiled."""
    try:
        slug = json.loads(settings)["slug"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return otherwise
    return slug if isinstance(slug, str) else otherwise
