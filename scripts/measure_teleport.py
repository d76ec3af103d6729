#!/usr/bin/env python3
"""Measures what teleportation does to a network on Fashion-MNIST, and prints the tables as Markdown.

    measure_teleport.py [--command build/release/headstart] [--network models/fashion-mnist-28x28-uncond.safetensors]
                        [--out out/teleport] [--num 10000]

Every row: the same seeds 0 .. num-1, Frechet distance in fashion-mnist-features to the 60,000 training images, and its difference from the
full run and from the unskipped run of equal evaluations, with bootstrap intervals over the seeds. Then the held-out denoising error of the
network and of the Gaussian on 1,000 test images. What was done once is kept in --out, so an interrupted run is simply started again.
"""

import argparse
import ast
import gzip
import json
import os
import pathlib
import random
import struct
import subprocess
import sys

FEATURES = "fashion-mnist-features"
SIGMAS = [1, 2, 3, 5, 8, 10, 20, 40, 80]
HELD_OUT = 1000

# name, options of sample, names of the earlier rows to compare with. The skips are chosen beforehand, not by these distances.
ROWS = [
    ("Heun 18", ["--steps", 18], []),
    ("Heun 14", ["--steps", 14], ["Heun 18"]),
    ("Heun 10", ["--steps", 10], ["Heun 18"]),
    ("Heun 18, tail from 20", ["--steps", 18, "--teleport", 20], ["Heun 18", "Heun 14", "Heun 10"]),
    ("Heun 7", ["--steps", 7], ["Heun 18"]),
    ("Heun 7, respaced from 10", ["--steps", 7, "--teleport", 10, "--teleport_mode", "respaced"], ["Heun 18", "Heun 7"]),
    ("Heun 6", ["--steps", 6], ["Heun 18"]),
    ("Heun 6, respaced from 10", ["--steps", 6, "--teleport", 10, "--teleport_mode", "respaced"], ["Heun 18", "Heun 6"]),
    ("Heun 5", ["--steps", 5], ["Heun 18"]),
    ("Heun 5, respaced from 10", ["--steps", 5, "--teleport", 10, "--teleport_mode", "respaced"], ["Heun 18", "Heun 5"]),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="build/release/headstart")
    parser.add_argument("--network", default="models/fashion-mnist-28x28-uncond.safetensors")
    parser.add_argument("--out", default="out/teleport", type=pathlib.Path)
    parser.add_argument("--num", default=10000, type=int)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    study = Study(options)
    study.distances()
    study.denoising()


class Study:
    def __init__(self, options):
        self.command, self.network, self.out, self.num = options.command, options.network, options.out, options.num
        self.stats = self.out / "stats.safetensors"
        self.reference = self.out / "reference.npz"
        self.once("fit.json", "fit", "fashion-mnist", "--out", self.stats)
        self.once("reference.json", "evaluate", "--reference", "fashion-mnist", "--features", FEATURES, "--save_reference", self.reference)

    def once(self, name, *arguments):
        """The result of a verb; run only where it is not there yet."""
        path = self.out / name
        if not path.exists():
            partial = path.with_suffix(".partial")
            print("# headstart " + " ".join(map(str, arguments)), file=sys.stderr, flush=True)
            subprocess.run([self.command, *map(str, arguments), "--json", str(partial)], check=True, stdout=subprocess.DEVNULL)
            os.replace(partial, path)
        return json.loads(path.read_text())

    def samples(self, name, source, options):
        folder = self.out / name.lower().replace(", ", "-").replace(" ", "-")
        run = self.once(folder.name + ".json", "sample", *source, "--outdir", folder, "--seeds", f"0-{self.num - 1}", "--subdirs",
                        "--resume", *options)
        return folder, run

    def evaluate(self, name, folder, baseline=None):
        against = ["--baseline", baseline] if baseline else []
        return self.once(name, "evaluate", "--samples", folder, "--reference", self.reference, "--features", FEATURES, "--num", self.num,
                         *against)

    def distances(self):
        folders, nfe = {}, {}
        print("| run | NFE | sigma_skip | Frechet distance | against | difference | relative |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, options, baselines in ROWS:
            jump = ["--teleport_stats", self.stats] if "--teleport" in options else []
            folder, run = self.samples(name, ["--network", self.network], [*options, *jump])
            folders[name], nfe[name] = folder, run["nfe"]
            frechet = self.evaluate(folder.name + "-frechet.json", folder)["frechet"]
            skip = f'{run["sigma_skip"]:.4g}' if run.get("sigma_skip") else ""
            lead = f'| {name} | {run["nfe"]} | {skip} | {spread(frechet)} |'
            if not baselines:
                print(f"{lead} | | |")
            for baseline in baselines:
                difference = self.evaluate(f"{folder.name}-minus-{folders[baseline].name}.json", folder, folders[baseline])["frechet_difference"]
                relative = f'{100 * difference["relative"]:+.1f} % [{100 * difference["relative_low"]:+.1f}, {100 * difference["relative_high"]:+.1f}]'
                print(f"{lead} {baseline} ({nfe[baseline]}) | {spread(difference, sign=True)} | {relative} |")
                lead = "| | | | |"
        gaussian, _ = self.samples("Gaussian", ["--stats", self.stats], ["--steps", 18])
        floor = self.evaluate("gaussian-frechet.json", gaussian)["frechet"]
        test = self.once("test-frechet.json", "evaluate", "--samples", "fashion-mnist-test", "--reference", self.reference, "--features",
                         FEATURES)["frechet"]
        full = self.evaluate("heun-18-frechet.json", folders["Heun 18"])["frechet"]
        print(f'\nSamples of the fitted Gaussian itself: {spread(floor)}. The 10,000 test images: {spread(test)}.')
        print(f'The full run is at {100 * full["value"] / floor["value"]:.2f} % of the Gaussian.')

    def denoising(self):
        print("\n| sigma | network | Gaussian | network / Gaussian |\n| --- | --- | --- | --- |")
        clean = test_images(HELD_OUT)
        for sigma in SIGMAS:
            result = self.out / f"denoising-{sigma}.json"
            if not result.exists():
                generator = random.Random(sigma)
                noisy = self.out / "noisy.npy"
                write_npy(noisy, [[value + generator.gauss(0, sigma) for value in image] for image in clean])
                errors = {}
                for model, source in (("network", ["--network", self.network]), ("gaussian", ["--stats", self.stats])):
                    denoised = self.out / "denoised.npy"
                    subprocess.run([self.command, "denoise", str(noisy), "--sigma", str(sigma), "--out", str(denoised), *map(str, source),
                                    "--quiet"], check=True)
                    errors[model] = sum(sum((a - b) ** 2 for a, b in zip(x, y)) for x, y in zip(read_npy(denoised), clean)) / len(clean)
                result.write_text(json.dumps(errors))
            errors = json.loads(result.read_text())
            print(f'| {sigma} | {errors["network"]:.2f} | {errors["gaussian"]:.2f} | {errors["network"] / errors["gaussian"]:.3f} |')


def spread(value, sign=False):
    form = "{:+.3f} [{:+.3f}, {:+.3f}]" if sign else "{:.3f} [{:.3f}, {:.3f}]"
    return form.format(value["value"], value["low"], value["high"])


def test_images(count):
    """The first test images in data units."""
    folder = pathlib.Path(os.environ.get("HEADSTART_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        pixels = file.read(16 + count * 784)[16:]
    return [[value / 127.5 - 1 for value in pixels[n * 784 : (n + 1) * 784]] for n in range(count)]


def write_npy(path, rows):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}".ljust(117) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode())
        for row in rows:
            file.write(struct.pack(f"<{len(row)}f", *row))


def read_npy(path):
    """Rows of a 2-D array of little-endian floats."""
    with open(path, "rb") as file:
        major = file.read(8)[6]
        size = struct.unpack("<H" if major == 1 else "<I", file.read(2 if major == 1 else 4))[0]
        header = ast.literal_eval(file.read(size).decode())
        rows, columns = header["shape"]
        code = {"<f4": "f", "<f8": "d"}[header["descr"]]
        width = columns * struct.calcsize(code)
        return [struct.unpack(f"<{columns}{code}", file.read(width)) for _ in range(rows)]


if __name__ == "__main__":
    main()
