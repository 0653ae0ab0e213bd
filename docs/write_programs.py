"""Copies the programs of docs/examples/crawlers into the pages that show them: `make docs`.

A program stands below a line that is only a link to it, with a colon.
"""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).parent
_LANGUAGES = {".py": "python", ".sh": "sh", ".mjs": "js"}
#: A link to a program, and the block below it.
_SHOWN = re.compile(r"(^\[(\S+)\]\(\.\./examples/crawlers/\2\):\n\n)```.*?^```$", re.MULTILINE | re.DOTALL)


def with_programs(page: str) -> str:
    """Return a page with the programs as they are now."""
    return _SHOWN.sub(lambda found: found[1] + _block(DOCS / "examples" / "crawlers" / found[2]), page)


def _block(program: Path) -> str:
    return f"```{_LANGUAGES[program.suffix]}\n{program.read_text(encoding='utf-8')}```"


def main() -> None:
    """Write the pages that have programs."""
    for path in sorted((DOCS / "crawlers").glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if with_programs(page) != page:
            path.write_text(with_programs(page), encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
