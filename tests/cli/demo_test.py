#!/usr/bin/env python3
"""The main job with few samples: a row for every run, and a report that opens in headless Chromium with all its charts drawn."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROWS = {("off", 18): 35, ("tail", 18): 27, ("off", 14): 27, ("off", 10): 19, ("respaced", 10): 19}


def main():
    command = pathlib.Path(sys.argv[1]).resolve()
    browser_test = pathlib.Path(__file__).resolve().parent.parent / "report" / "browser_test.py"
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "demo"
        run = subprocess.run([command, "demo", "--num", "24", "--out_dir", out, "--quiet"], capture_output=True, text=True, cwd=folder)
        assert run.returncode == 0, f"demo ended with {run.returncode}: {run.stderr}"
        result = json.loads((out / "demo.json").read_text())
        nfe = {(row["settings"]["teleport"], row["settings"]["steps"]): row["nfe"] for row in result["rows"]}
        for key, expected in ROWS.items():
            assert nfe.get(key) == expected, f"expected {expected} evaluations for {key}, got {nfe.get(key)} of {nfe}"
        skip = next(row["settings"]["sigma_skip"] for row in result["rows"] if row["settings"]["teleport"] == "tail")
        assert abs(skip - 19.35) < 0.01, f"expected the tail-mode jump to land on 19.35, got {skip}"
        assert all(row["frechet"]["value"] > 0 and row["num"] == 24 for row in result["rows"]), "expected a Frechet distance in every row"
        sweep = [stop["nfe"] for stop in result["sweep"]]
        assert sweep == [35, 29, 27, 23, 19, 17, 13], f"expected a sweep from no jump to sigma 1, got {sweep}"
        rmse = [stop["rmse"] for stop in result["sweep"]]
        assert rmse[0] == 0 and min(rmse[1:]) > 0, f"expected distances to the run without a jump, got {rmse}"
        size = (out / "report.html").stat().st_size
        assert size < 3_000_000, f"expected a page below 3 MB, got {size} bytes"
        assert sorted(path.name for path in out.iterdir()) == ["demo.json", "report.html", "stats.safetensors"], list(out.iterdir())
        if not shutil.which("chromium"):
            print("no Chromium: the report was not opened")
            return 77
        browser = subprocess.run([sys.executable, browser_test, out / "report.html", "--charts", "4", "--no_self_check", "--screenshot",
                                  pathlib.Path(folder) / "report.png"], capture_output=True, text=True)
        assert browser.returncode == 0, f"the report does not work in a browser: {browser.stderr}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
