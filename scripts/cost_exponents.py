#!/usr/bin/env python3
"""Runs bench/scaling_bench, and prints how time grows with each size as a table, with the exponent that fits best.

    cost_exponents.py [--bench build/release/bench/scaling_bench] [--results FILE]

With --results, reads what the bench wrote before (--benchmark_out=FILE --benchmark_out_format=json).
"""

import argparse
import collections
import json
import math
import pathlib
import subprocess
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="build/release/bench/scaling_bench")
    parser.add_argument("--results", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.results or pathlib.Path(folder) / "results.json"
        if not options.results:
            subprocess.run([options.bench, "--benchmark_out=%s" % file, "--benchmark_out_format=json"], check=True, stdout=subprocess.DEVNULL)
        results = json.loads(file.read_text())["benchmarks"]
    series = collections.defaultdict(list)
    for result in results:
        name, size, value = result["name"].split("/")[:3]
        series[name, size].append((int(value), result["real_time"]))
    print("| | with | time as the size doubles | exponent |\n| --- | --- | --- | --- |")
    for (name, size), points in series.items():
        points.sort()
        times = ", ".join("%.2f" % (time / points[0][1]) for _, time in points)
        print("| %s | %s = %s | %s | %.2f |" % (name.replace("_", " "), size, ", ".join("%d" % value for value, _ in points), times,
                                                exponent(points)))


def exponent(points):
    """Least squares in log-log."""
    x, y = zip(*((math.log(value), math.log(time)) for value, time in points))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)


if __name__ == "__main__":
    main()
