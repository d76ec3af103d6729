#!/usr/bin/env python3
"""denoise and sample with the exact score of data, and with the smoothed one, against the same formulas in plain Python."""

import gzip
import json
import math
import pathlib
import random
import re
import struct
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

DIM, COUNT = 8, 300
AREA = cli.SIDE**2


def float32(rows):
    return [[struct.unpack("<f", struct.pack("<f", value))[0] for value in row] for row in rows]


def setUpModule():
    global folder, data, points
    folder = cli.temporary_folder()
    data = float32(cli.gaussian_points(COUNT, DIM))
    cli.write_points(folder / "data.npy", data, "<f4")  # this one is mapped, the others are read
    cli.write_points(folder / "doubles.npy", data)
    (folder / "data.npy.gz").write_bytes(gzip.compress((folder / "data.npy").read_bytes()))
    noise = random.Random(3)
    points = [[value + noise.gauss(0, 0.3) for value in row] for row in data[:12]]
    cli.write_points(folder / "points.npy", points)
    cli.write_blobs(folder / "images.idx", 40)


def exact(rows, sigma, of=None):
    """sum_i softmax_i(-|x - x_i|^2 / (2 sigma^2)) x_i."""
    of, result = of or data, []
    for x in rows:
        exponents = [-sum((a - b) ** 2 for a, b in zip(x, point)) / (2 * sigma * sigma) for point in of]
        most = max(exponents)
        weights = [math.exp(e - most) for e in exponents]
        total = math.fsum(weights)
        result.append([math.fsum(w * point[k] for w, point in zip(weights, of)) / total for k in range(len(x))])
    return result


def denoise(sigma, *options):
    result = cli.result_of("denoise", folder / "points.npy", "--sigma", sigma, "--out", folder / "out.npy", *options)
    array = cli.read_npy(folder / "out.npy")
    assert result["count"] == len(points) and array.shape == (len(points), DIM) and array.dtype == "<f8"
    return array.rows()


names = iter(range(1000))


def sample(*options):
    outdir = folder / ("run_%03d" % next(names))
    return outdir, cli.result_of("sample", "--outdir", outdir, *options)


def pictures(outdir):
    return [list(cli.decode_png(content)[1]) for _, content in sorted(cli.pngs(outdir).items())]


class Denoise(unittest.TestCase):
    def test_the_exact_score_matches_the_formula(self):
        for sigma in (0.05, 0.3, 2, 80):
            expected = exact(points, sigma)
            for name in ("data.npy", "doubles.npy", "data.npy.gz"):
                self.assertLess(cli.largest_difference(denoise(sigma, "--exact", folder / name), expected), 1e-5, (name, sigma))

    def test_files_that_are_mapped_and_read_give_the_same_bits(self):
        self.assertEqual(denoise(0.3, "--exact", folder / "data.npy"), denoise(0.3, "--exact", folder / "doubles.npy"))

    def test_as_score_it_is_the_pull_towards_the_mean(self):
        expected = [[(d - a) / 0.09 for a, d in zip(x, row)] for x, row in zip(points, exact(points, 0.3))]
        self.assertLess(cli.largest_difference(denoise(0.3, "--exact", folder / "data.npy", "--as", "score"), expected), 1e-4)

    def test_limit_takes_the_first_points(self):
        for name in ("data.npy", "doubles.npy"):
            seen = denoise(0.5, "--exact", folder / name, "--limit", 20)
            self.assertLess(cli.largest_difference(seen, exact(points, 0.5, data[:20])), 1e-5)

    def test_smoothing_averages_over_shifts(self):
        inner = exact(points, 0.3)
        self.assertLess(cli.largest_difference(denoise(0.3, "--smooth", 0, folder / "data.npy"), inner), 1e-5)
        # With many draws of a large radius the result is another one, the same for the same seed only.
        wide = ["--smooth", 0.5, folder / "data.npy", "--smooth_draws", 64]
        smoothed = denoise(0.3, *wide)
        self.assertGreater(cli.largest_difference(smoothed, inner), 0.05)
        self.assertEqual(denoise(0.3, *wide), smoothed)
        self.assertNotEqual(denoise(0.3, *wide, "--smooth_seed", 1), smoothed)


class Sample(unittest.TestCase):
    def test_the_exact_score_reproduces_training_images(self):
        outdir, result = sample("--exact", folder / "images.idx", "--seeds", "0-15")
        flat = cli.blob_pixels(40)
        training = [flat[i * AREA : (i + 1) * AREA] for i in range(40)]
        drawn = pictures(outdir)
        self.assertEqual((result["count"], result["nfe"], len(drawn)), (16, 35, 16))
        for picture in drawn:
            self.assertIn(picture, training)
        self.assertGreater(len(set(map(tuple, drawn))), 4)

    def test_batch_and_threads_change_no_picture(self):
        runs = [sample("--exact", folder / "images.idx", "--seeds", "0-20", "--steps", 6, *more)[0]
                for more in (["--threads", 2], ["--batch", 1], ["--batch", 8, "--threads", 1])]
        first = cli.pngs(runs[0])
        self.assertEqual(len(first), 21)
        for run in runs[1:]:
            self.assertEqual(cli.pngs(run), first)

    def test_the_smoothed_score_lands_between_training_images(self):
        outdir, _ = sample("--smooth", 0.6, folder / "images.idx", "--seeds", "0-7", "--smooth_draws", 32)
        flat = cli.blob_pixels(40)
        training = [flat[i * AREA : (i + 1) * AREA] for i in range(40)]
        self.assertTrue(any(picture not in training for picture in pictures(outdir)))
        settings = json.loads((outdir / "run.json").read_text())["settings"]
        self.assertEqual((settings["kappa"], settings["smooth_draws"], settings["smooth_seed"]), (0.6, 32, 0))

    def test_a_mixture_is_sampled_like_any_statistics(self):
        mixture = folder / "mixture.safetensors"
        cli.succeed("fit", folder / "images.idx", "--components", 2, "--rank", 5, "--out", mixture)
        runs = [sample("--stats", mixture, "--seeds", "0-4", "--steps", 6, *more)[0] for more in ([], ["--batch", 2, "--threads", 1])]
        first = cli.pngs(runs[0])
        self.assertEqual((len(set(first.values())), cli.pngs(runs[1])), (5, first))

    def test_the_settings_name_the_data_by_content(self):
        outdir, _ = sample("--exact", folder / "data.npy", "--seeds", "0-1", "--npz", "--steps", 4)
        settings = json.loads((outdir / "run.json").read_text())["settings"]
        self.assertEqual(settings["exact"], str(folder / "data.npy"))
        self.assertRegex(settings["model_sha256"], r"\A[0-9a-f]{64}\Z")
        other = cli.run("sample", "--exact", folder / "data.npy", "--limit", 10, "--outdir", outdir, "--seeds", "0-1", "--npz", "--steps", 4, "--resume")
        self.assertEqual(other.code, 3)  # other data: another run


class Refusals(unittest.TestCase):
    def refuse(self, code, parts, *arguments):
        result = cli.run(*arguments)
        self.assertEqual(result.code, code, "\n%s" % result)
        self.assertRegex(result.err, r"\Aheadstart: [^\n]+\n\Z")
        for part in parts:
            self.assertIn(str(part), result.err)

    def denoise(self, code, parts, *options, sigma=1):
        self.refuse(code, parts, "denoise", folder / "points.npy", "--sigma", sigma, "--out", folder / "refused.npy", *options)
        self.assertFalse((folder / "refused.npy").exists())

    def test_options_that_make_no_sense(self):
        some = folder / "data.npy"
        self.denoise(2, ["--sigma", 0], "--exact", some, sigma=0)
        self.denoise(2, ["--exact", "--smooth", "--isotropic"], "--exact", some, "--isotropic", some)
        self.denoise(2, ["--smooth"], "--smooth", 0.5)
        self.denoise(2, ["--smooth", "wide"], "--smooth", "wide", some)
        self.denoise(2, ["--smooth", "-1"], "--smooth=-1", some)
        self.denoise(2, ["--smooth_draws", 3], "--smooth", 0.5, some, "--smooth_draws", 3)
        self.denoise(2, ["--limit"], "--isotropic", some, "--limit", 5)
        self.denoise(2, ["--limit"], "--exact", some, "--limit", 0)
        self.denoise(2, [folder / "points.npy", 64, DIM], "--exact", folder / "images.idx")
        self.refuse(2, ["--network", "--exact"], "sample", "--outdir", folder / "refused", "--seeds", 0)
        self.refuse(2, ["--npz"], "sample", "--exact", some, "--outdir", folder / "refused", "--seeds", 0)

    def test_data_that_do_not_fit_into_memory(self):
        memory = int(re.search(r"MemTotal:\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text())[1]) * 1024
        count = 2 * memory // (4 * DIM)  # as float32 twice as much as there is
        path = folder / "huge.npy"
        header = cli.npy_bytes((count, DIM), [], "<f8")
        with open(path, "wb") as file:
            file.write(header)
            file.truncate(len(header) + 8 * count * DIM)  # a hole: it takes no room
        self.denoise(2, [path, "memory", "float32 .npy", "--limit"], "--exact", path)
        path.unlink()

    def test_data_that_cannot_be_used(self):
        self.denoise(3, [folder / "nothing.npy"], "--exact", folder / "nothing.npy")
        values = [value for row in data for value in row]
        values[77] = math.nan
        for name, dtype in (("nan32.npy", "<f4"), ("nan64.npy", "<f8")):
            cli.write_npy(folder / name, (COUNT, DIM), values, dtype)
            self.denoise(3, [folder / name, "nan", "byte"], "--exact", folder / name)
        (folder / "cut.npy").write_bytes((folder / "data.npy").read_bytes()[:-8])
        self.denoise(3, [folder / "cut.npy", "truncated"], "--exact", folder / "cut.npy")


if __name__ == "__main__":
    cli.main()
