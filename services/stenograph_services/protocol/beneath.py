"""Files below one folder, however links are set in it; what a link would reach outside is never opened.

    protocol.yaml → ..data/protocol.yaml,  ..data → ..2026_08_20        inside: followed (a Kubernetes ConfigMap)
    secret.md → /etc/passwd,  secret.md → ../../key                     outside: refused

Every step of a path is opened from the folder before it, and a link is read, not followed by the system. So the answer
holds for the file that was opened, even if somebody changes the links meanwhile.
"""

import errno
import os
from collections import deque

MAX_LINKS = 40  # on one path, as Linux has it; a link may lead to itself


class LeavesFolder(OSError):
    """A path leads out of the folder, by a link or by `..`."""


def open_beneath(root: int, path: str) -> int:
    """Return a descriptor of `path`, relative to the open folder `root`, for reading. The caller closes it.

    Does not wait where the path is a named pipe. Raises `LeavesFolder`, or `OSError` where nothing can be opened.
    """
    steps, links = deque(path.split("/")), 0
    opened = [os.dup(root)]  # the folders from the root down to where the path stands
    try:
        while steps:
            links += _step(steps.popleft(), steps, opened)
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return opened.pop()
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _step(step: str, steps: deque[str], opened: list[int]) -> int:
    """Go one step on; return 1 if it was a link, whose steps are now the next ones."""
    if step in ("", "."):
        return 0
    if step == "..":
        if len(opened) == 1:
            raise LeavesFolder(errno.EXDEV, "leads out of the folder")
        os.close(opened.pop())
        return 0
    try:
        # O_NONBLOCK: opening a pipe would wait for a writer.
        opened.append(os.open(step, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened[-1]))
        return 0
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    target = os.readlink(step, dir_fd=opened[-1])
    if target.startswith("/"):
        raise LeavesFolder(errno.EXDEV, "leads out of the folder")
    steps.extendleft(reversed(target.split("/")))
    return 1
