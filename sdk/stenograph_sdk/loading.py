"""Reading the Python files that a worker serves: their tools and lifespans, or one line that says what is wrong."""

import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

from stenograph_sdk.errors import NoTools, WorkerFileError
from stenograph_sdk.lifespan import Lifespan
from stenograph_sdk.tools import Tool
from stenograph_sdk.worker import Worker


class Loaded(NamedTuple):
    """What files define, in their order."""

    tools: list[Tool]
    lifespans: list[Lifespan]


def load(paths: Sequence[Path]) -> Loaded:
    """Return what the Python files at `paths` define; what one of them imports from another counts once.

    Raises `WorkerFileError` for a file that cannot be read or run, naming the line, and for two tools of one name;
    `NoTools` for one that defines none.
    """
    tools: dict[int, Tool] = {}
    lifespans: dict[int, Lifespan] = {}
    defined: dict[str, Path] = {}
    for path in paths:
        values = list(vars(_import(path)).values())
        found = {id(value): value for value in values if isinstance(value, Tool)}
        opens = {id(value): value for value in values if isinstance(value, Lifespan)}
        if not found and not opens:
            raise NoTools(_none_in(path, values))
        for tool in found.values():
            if defined.setdefault(tool.name, path) != path and id(tool) not in tools:
                raise WorkerFileError(f"{path} and {defined[tool.name]} both define a tool {tool.name!r}")
        tools |= found
        lifespans |= opens
    if paths and not tools:
        raise NoTools(_none_in(paths[0], []))
    return Loaded(list(tools.values()), list(lifespans.values()))


def _none_in(path: Path, values: list[object]) -> str:
    if any(isinstance(value, Worker) for value in values):
        return f"{path} makes a Worker itself: run it with `python {path}`, or decorate with @tool(…) instead"
    return f"{path} defines no tools: decorate functions with @tool(…), from stenograph_sdk import tool"


class _Fresh(SourceFileLoader):
    """Compiles what the file says now: bytecode is not told from that of a second ago."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _import(path: Path) -> ModuleType:
    if path.is_dir():
        raise WorkerFileError(f"{path} is a folder: name the Python files in it")
    if not path.is_file():
        raise WorkerFileError(f"there is no file {path}")
    if path.suffix != ".py":
        raise WorkerFileError(f"{path} is not a Python file: its name must end in .py")
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_{abs(hash(path.resolve())):x}"
    spec = spec_from_file_location(name, path, loader=_Fresh(name, str(path)))
    assert spec is not None, "there is a spec wherever there is a loader"
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))  # as `python FILE.py` would: its neighbours can be imported
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise WorkerFileError(f"{error.filename or path}, line {error.lineno}: {error.msg}") from error
    except ImportError as error:
        mend = f"; is it installed in {sys.prefix}?" if isinstance(error, ModuleNotFoundError) else ""
        raise WorkerFileError(f"{path}, line {_line(path, error)}: {type(error).__name__}: {error}{mend}") from error
    except OSError as error:
        raise WorkerFileError(f"{path}, line {_line(path, error)}: {error}") from error
    except (Exception, SystemExit) as error:
        raise WorkerFileError(f"{path}, line {_line(path, error)}: {type(error).__name__}: {error}") from error
    return module


def _line(path: Path, error: BaseException) -> int | str:
    """Return the last line of the file itself that led to `error`."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return next((line for line in reversed(lines) if line), "?")
