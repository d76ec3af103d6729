#!/usr/bin/env python3
"""Runs the documentation's shell snippets with the command that was just built.

    readme_test.py HEADSTART [--root FOLDER]

Every ```sh block must say in a comment on the line above whether it runs: <!-- run --> or <!-- not run: WHY -->. Those of one page run
in order, with bash -eu, in one temporary folder that has models/ and build/release/ as the project's folder does; nothing else is
shared between them. A line that calls make is not run: its target must exist. Exit code 1 with the reason if anything fails.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import markdown  # noqa: E402

SECONDS = 300  # for one block, on a machine that is busy


def mark_above(text, number):
    lines = text.splitlines()[: number - 1]
    return lines[-1].strip() if lines else ""


def runnable(text):
    """(line number, lines) of the blocks to run, and complaints about those that do not say."""
    chosen, complaints = [], []
    for language, number, lines in markdown.blocks(text)[0]:
        mark = mark_above(text, number)
        if mark == "<!-- run -->" and language == "sh":
            chosen.append((number, lines))
        elif mark == "<!-- run -->":
            complaints.append("line %d: only ```sh blocks can be run, this is ```%s" % (number, language))
        elif language in ("sh", "bash", "shell", "console") and not re.fullmatch(r"<!-- not run: .+ -->", mark):
            complaints.append("line %d: expected <!-- run --> or <!-- not run: WHY --> above this block" % number)
    return chosen, complaints


def without_make(lines, root):
    """The script to run, with calls of make left out once their targets were found."""
    script = []
    for line in lines:
        if re.match(r"\s*make\s", line):
            words = line.split("#")[0].split()
            done = subprocess.run(["make", "-n", "-C", str(root), *words[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if done.returncode != 0:
                raise RuntimeError("%s: %s" % (line.strip(), done.stderr.decode().strip()))
            line = ":"
        script.append(line)
    return "\n".join(script) + "\n"


def run_page(page, root, command):
    """The number of blocks that ran. Raises RuntimeError with the first failure."""
    text = page.read_text(encoding="utf-8")
    chosen, complaints = runnable(text)
    if complaints:
        raise RuntimeError(complaints[0])
    with tempfile.TemporaryDirectory(prefix="headstart_docs_") as folder:
        folder = pathlib.Path(folder)
        (folder / "build").mkdir()
        (folder / "build" / "release").symlink_to(command.parent)
        (folder / "models").symlink_to(root / "models")
        env = dict(os.environ, PATH="%s%s%s" % (command.parent, os.pathsep, os.environ["PATH"]))
        for number, lines in chosen:
            where = "line %d" % number
            start = time.monotonic()
            try:
                done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", without_make(lines, root)], cwd=folder, env=env,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
            except RuntimeError as error:
                raise RuntimeError("%s: %s" % (where, error)) from None
            except subprocess.TimeoutExpired:
                raise RuntimeError("%s: did not end within %d s" % (where, SECONDS)) from None
            if done.returncode != 0:
                raise RuntimeError("%s: exit code %d\n%s" % (where, done.returncode, done.stdout.decode("utf-8", "replace")))
            print("%s: %s: ran in %.1f s" % (page.relative_to(root), where, time.monotonic() - start), flush=True)
    return len(chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("headstart", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=markdown.ROOT)
    options = parser.parse_args()
    command, root = options.headstart.resolve(), options.root.resolve()
    if command.name != "headstart" or not os.access(command, os.X_OK):
        print("readme_test: expected the headstart command, got %s" % options.headstart, file=sys.stderr)
        return 1
    failures = ran = 0
    for page in markdown.pages(root):
        try:
            ran += run_page(page, root, command)
        except (RuntimeError, ValueError) as error:
            print("readme_test: %s: %s" % (page.relative_to(root), error), file=sys.stderr)
            failures += 1
    if ran == 0 and failures == 0:
        print("readme_test: expected snippets marked <!-- run -->, found none", file=sys.stderr)
        failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
