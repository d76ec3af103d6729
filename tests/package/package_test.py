"""Installs the build into a folder, builds examples/teleport against it with find_package alone, and runs both programs."""

import pathlib
import re
import subprocess
import sys
import tempfile

BUILD, SOURCE, CMAKE = (pathlib.Path(argument) for argument in sys.argv[1:4])


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


with tempfile.TemporaryDirectory(prefix="headstart_package_") as folder:
    root = pathlib.Path(folder)
    run(CMAKE, "--install", BUILD, "--prefix", root / "prefix")
    assert (root / "prefix/share/headstart/models/fashion-mnist-features.safetensors").is_file()
    version = run(root / "prefix/bin/headstart", "--version")
    assert version.startswith("headstart "), version

    # The example is copied away, so that nothing of the source tree can help it.
    (root / "example").mkdir()
    for source in (SOURCE / "examples/teleport").iterdir():
        (root / "example" / source.name).write_bytes(source.read_bytes())
    run(CMAKE, "-S", root / "example", "-B", root / "build", f"-DCMAKE_PREFIX_PATH={root / 'prefix'}", "-DCMAKE_BUILD_TYPE=Release")
    for exported in (root / "prefix").rglob("*.cmake"):
        assert str(SOURCE) not in exported.read_text(), f"{exported} names the source tree"
    run(CMAKE, "--build", root / "build")
    printed = run(root / "build/teleport_example")
    print(printed, end="")
    match = re.fullmatch(r"full run: (\d+) evaluations; from sigma ([\d.]+): (\d+); rms difference of the samples ([\d.]+)\n", printed)
    assert match, printed
    assert int(match[1]) == 35 and int(match[3]) < 35 and float(match[2]) <= 5, printed
    assert float(match[4]) < 0.2, printed
