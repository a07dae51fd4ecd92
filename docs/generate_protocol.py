"""Write the generated parts of docs/protocol.md: whatever stands between such a mark and `<!-- end -->`.

<!-- keys: input=InputDoc variables=VariableDoc -->           the keys of these models of the language, as a table
<!-- quote: help-desk/protocol.yaml tools.find-order -->      lines of an example agent, with the keys around them
<!-- list: codes -->                                          another table, from the code

The prose around them is written by hand, in the page itself.

python docs/generate_protocol.py            write it
python docs/generate_protocol.py --check    exit 1 if it is out of date, for tests
"""

import re
from pathlib import Path

from pages import keep
from protocol_parts.keys import key_table
from protocol_parts.lists import LISTS
from protocol_parts.quotes import quote

HERE = Path(__file__).parent
PAGE = HERE / "protocol.md"
EXAMPLES = HERE / "examples"

MARKED = re.compile(r"^(<!-- (keys|quote|list): ([^\n]+) -->\n).*?^<!-- end -->$", re.MULTILINE | re.DOTALL)


def page(text: str) -> str:
    """Return the page `text` with its generated parts as they should be."""
    return MARKED.sub(lambda mark: f"{mark[1]}\n{_generated(mark[2], mark[3])}\n\n<!-- end -->", text)


def _generated(kind: str, what: str) -> str:
    match kind:
        case "keys":
            return key_table(what)
        case "quote":
            return quote(EXAMPLES, what)
        case _:
            return LISTS[what]()


if __name__ == "__main__":
    raise SystemExit(keep(PAGE, page(PAGE.read_text(encoding="utf-8")), __file__))
