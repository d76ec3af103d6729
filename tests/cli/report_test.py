#!/usr/bin/env python3
"""evaluate, report and info: from runs to distances, a page, and a description of every kind of file."""

import hashlib
import html.parser
import json
import shutil
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

AREA = cli.SIDE**2
COUNT = 24
SAMPLE = ["sample", "--seeds", "0-%d" % (COUNT - 1), "--steps", 6]


def setUpModule():
    global folder, data, stats, network, plain, jumped, distances
    folder = cli.temporary_folder()
    data, stats, network = folder / "images.idx", folder / "spectrum.safetensors", folder / "net.safetensors"
    cli.write_blobs(data)
    cli.succeed("fit", data, "--out", stats, "--rank", 20)
    cli.succeed("train", "--data", data, "--out", network, "--images", 320, *cli.TINY)
    plain, jumped = folder / "plain", folder / "jumped"
    cli.succeed(*SAMPLE, "--network", network, "--outdir", plain)
    cli.succeed(*SAMPLE, "--network", network, "--outdir", jumped, "--teleport", 20, "--teleport_stats", stats)
    distances = {}


def distance(run):
    """evaluate's result for a run, which is left in its folder as well."""
    if run not in distances:
        distances[run] = cli.result_of("evaluate", "--samples", run, "--reference", data, "--num", COUNT)
    return distances[run]


class Evaluate(unittest.TestCase):
    def test_says_what_was_measured(self):
        for run in (plain, jumped):
            with self.subTest(run.name):
                result = distance(run)
                self.assertEqual((result["num"], result["features"]), (COUNT, "pixels"))
                self.assertEqual((result["reference"], result["reference_count"]), (str(data), 96))
                frechet = result["frechet"]
                self.assertTrue(0 < frechet["low"] <= frechet["value"] <= frechet["high"], frechet)
                self.assertAlmostEqual(frechet["value"], frechet["mean_term"] + frechet["covariance_term"], delta=1e-9)
                self.assertEqual(json.loads((run / "evaluate.json").read_text())["frechet"], frechet)

    def test_a_grid_in_the_runs_folder_is_refused_because_it_would_be_taken_for_a_sample(self):
        run = folder / "with_grid"
        shutil.copytree(plain, run)
        result = cli.run(*SAMPLE, "--network", network, "--outdir", run, "--resume", "--grid", run / "grid.png")
        self.assertEqual(result.code, 2, result)
        self.assertIn("--grid", result.err)
        self.assertFalse((run / "grid.png").exists())

    def test_the_distance_of_shifted_data_is_the_shift(self):
        # Equal covariances: what remains is |m1 - m2|^2, in data units.
        pixels = [min(pixel, 200) for pixel in cli.blob_pixels(50)]
        cli.write_npy(folder / "dark.npy", (50, cli.SIDE, cli.SIDE), pixels, "|u1")
        cli.write_npy(folder / "light.npy", (50, cli.SIDE, cli.SIDE), [pixel + 51 for pixel in pixels], "|u1")
        result = cli.result_of("evaluate", "--samples", folder / "light.npy", "--reference", folder / "dark.npy", "--num", 50)
        self.assertAlmostEqual(result["frechet"]["value"], AREA * 0.4**2, delta=1e-4)
        self.assertAlmostEqual(result["frechet"]["covariance_term"], 0, delta=1e-4)


class Page(html.parser.HTMLParser):
    """The page's visible text, and what it would load from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.words, self.outside, self.images, self._hidden = [], [], 0, 0
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self._hidden += tag in ("script", "style")
        attributes = dict(attributes)
        self.images += tag == "img"
        source = attributes.get("src", "") if tag in ("img", "script", "iframe") else attributes.get("href", "") if tag == "link" else ""
        if source and not source.startswith("data:"):
            self.outside.append(source)

    def handle_endtag(self, tag):
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._hidden:
            self.words.append(data)


class Report(unittest.TestCase):
    def test_shows_both_runs_their_evaluations_and_distances(self):
        for run in (plain, jumped):
            distance(run)
        out = folder / "report.html"
        result = cli.result_of("report", plain, jumped, stats, "--out", out, "--title", "Blobs & <their> noise")
        self.assertEqual((result["out"], result["runs"], result["spectra"]), (str(out), 2, 1))
        page = Page(out.read_text())
        self.assertEqual(page.outside, [])
        self.assertIn("Blobs & <their> noise", page.text)
        self.assertIn("spectrum", page.text)
        skip = json.loads((jumped / "run.json").read_text())["settings"]["sigma_skip"]
        for run, label in ((plain, "heun 6"), (jumped, "heun 6, to %.3g (tail)" % skip)):
            with self.subTest(label):
                nfe = json.loads((run / "run.json").read_text())["nfe"]
                self.assertIn(label, page.text)
                self.assertRegex(page.text, r"NFE %d\b" % nfe)
                self.assertIn("%.4g" % distance(run)["frechet"]["value"], page.text)
        self.assertGreaterEqual(page.images, 32)  # 16 pictures a run

    def test_runs_without_a_distance_are_shown_too(self):
        bare = folder / "bare"
        shutil.copytree(plain, bare)
        (bare / "evaluate.json").unlink(missing_ok=True)
        out = folder / "bare.html"
        cli.succeed("report", bare, "--out", out)
        self.assertIn("heun 6", Page(out.read_text()).text)

    def test_shows_recorded_paths_the_sweep_and_the_modes(self):
        run = folder / "watched"
        cli.succeed(*SAMPLE, "--network", network, "--outdir", run, "--save_path", 2)
        self.assertEqual(cli.pngs(run), cli.pngs(plain), "watching must not change a picture")
        metadata, tensors = cli.read_safetensors(run / "path.safetensors")
        self.assertEqual((metadata["format"], metadata["shape"]), ("headstart-path", "1,8,8"))
        self.assertEqual((tensors["seeds"].values, tensors["states"].shape), ([0, 1], (2, 7, AREA)))
        for level, expected in zip(tensors["sigmas"].values, [*cli.karras_sigmas(6), 0], strict=True):
            self.assertAlmostEqual(level, expected, delta=1e-9 * (1 + expected))
        states, denoised = (tensors[name].rows() for name in ("states", "denoised"))
        self.assertLess(cli.largest_difference([states[1][:AREA]], [[80 * n for n in cli.noise_of(1, AREA)]]), 1e-3)
        finished = [max(0, min(255, int(127.5 * value + 128))) for value in denoised[1][-AREA:]]
        self.assertLessEqual(cli.largest_difference([finished], [cli.decode_png((run / "000001.png").read_bytes())[1]]), 1)

        cli.succeed("report", run, jumped, stats, "--out", folder / "watched.html")
        page = Page((folder / "watched.html").read_text())
        # 2 runs of 16 pictures, 2 stops of 16, 2 seeds at 7 levels four times, the mean and 15 modes.
        self.assertEqual(page.images, 32 + 32 + 56 + 16)
        for words in ("Closed form", "Mode 15", "no jump", "RMSE", "--save_path 2", hashlib.sha256(network.read_bytes()).hexdigest()):
            self.assertIn(words, page.text)

        cli.succeed("report", run, "--out", folder / "alone.html")
        page = Page((folder / "alone.html").read_text())
        self.assertEqual(page.images, 16 + 28)
        self.assertNotIn("Closed form", page.text)

    def test_a_path_can_be_recorded_when_a_run_is_resumed(self):
        run = folder / "watched_later"
        shutil.copytree(plain, run)
        cli.succeed(*SAMPLE, "--network", network, "--outdir", run, "--resume", "--save_path", 3)
        self.assertEqual(cli.read_safetensors(run / "path.safetensors")[1]["seeds"].values, [0, 1, 2])

    def test_paths_that_make_no_sense_are_refused(self):
        result = cli.run(*SAMPLE, "--network", network, "--outdir", folder / "never", "--save_path", COUNT + 1)
        self.assertEqual(result.code, 2, result)
        self.assertRegex(result.err, r"\Aheadstart: --save_path: expected at most the 24 seeds of the run, got 25\n\Z")
        self.assertFalse((folder / "never").exists())
        for name, content in (("other", stats.read_bytes()), ("short", cli.safetensors_bytes(
                {"format": "headstart-path", "shape": "1,8,8", "range": "-1,1"},
                {"seeds": cli.Array("I64", (1,), [0]), "sigmas": cli.Array("F64", (2,), [1.0, 0.0]),
                 "states": cli.Array("F32", (1, 2, 3), [0.0] * 6), "denoised": cli.Array("F32", (1, 2, 3), [0.0] * 6)}))):
            with self.subTest(name):
                run = folder / ("path_" + name)
                shutil.copytree(plain, run)
                (run / "path.safetensors").write_bytes(content)
                result = cli.run("report", run, "--out", folder / "none.html")
                self.assertEqual(result.code, 3, result)
                self.assertRegex(result.err, r"\Aheadstart: [^\n]*path\.safetensors: expected [^\n]*\n\Z")

    def test_unfinished_runs_are_refused(self):
        unfinished = folder / "unfinished"
        shutil.copytree(plain, unfinished)
        run = json.loads((unfinished / "run.json").read_text())
        run["finished"] = False
        (unfinished / "run.json").write_text(json.dumps(run))
        result = cli.run("report", jumped, unfinished, "--out", folder / "none.html")
        self.assertEqual(result.code, 3, result)
        self.assertRegex(result.err, r"\Aheadstart: [^\n]*unfinished[^\n]*\n\Z")
        self.assertFalse((folder / "none.html").exists())


class Info(unittest.TestCase):
    def info(self, path, kind):
        result = cli.result_of("info", path)
        self.assertEqual((result["file"], result["kind"]), (str(path), kind))
        if path.is_file():
            self.assertEqual(result["sha256"], hashlib.sha256(path.read_bytes()).hexdigest())
        return result

    def test_statistics(self):
        result = self.info(stats, "statistics")
        fitted = cli.Gaussian(stats)
        self.assertEqual((result["dim"], result["rank"], result["tail"]), (AREA, 20, fitted.tail))
        self.assertAlmostEqual(result["trace"], sum(fitted.eigenvalues) + (AREA - 20) * fitted.tail, delta=1e-9)
        self.assertEqual(result["metadata"], fitted.metadata)

    def test_a_network(self):
        result = self.info(network, "network")
        metadata, tensors = cli.read_safetensors(network)
        self.assertEqual((result["tensors"], result["values"]), (len(tensors), sum(len(tensor.values) for tensor in tensors.values())))
        self.assertEqual(result["metadata"], metadata)

    def test_a_checkpoint(self):
        self.info(network.with_name(network.name + ".checkpoint"), "checkpoint")

    def test_a_run(self):
        result = self.info(jumped, "run")
        self.assertEqual((result["count"], result["finished"], result["settings"]["teleport"]), (COUNT, True, "tail"))

    def test_data(self):
        cli.write_idx(folder / "data.idx.gz", (5, 8, 8), [7] * 320)
        cli.write_npy(folder / "colour.npy", (3, 4, 6, 3), [9] * 216, "|u1")
        cli.write_points(folder / "points.npy", [[1.0, 2.0], [3.0, 4.0]])
        (folder / "pictures" / "deep").mkdir(parents=True)
        for name in ("b.png", "deep/a.PNG"):
            (folder / "pictures" / name).write_bytes(cli.png_bytes(4, 6, [8] * 72, channels=3))
        expected = [("data.idx.gz", 5, "1,8,8", "uint8"), ("colour.npy", 3, "3,4,6", "uint8"), ("points.npy", 2, "1,1,2", "float"),
                    ("pictures", 2, "3,4,6", "uint8")]
        for name, count, shape, values in expected:
            with self.subTest(name):
                result = self.info(folder / name, "data")
                self.assertEqual((result["count"], result["shape"], result["labels"]), (count, shape, False))
                self.assertTrue(result["values"].startswith(values), result["values"])


if __name__ == "__main__":
    cli.main()
