#!/usr/bin/env python3
"""Colour pictures from start to end, on synthetic ones (blobs of one colour on another): every verb at 32x32 and 64x64, --as, and that the
forms data come in all give the same numbers."""

import colorsys
import json
import math
import random
import struct
import sys
import unittest
import zipfile

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

COUNT = 24
CLASSES = 2


def synthetic(side, count=COUNT, seed=3):
    """[(label, RGB pixels as HWC)]: warm blobs on blue (0), cold blobs on yellow (1)."""
    rng, pictures = random.Random(seed), []
    for n in range(count):
        label = n % CLASSES
        hue = rng.uniform(0, 0.08) if label == 0 else rng.uniform(0.45, 0.6)
        front, back = colorsys.hsv_to_rgb(hue, 0.9, 1), ((0.1, 0.1, 0.5), (0.9, 0.9, 0.3))[label]
        cx, cy, width = rng.uniform(0.3, 0.7) * side, rng.uniform(0.3, 0.7) * side, rng.uniform(0.1, 0.2) * side
        across = [math.exp(-((x - cx) ** 2) / (2 * width**2)) for x in range(side)]
        down = [math.exp(-((y - cy) ** 2) / (2 * width**2)) for y in range(side)]
        pixels = bytearray()
        for b in down:
            for a in across:
                glow = a * b
                pixels += bytes(round(255 * (f * glow + k * (1 - glow))) for f, k in zip(front, back))
        pictures.append((label, bytes(pixels)))
    return pictures


def planes(pixels):
    return pixels[0::3] + pixels[1::3] + pixels[2::3]


def name(n):
    return "00000/img%08d.png" % n


def write_folder(path, side, pictures):
    (path / "00000").mkdir(parents=True)
    for n, (_, pixels) in enumerate(pictures):
        (path / name(n)).write_bytes(cli.png_bytes(side, side, pixels, channels=3))


def write_zip(path, side, pictures):
    """As EDM's dataset_tool.py makes it."""
    with zipfile.ZipFile(path, "w") as archive:
        for n, (_, pixels) in enumerate(pictures):
            archive.writestr(name(n), cli.png_bytes(side, side, pixels, channels=3))
        archive.writestr("dataset.json", json.dumps({"labels": [[name(n), label] for n, (label, _) in enumerate(pictures)]}))


def write_cifar(path, pictures):
    path.write_bytes(b"".join(bytes([label]) + planes(pixels) for label, pixels in pictures))


def write_npz(path, side, pictures):
    values = b"".join(pixels for _, pixels in pictures)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", cli.npy_bytes((len(pictures), side, side, 3), values, "|u1"))
        archive.writestr("labels.npy", cli.npy_bytes((len(pictures),), [label for label, _ in pictures], "<i8"))


def setUpModule():
    global folder
    folder = cli.temporary_folder()
    for side in (32, 64):
        write_folder(folder / ("folder%d" % side), side, synthetic(side))
    pictures = synthetic(32)
    write_zip(folder / "edm32.zip", 32, pictures)
    write_npz(folder / "images32.npz", 32, pictures)
    write_cifar(folder / "cifar.bin", pictures)


def fit(data, out, *options):
    return cli.result_of("fit", data, "--out", out, "--rank", 8, "--method", "randomised", *options)


class Pipeline:
    """fit, sample, train, evaluate, report and info, one after the other on one set."""

    def test_start_to_end(self):
        side, data = self.SIDE, folder / ("folder%d" % self.SIDE)
        work = folder / ("work%d" % side)
        work.mkdir()
        stats, network, drawn, sampled = (work / part for part in ("stats.safetensors", "net.safetensors", "drawn", "sampled"))

        fitted = fit(data, stats, "--tail", "zero")
        self.assertEqual((fitted["count"], fitted["dim"], fitted["rank"]), (COUNT, 3 * side * side, 8))
        self.assertEqual(cli.read_safetensors(stats)[0]["shape"], "3,%d,%d" % (side, side))

        cli.succeed("sample", "--stats", stats, "--outdir", drawn, "--seeds", "0-7", "--steps", 8, "--grid", work / "grid.png")
        self.check_colours(drawn, side)
        self.assertEqual(cli.decode_png((work / "grid.png").read_bytes())[0], (3 * (side + 2) + 2, 3 * (side + 2) + 2, 3))

        trained = cli.result_of("train", "--data", data, "--out", network, "--images", 96, *cli.TINY, "--attention", 1)
        self.assertTrue(all(math.isfinite(loss) for _, loss in trained["loss_curve"]))
        cli.succeed("sample", "--network", network, "--outdir", sampled, "--seeds", "0-1", "--steps", 3, "--teleport", 10,
                    "--teleport_stats", stats)
        self.assertEqual(len(cli.pngs(sampled)), 2)
        for content in cli.pngs(sampled).values():
            self.assertEqual(cli.decode_png(content)[0], (side, side, 3))

        # In the features of a little classifier: the pixels of colour pictures are so many that a distance in them takes minutes.
        classifier = work / "classifier.safetensors"
        labelled = folder / "edm32.zip" if side == 32 else self.labelled(work, side)
        cli.succeed("train", "--data", labelled, "--out", classifier, "--arch", "classifier", "--classifier_channels", 8, "--features", 8,
                    "--images", 64, "--batch", 32)
        result = cli.result_of("evaluate", "--samples", drawn, "--reference", data, "--num", 8, "--features", classifier)
        self.assertGreater(result["frechet"]["value"], 0)
        self.assertEqual((result["num"], result["reference_count"]), (8, COUNT))

        page = work / "report.html"
        cli.succeed("report", drawn, sampled, "--out", page)
        self.assertIn("data:image/png;base64,", page.read_text())
        self.assertEqual(cli.result_of("info", data)["shape"], "3,%d,%d" % (side, side))
        self.assertEqual(cli.result_of("info", network)["kind"], "network")
        self.assertEqual(cli.result_of("info", stats)["rank"], 8)
        self.assertEqual(cli.temporary_files(work), [])

    def labelled(self, work, side):
        write_zip(work / "edm.zip", side, synthetic(side))
        return work / "edm.zip"

    def check_colours(self, run, side):
        """The samples of a Gaussian of these pictures, without noise in other directions, have corners blue or yellow or between."""
        images = [cli.decode_png(content) for content in cli.pngs(run).values()]
        self.assertEqual(len(images), 8)
        for shape, pixels in images:
            self.assertEqual(shape, (side, side, 3))
            red, green, blue = pixels[0], pixels[1], pixels[2]
            self.assertLess(abs(red - green), 15)
            # On the line from (26, 128) to (230, 77), and somewhat beyond its ends.
            self.assertLess(abs(blue - (128 - 0.25 * (red - 26))), 30)


class At32(Pipeline, unittest.TestCase):
    SIDE = 32


class At64(Pipeline, unittest.TestCase):
    SIDE = 64


class Forms(unittest.TestCase):
    FORMS = ("folder32", "edm32.zip", "images32.npz", "cifar.bin")

    def test_every_form_of_the_same_pictures_is_the_same_data(self):
        hashes = set()
        for form in self.FORMS:
            out = folder / (form + ".safetensors")
            fit(folder / form, out)
            metadata, _ = cli.read_safetensors(out)
            self.assertEqual((metadata["shape"], metadata["count"], metadata["range"]), ("3,32,32", str(COUNT), "-1,1"), form)
            hashes.add(metadata["data_sha256"])
        self.assertEqual(len(hashes), 1)

    def test_info_says_which_have_labels(self):
        for form in self.FORMS:
            result = cli.result_of("info", folder / form)
            self.assertEqual((result["kind"], result["count"], result["shape"]), ("data", COUNT, "3,32,32"))
            self.assertEqual(result["labels"], form != "folder32", form)

    def test_grey_is_the_weighted_sum_of_the_colours(self):
        out = folder / "grey.safetensors"
        cli.succeed("fit", folder / "cifar.bin", "--out", out, "--as", "grey", "--limit", 1, "--rank", 1)
        mean = cli.read_safetensors(out)[1]["mean"].values
        pixels = synthetic(32)[0][1]
        expected = [(299 * r + 587 * g + 114 * b + 500) // 1000 / 127.5 - 1 for r, g, b in struct.iter_unpack("3B", pixels)]
        self.assertLess(max(abs(a - b) for a, b in zip(mean, expected, strict=True)), 1e-6)

    def test_mixed_pictures_are_read_on_request(self):
        mixed = folder / "mixed"
        mixed.mkdir()
        rgba = b"".join(bytes([r, g, b, 128]) for r, g, b in struct.iter_unpack("3B", synthetic(32)[0][1]))
        (mixed / "a.png").write_bytes(cli.png_bytes(32, 32, rgba, channels=4))
        (mixed / "b.png").write_bytes(cli.png_bytes(32, 32, bytes(range(256)) * 4))
        (mixed / "c.png").write_bytes(cli.png_bytes(32, 32, synthetic(32)[0][1], channels=3))
        for kind, shape in (("grey", "1,32,32"), ("rgb", "3,32,32")):
            self.assertEqual(cli.result_of("info", mixed, "--as", kind)["shape"], shape)
            out = folder / ("mixed_%s.safetensors" % kind)
            cli.succeed("fit", mixed, "--out", out, "--as", kind, "--rank", 1, "--method", "randomised")
            self.assertEqual(cli.read_safetensors(out)[0]["shape"], shape)
        evaluation = cli.result_of("evaluate", "--samples", mixed, "--reference", mixed, "--num", 3, "--features", "pixels", "--as", "grey",
                                   "--resamples", 2)
        self.assertAlmostEqual(evaluation["frechet"]["value"], 0, delta=0.01)  # float32 rounding, of a trace of hundreds


if __name__ == "__main__":
    cli.main()
