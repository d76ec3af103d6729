#!/usr/bin/env python3
"""evaluate: references in files, feature networks in TorchScript, two sets of samples compared, and what is refused."""

import math
import random
import shlex
import sys
import unittest
import zipfile

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

SIDE, AREA, COUNT = cli.SIDE, cli.SIDE**2, 40
MEANS = "torch.mean(torch.to(x, 6), [2, 3])"  # of each channel; 6 is float32


def write_npz(path, **members):
    """Each member is (shape, values, dtype)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name + ".npy", cli.npy_bytes(*member))


def write_script(path, result):
    """A TorchScript network of one expression in x, put together by hand: Python's torch is not needed to run the tests."""
    code = "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
    code += "  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n    return %s\n" % result
    # Pickles: an object of class __torch__.Net with training = False; an empty tuple.
    module = b"\x80\x02c__torch__\nNet\n)\x81}(X\x08\x00\x00\x00training\x89ub."
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("data.pkl", module), ("code/__torch__.py", code), ("constants.pkl", b"\x80\x02)."), ("version", "3\n")):
            archive.writestr("net/" + name, content)


def moments(rows):
    """Mean and covariance, divisor N - 1."""
    n, mean = len(rows), [math.fsum(column) / len(rows) for column in zip(*rows)]
    centred = cli.transpose([[a - m for a, m in zip(row, mean)] for row in rows])
    return mean, [[math.fsum(a * b for a, b in zip(p, q)) / (n - 1) for q in centred] for p in centred]


def brighter(pixels, by):
    return [pixel + by for pixel in pixels]


def write_grey(name, pixels):
    cli.write_npy(folder / name, (len(pixels) // AREA, SIDE, SIDE), pixels, "|u1")
    return folder / name


def evaluate(samples, reference, *more):
    return cli.result_of("evaluate", "--samples", samples, "--reference", reference, "--num", COUNT, "--resamples", 50, *more)


def setUpModule():
    global folder, pixels, dark, light, means
    folder = cli.temporary_folder()
    pixels = [min(pixel, 200) for pixel in cli.blob_pixels(COUNT)]
    dark, light, means = write_grey("dark.npy", pixels), write_grey("light.npy", brighter(pixels, 20)), folder / "means.pt"
    write_script(means, MEANS)


class References(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.path = folder / "kept.npz"
        cls.result = cli.result_of("evaluate", "--reference", dark, "--save_reference", cls.path)

    def test_are_kept_as_edm_keeps_them(self):
        arrays = cli.read_npz(self.path)
        mean, covariance = moments([[p / 127.5 - 1 for p in pixels[n * AREA : (n + 1) * AREA]] for n in range(COUNT)])
        self.assertEqual((arrays["mu"].dtype, arrays["mu"].shape), ("<f8", (AREA,)))
        self.assertEqual((arrays["sigma"].dtype, arrays["sigma"].shape), ("<f8", (AREA, AREA)))
        self.assertLess(cli.largest_difference([arrays["mu"].values], [mean]), 1e-6)  # pixels are float32
        self.assertLess(cli.largest_difference(arrays["sigma"].rows(), covariance), 1e-6)
        self.assertEqual((arrays["num"].shape, arrays["num"].values, arrays["shape"].values), ((), [COUNT], [1, SIDE, SIDE]))
        self.assertEqual(bytes(arrays["features"].values), b"pixels")
        self.assertEqual((self.result["reference_count"], self.result["features"]), (COUNT, "pixels"))
        self.assertNotIn("frechet", self.result)

    def test_are_read_by_numpy(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("numpy is not installed")
        with numpy.load(self.path) as arrays:
            self.assertEqual((arrays["mu"].shape, arrays["sigma"].shape, int(arrays["num"])), ((AREA,), (AREA, AREA), COUNT))
            self.assertEqual(bytes(arrays["features"]).decode(), "pixels")

    def test_say_what_they_are(self):
        info = cli.result_of("info", self.path)
        self.assertEqual([info[key] for key in ("kind", "width", "count", "features", "shape")], ["reference", AREA, COUNT, "pixels", "1,8,8"])

    def test_give_the_distance_of_the_images_they_are_of(self):
        of_file, of_images = evaluate(light, self.path), evaluate(light, dark)
        self.assertEqual(of_file["frechet"], of_images["frechet"])
        self.assertEqual((of_file["reference"], of_file["reference_count"]), (str(self.path), COUNT))

    def test_of_edm_are_moments_alone(self):
        # Samples of mean 0.5 and covariance 2 I against mean 0 and covariance diag(1, 4, 9): |m|^2 + sum (sqrt 2 - s)^2.
        signs = [[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
        scale = math.sqrt(2 * 7 / 8)  # divisor N - 1
        write_npz(folder / "points.npz", samples=((8, 3), [0.5 + scale * value for row in signs for value in row], "<f4"))
        write_npz(folder / "edm.npz", mu=((3,), [0, 0, 0], "<f8"), sigma=((3, 3), [1, 0, 0, 0, 4, 0, 0, 0, 9], "<f8"))
        result = cli.result_of("evaluate", "--samples", folder / "points.npz", "--reference", folder / "edm.npz", "--num", 8)
        expected = 3 * 0.25 + sum((math.sqrt(2) - s) ** 2 for s in (1, 2, 3))
        self.assertAlmostEqual(result["frechet"]["value"], expected, delta=1e-5)
        self.assertEqual((result["reference_count"], result["reference_rank"], result["frechet"]["rank"]), (0, 3, 3))


class FeatureNetworks(unittest.TestCase):
    def test_in_torchscript_see_raw_pixels(self):
        result = evaluate(light, dark, "--features", means)
        # Three equal channels, each brighter by 20 grey levels.
        self.assertAlmostEqual(result["frechet"]["value"], 3 * 20**2, delta=1e-2)
        self.assertEqual((result["features"], result["frechet"]["width"], result["frechet"]["rank"]), ("means", 3, 1))
        self.assertRegex(result["features_sha256"], "^[0-9a-f]{64}$")

    def test_are_remembered_by_the_references_made_with_them(self):
        kept, renamed = folder / "means.npz", folder / "renamed.pt"
        cli.succeed("evaluate", "--reference", dark, "--features", means, "--save_reference", kept)
        renamed.write_bytes(means.read_bytes())
        self.assertAlmostEqual(evaluate(light, kept, "--features", renamed)["frechet"]["value"], 1200, delta=1e-2)
        write_script(folder / "other.pt", "torch.mul(%s, 2)" % MEANS)
        result = cli.run("evaluate", "--samples", light, "--reference", kept, "--num", COUNT, "--features", folder / "other.pt")
        self.assertEqual(result.code, 2, result)
        self.assertRegex(result.err, r"\Aheadstart: [^\n]*means\.npz: expected a reference in features other [^\n]*got means[^\n]*\n\Z")

    def test_see_colour_as_it_is(self):
        colour = [value for pixel in pixels for value in (pixel, pixel + 10, pixel + 20)]
        write_npz(folder / "a.npz", samples=((COUNT, SIDE, SIDE, 3), colour, "|u1"))
        write_npz(folder / "b.npz", samples=((COUNT, SIDE, SIDE, 3), brighter(colour, 5), "|u1"))
        result = evaluate(folder / "b.npz", folder / "a.npz", "--features", means)
        self.assertAlmostEqual(result["frechet"]["value"], 3 * 25, delta=1e-2)


class Differences(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.reference = write_grey("reference.npy", cli.blob_pixels(60, seed=3))
        rng = random.Random(1)
        cls.nearly = write_grey("nearly.npy", [pixel + rng.randint(0, 3) for pixel in pixels])
        cls.result = evaluate(cls.nearly, cls.reference, "--baseline", dark)

    def test_are_those_of_the_two_distances(self):
        a, b, difference = self.result["frechet"], self.result["baseline_frechet"], self.result["frechet_difference"]
        self.assertEqual(a, evaluate(self.nearly, self.reference)["frechet"])
        self.assertEqual(b, evaluate(dark, self.reference)["frechet"])
        self.assertEqual(self.result["baseline"], str(dark))
        self.assertAlmostEqual(difference["value"], a["value"] - b["value"], delta=1e-12)
        self.assertAlmostEqual(difference["relative"], a["value"] / b["value"] - 1, delta=1e-12)

    def test_of_nearly_equal_sets_are_known_much_better_than_the_distances(self):
        a, difference = self.result["frechet"], self.result["frechet_difference"]
        self.assertTrue(difference["low"] < difference["value"] < difference["high"], difference)
        self.assertTrue(difference["relative_low"] < difference["relative"] < difference["relative_high"], difference)
        self.assertLess(difference["high"] - difference["low"], 0.25 * (a["high"] - a["low"]))

    def test_of_a_set_to_itself_are_nothing(self):
        difference = evaluate(dark, self.reference, "--baseline", dark)["frechet_difference"]
        self.assertEqual([difference[key] for key in ("value", "low", "high", "relative", "relative_low", "relative_high")], [0] * 6)

    def test_are_printed(self):
        out = cli.succeed("evaluate", "--samples", self.nearly, "--baseline", dark, "--reference", self.reference, "--num", COUNT).out
        self.assertRegex(out, r"difference [+-][\d.]+ \[[+-][\d.]+, [+-][\d.]+\], [+-][\d.]+ % \[[+-][\d.]+, [+-][\d.]+\] of ")
        self.assertIn("N = %d is not more than the %d features: the samples' covariance has rank %d" % (COUNT, AREA, COUNT - 1), out)


EVALUATE = "evaluate --samples light.npy --reference dark.npy "
NUM = "--num %d " % COUNT

# Exit code, what the only line on stderr must name (several, separated by |), the command line.
REFUSED = [
    (2, "--num|light.npy|40", EVALUATE),
    (2, "--num|light.npy|40|41", EVALUATE + "--num 41"),
    (2, "--num|2", EVALUATE + "--num 1"),
    (2, "--metrics|frechet|fid", EVALUATE + NUM + "--metrics frechet,fid"),
    (2, "--resamples", EVALUATE + NUM + "--resamples 1"),
    (2, "--samples|--save_reference", "evaluate --reference dark.npy"),
    (2, "--baseline|--samples", "evaluate --reference dark.npy --baseline light.npy --save_reference out.npz"),
    (2, "--baseline|many.npy|2048|2049", "evaluate --samples many.npy --reference many.npy --baseline more.npy"),
    (2, "--num|fewer.npy|30", EVALUATE + NUM + "--baseline fewer.npy"),
    (2, "--baseline|1,8,8|3,8,8", EVALUATE + "--num 4 --baseline colour.npy"),
    (2, "--reference|1,8,8|3,8,8", "evaluate --samples light.npy --reference colour.npy --num 4"),
    (2, "--reference|3,8,8|1,8,8", "evaluate --samples colour.npy --reference dark.npy --num 4"),
    (2, "--reference|64|3", "evaluate --samples light.npy --reference three.npz " + NUM),
    (2, "--save_reference|three.npz", "evaluate --samples light.npy --reference three.npz --save_reference out.npz " + NUM),
    (2, "means.pt|8-bit|0.25", "evaluate --samples float.npy --reference float.npy --num 4 --features means.pt"),
    (3, "pictures|no PNG", "evaluate --samples pictures --reference dark.npy " + NUM),
    (3, "nothing.pt", EVALUATE + NUM + "--features nothing.pt"),
    (3, "three.npz|TorchScript", EVALUATE + NUM + "--features three.npz"),
    (3, "maps.pt|[16, F]|[16, 3, 8, 8]", EVALUATE + NUM + "--features maps.pt"),
    (3, "fails.pt|[16, 3, 8, 8]", EVALUATE + NUM + "--features fails.pt"),
    (3, "negative.npz|sigma|-1", "evaluate --samples light.npy --reference negative.npz " + NUM),
    (3, "nan.npz", "evaluate --samples light.npy --reference nan.npz " + NUM),
    (3, "nowhere/out.npz", "evaluate --reference dark.npy --save_reference nowhere/out.npz"),
    (4, "black.npy|finite|logarithm|image 3", "evaluate --samples black.npy --reference dark.npy --num 4 --features logarithm.pt"),
]


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        write_grey("fewer.npy", pixels[: 30 * AREA])
        cli.write_points(folder / "many.npy", cli.gaussian_points(2048, 2))
        cli.write_points(folder / "more.npy", cli.gaussian_points(2049, 2))
        write_grey("black.npy", [pixel + 1 for pixel in pixels[: 3 * AREA]] + [0] * AREA)
        cli.write_npy(folder / "colour.npy", (4, SIDE, SIDE, 3), [value for pixel in pixels[: 4 * AREA] for value in [pixel] * 3], "|u1")
        cli.write_npy(folder / "float.npy", (4, 1, SIDE, SIDE), [0.25] * 4 * AREA, "<f4")
        write_npz(folder / "three.npz", mu=((3,), [0, 0, 0], "<f8"), sigma=((3, 3), [1, 0, 0, 0, 1, 0, 0, 0, 1], "<f8"))
        write_npz(folder / "negative.npz", mu=((2,), [0, 0], "<f8"), sigma=((2, 2), [1, 2, 2, 1], "<f8"))
        write_npz(folder / "nan.npz", mu=((2,), [0, math.nan], "<f8"), sigma=((2, 2), [1, 0, 0, 1], "<f8"))
        for name, result in (("maps", "torch.to(x, 6)"), ("fails", "torch.reshape(torch.to(x, 6), [7, 5])"), ("logarithm", "torch.log(%s)" % MEANS)):
            write_script(folder / (name + ".pt"), result)
        (folder / "pictures").mkdir()
        (folder / "pictures" / "readme.txt").write_text("none here\n")

    def test_are_one_line_and_leave_nothing(self):
        before = cli.tree(folder)
        for code, names, command in REFUSED:
            with self.subTest(command):
                result = cli.run(*shlex.split(command), cwd=folder)
                self.assertEqual(result.code, code, result)
                self.assertRegex(result.err, r"\Aheadstart: [^\n]+\n\Z", result)
                for name in names.split("|"):
                    self.assertIn(name, result.err)
        self.assertEqual(set(cli.tree(folder)), set(before))


if __name__ == "__main__":
    cli.main()
