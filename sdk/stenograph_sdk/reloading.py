"""`--reload`: serve in a process beside this one, which is replaced whenever a Python file changes.

The old process answers what it runs and gives back the rest, as at any stop; the new one begins at once. A file that
cannot be loaded says so in one line, and is waited for.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from stenograph_sdk.errors import WorkerFileError


def serve_again_and_again(arguments: Sequence[str], files: Sequence[Path]) -> int:
    """Run a worker with `arguments` until this process is told to stop; return 0.

    Raises `WorkerFileError` if there is nothing to watch, or nothing to watch it with.
    """
    if not files:
        raise WorkerFileError("--reload watches Python files: name one")
    try:
        from watchfiles import PythonFilter, watch
    except ImportError as error:
        raise WorkerFileError("--reload needs the package watchfiles: pip install 'stenograph-sdk[reload]'") from error
    folders = sorted({file.resolve().parent for file in files})
    stop = threading.Event()
    for heard in (signal.SIGINT, signal.SIGTERM):
        signal.signal(heard, lambda *_: stop.set())
    processes = [_started(arguments)]
    for changes in watch(*folders, watch_filter=PythonFilter(), stop_event=stop, raise_interrupt=False, step=50):
        changed = ", ".join(sorted({Path(path).name for _, path in changes}))
        print(f"reloading: {changed} changed", file=sys.stderr, flush=True)
        processes = [process for process in processes if process.poll() is None]
        for process in processes:
            process.terminate()
        processes.append(_started(arguments))
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        process.wait()
    return 0


def _started(arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    # In a group of its own: a Ctrl-C is for this process, which stops the other one once.
    return subprocess.Popen([sys.executable, "-m", "stenograph_sdk.cli", *arguments], start_new_session=True)
