#!/usr/bin/env python3
"""Runs clang-tidy over the files that a build tree compiles, and prints what it finds in this project.

    tidy.py BUILD [--jobs N]

What it says of libtorch's own headers is left out: clang 14 does not accept them as C++20.
"""

import argparse
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FINDING = re.compile(r"^(/\S+?):\d+:\d+: (warning|error): ")


def findings(build, file):
    """The lines of clang-tidy's findings in this project, each with what follows it."""
    done = subprocess.run(["clang-tidy", "-p", build, "--quiet", file], capture_output=True, text=True)
    if not done.stdout and done.returncode:
        return ["%s: clang-tidy failed: %s" % (file, done.stderr.strip()[-300:])]
    found, wanted = [], False
    for line in done.stdout.splitlines():
        if match := FINDING.match(line):
            wanted = pathlib.Path(match[1]).is_relative_to(ROOT)
        if wanted:
            found.append(line)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--jobs", default=2, type=int)
    options = parser.parse_args()
    files = [entry["file"] for entry in json.loads((options.build / "compile_commands.json").read_text())]
    clean = True
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for file, found in zip(files, pool.map(lambda file: findings(options.build, file), files)):
            print("%s: %s" % (pathlib.Path(file).relative_to(ROOT), "clean" if not found else "%d lines" % len(found)), flush=True)
            print("\n".join(found), end="\n" if found else "", flush=True)
            clean = clean and not found
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
