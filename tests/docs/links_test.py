#!/usr/bin/env python3
"""Checks that every link and picture of the documentation leads somewhere inside the project, and that nothing was left to be written.

    links_test.py [--root FOLDER]

Addresses on the web are not asked. Exit code 1 with one line a fault.
"""

import argparse
import pathlib
import re
import sys
import urllib.parse

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import markdown  # noqa: E402

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|<(?:img|a)\b[^>]*?(?:src|href)=[\"']([^\"']+)[\"']")
UNFINISHED = re.compile(r"\b(TODO|FIXME|TBD)\b|<!-- numbers:")


def anchors(text):
    """The anchors that headings get where the pages are shown, repeated ones counted."""
    seen, result = {}, set()
    for _, line in markdown.blocks(text)[1]:
        heading = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if heading:
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            seen[slug] = seen.get(slug, -1) + 1
            result.add(slug if seen[slug] == 0 else "%s-%d" % (slug, seen[slug]))
    return result


def fault_of(page, target, root):
    """Why this link leads nowhere, or None."""
    if re.match(r"(https?|mailto):", target):
        return None
    path, _, anchor = urllib.parse.unquote(target).partition("#")
    if path.startswith("/"):
        return "an absolute path"
    found = (page.parent / path).resolve() if path else page
    if root not in found.parents and found != root:
        return "leads out of the project"
    if not found.exists():
        return "no such file"
    if anchor and found.suffix == ".md" and anchor not in anchors(found.read_text(encoding="utf-8")):
        return "no such heading"
    return None


def faults(page, root):
    text = page.read_text(encoding="utf-8")
    for number, line in markdown.blocks(text)[1]:
        shown = re.sub(r"`[^`]*`", "", line)
        for match in LINK.finditer(shown):
            target = match[1] or match[2]
            fault = fault_of(page, target, root)
            if fault:
                yield number, "link to %s: %s" % (target, fault)
        if UNFINISHED.search(shown):
            yield number, "left to be written: " + line.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=markdown.ROOT)
    root = parser.parse_args().root.resolve()
    found = 0
    pages = markdown.pages(root)
    for page in pages:
        try:
            for number, fault in faults(page, root):
                print("%s:%d: %s" % (page.relative_to(root), number, fault), file=sys.stderr)
                found += 1
        except ValueError as error:
            print("%s: %s" % (page.relative_to(root), error), file=sys.stderr)
            found += 1
    if not found:
        print("%d pages: every link leads somewhere" % len(pages))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
