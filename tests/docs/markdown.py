"""What the tests of the documentation share: the project's pages, and their lines inside and outside of fenced blocks."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pages(root=ROOT):
    found = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("models/*.md")]
    if not found:
        raise SystemExit("%s: expected pages (*.md), found none" % root)
    return sorted(found)


def blocks(text):
    """(language, line number of the fence, lines) of every fenced block; and the prose: (line number, line) of everything else."""
    fenced, prose = [], []
    current = None
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"\s*```\s*(\S*)\s*$", line)
        if fence and current is None:
            current = (fence[1], number, [])
        elif fence:
            fenced.append(current)
            current = None
        elif current is not None:
            current[2].append(line)
        else:
            prose.append((number, line))
    if current is not None:
        raise ValueError("line %d: this block is never closed" % current[1])
    return fenced, prose
