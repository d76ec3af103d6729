#!/usr/bin/env python3
"""Draws docs/design.md from the folders and the #include lines as they are; --check only says whether it is up to date."""

import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/design.md"
# In the order of the data flow; every folder of include/headstart must be here.
ROOMS = {
    "data": "files to numbers and back: no torch",
    "core": "threads, BLAS, tensors in files",
    "moments": "mean, covariance, eigenbasis",
    "denoise": "the Denoiser contract, closed forms",
    "flow": "exact flow of a Gaussian, teleportation",
    "solve": "grids of noise levels, solvers",
    "nets": "networks: U-Net, TorchScript, training",
    "calibrate": "what is learnt from a network before sampling",
    "metrics": "features, Frechet distance",
    "report": "result structs to one HTML page: no torch",
    "app": "the command line, one file a verb",
}


def files_of(room):
    folders = [ROOT / "app"] if room == "app" else [ROOT / "include/headstart" / room, ROOT / "src" / room]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in (".h", ".cpp"))


def rooms_used(room):
    """Other rooms that the files of a room include, and how often."""
    used = collections.Counter()
    for path in files_of(room):
        for other in re.findall(r'#include "headstart/(\w+)/', path.read_text()):
            if other != room:
                used[other] += 1
    return used


def purpose(header):
    """A header's first comment."""
    lines = []
    for line in header.read_text().splitlines()[1:]:
        if not line.startswith("// "):
            break
        lines.append(line[3:])
    return " ".join(lines)


def page():
    folders = {path.name for path in (ROOT / "include/headstart").iterdir() if path.is_dir()}
    if folders != set(ROOMS) - {"app"}:
        sys.exit(f"draw_design: expected the rooms {', '.join(ROOMS)}, got {', '.join(sorted(folders))}")
    used = {room: rooms_used(room) for room in ROOMS}
    order = list(ROOMS)
    upward = [(room, other) for room in order for other in used[room] if order.index(other) > order.index(room)]
    if upward:
        sys.exit("draw_design: rooms may only use those before them, but " + ", ".join(f"{a}/ uses {b}/" for a, b in upward))

    out = ["# Design", "", "Drawn from the folders and the `#include` lines by `scripts/draw_design.py`; do not edit. [HACKING.md](HACKING.md) has",
           "the reasons. An arrow points from a room to one it uses; the command uses all of them and is left out.", "", "```mermaid",
           "flowchart LR"]
    out += [f'  {room}["<b>{room}/</b><br/>{text}"]' for room, text in ROOMS.items() if room != "app"]
    for room in order[:-1]:
        # An arrow that a longer way of arrows implies would only hide the others.
        reachable = set()
        for middle in used[room]:
            reachable |= everything_below(middle, used)
        out += [f"  {room} --> {other}" for other in order if other in used[room] and other not in reachable]
    out += ["```", "", "| room | uses | files |", "| --- | --- | --- |"]
    for room in order:
        uses = ", ".join(f"{other}/" for other in order if other in used[room]) or "nothing"
        out.append(f"| `{room}/` | {uses} | {len(files_of(room))} |")
    for room in order[:-1]:
        out += ["", f"## {room}/", ""]
        headers = sorted((ROOT / "include/headstart" / room).glob("*.h"))
        out += [f"- `{header.name}` {purpose(header)}" for header in headers]
    return "\n".join(out) + "\n"


def everything_below(room, used):
    below = set(used[room])
    for other in used[room]:
        below |= everything_below(other, used)
    return below


def main():
    drawn = page()
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != drawn:
            sys.exit("draw_design: docs/design.md is not what the folders are: run scripts/draw_design.py")
    elif sys.argv[1:]:
        sys.exit("draw_design: expected no argument or --check")
    else:
        PAGE.write_text(drawn)


if __name__ == "__main__":
    main()
