#!/usr/bin/env python3
"""compare, trajectory, score-ood and the report's studies, on a tiny network."""

import csv
import json
import math
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402


def setUpModule():
    global folder, data, held_out, network, stats, kept
    folder = cli.temporary_folder()
    data, held_out = folder / "train-images-idx3-ubyte", folder / "test-images-idx3-ubyte"
    cli.write_blobs(data)
    cli.write_blobs(held_out, count=40, seed=8)
    network, stats = folder / "net.safetensors", folder / "gaussian.safetensors"
    cli.succeed("train", "--data", data, "--out", network, *cli.TINY, "--images", 1024, "--keep", 4)
    kept = sorted(folder.glob("net.safetensors.0*"))
    cli.succeed("fit", data, "--out", stats)


def compare(*options, out="compare.json", nets=None):
    nets = nets or [network]
    words = [word for net in nets for word in ("--network", net)]
    return cli.result_of("compare", *words, "--data", data, "--out", folder / out, *options)


class Compare(unittest.TestCase):
    def test_rows_for_every_level_model_and_set_of_points(self):
        result = compare("--held_out", held_out, "--stats", stats, "--exact", "--isotropic", "--ranks", "4,16", "--sigmas", "0.05,1,20",
                         "--samples", 30, "--modes", 5)
        written = json.loads((folder / "compare.json").read_text())
        rows = written["rows"]
        names = ["gaussian", "mean", "isotropic", "gaussian rank 4", "gaussian rank 16", "exact"]
        self.assertEqual(sorted({row["name"] for row in rows}), sorted(names))
        self.assertEqual(len(rows), 2 * 3 * len(names))
        self.assertEqual(result["rows"], len(rows))
        self.assertEqual({row["points"] for row in rows}, {"train", "held_out"})
        for row in rows:
            self.assertLess(row["St_EV"], 1 + 1e-12)
            self.assertLessEqual(row["St_EV_low"], row["St_EV"])
            self.assertAlmostEqual(row["St_residual"], 1 - row["St_EV"])
            self.assertGreater(row["error"], 0)
            self.assertEqual("modes" in row, row["name"] != "exact" or "modes" in row)
        gaussian = [row for row in rows if row["name"] == "gaussian"]
        self.assertTrue(all(len(row["modes"]) == 5 for row in gaussian))
        self.assertEqual(written["eigenvalues"], sorted(written["eigenvalues"], reverse=True))

        def error(name, points, sigma):
            (row,) = [row for row in rows if (row["name"], row["points"], row["sigma"]) == (name, points, sigma)]
            return row["error"]

        # The exact score knows its own points by heart, and no others.
        self.assertLess(error("exact", "train", 0.05), 1e-3)
        self.assertGreater(error("exact", "held_out", 0.05), 100 * error("exact", "train", 0.05) + 0.1)
        # A cut covariance denoises its own data no better than the whole one; "mean" answers with the mean, whatever the noise.
        self.assertLess(error("gaussian", "train", 1), error("gaussian rank 4", "train", 1))
        self.assertAlmostEqual(error("mean", "train", 0.05), error("mean", "train", 20))

    def test_is_repeatable_and_the_network_is_the_same_in_every_row(self):
        compare("--stats", stats, "--sigmas", "1,5", "--samples", 20, out="a.json")
        compare("--stats", stats, "--sigmas", "1,5", "--samples", 20, "--threads", 1, out="b.json")
        a, b = (json.loads((folder / name).read_text())["rows"] for name in ("a.json", "b.json"))
        for one, two in zip(a, b, strict=True):
            for key in ("St_EV", "Dt_EV_rev", "error", "network_error"):
                self.assertAlmostEqual(one[key], two[key], places=9)

    def test_writes_a_table_for_spreadsheets(self):
        compare("--stats", stats, "--sigmas", "1,5", "--samples", 20, out="table.csv")
        with open(folder / "table.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["name"], float(row["sigma"])) for row in rows], [("gaussian", 1.0), ("gaussian", 5.0)])
        self.assertTrue(all(math.isfinite(float(row["St_EV"])) for row in rows))

    def test_follows_the_networks_kept_while_training(self):
        self.assertEqual(len(kept), 4)
        compare("--stats", stats, "--sigmas", "1,5", "--samples", 20, out="learning.json", nets=kept)
        rows = json.loads((folder / "learning.json").read_text())["rows"]
        self.assertEqual([row["images"] for row in rows if row["sigma"] == 5], [int(path.suffix[1:]) for path in kept])
        page = folder / "learning.html"
        result = cli.result_of("report", folder / "learning.json", "--out", page)
        self.assertEqual(result["studies"], 2)
        for text in ("What explains the score: training images", "While learning: training images", "Images seen"):
            self.assertIn(text, page.read_text())

    def test_refuses_what_cannot_be_compared(self):
        cli.write_points(folder / "vectors.npy", cli.gaussian_points(20, 3))
        cli.succeed("fit", folder / "vectors.npy", "--out", folder / "vectors.safetensors")
        cli.write_npy(folder / "bright.npy", (20, 1, 8, 8), [value % 256 for value in range(20 * 64)], "<f4")
        cli.succeed("fit", folder / "bright.npy", "--out", folder / "bright.safetensors")
        common = ["--network", network, "--data", data, "--out", folder / "none.json"]
        for options, code, text in [
            (["--stats", stats, "--sigmas", "1,0"], 2, "--sigmas: expected finite levels > 0, got 0"),
            (["--stats", stats, "--sigmas", "100"], 2, "expected sigma in [0.002, 80]"),
            (["--stats", folder / "vectors.safetensors"], 2, "vectors.safetensors"),
            (["--stats", folder / "bright.safetensors"], 2, "bright.safetensors: expected statistics of range [-1, 1] as in"),
            (["--stats", stats, "--held_out", folder / "bright.npy"], 2, "bright.npy: expected values in [-1, 1] as in"),
            (["--stats", stats, "--seed", "-1"], 2, "--seed"),
            ([], 2, "compare: expected --stats or --exact"),
            (["--exact", "--ranks", "4"], 2, "--stats: expected a Gaussian"),
            (["--stats", stats, "--ranks", "65"], 2, "--ranks: expected 1 to 64"),
            (["--stats", stats, "--samples", "1"], 2, "--samples: expected at least 2"),
            (["--stats", folder / "no.safetensors"], 3, "no.safetensors"),
            (["--stats", stats, "--held_out", folder / "vectors.npy"], 2, "vectors.npy"),
        ]:
            with self.subTest(options=options):
                result = cli.run("compare", *common, *options)
                self.assertEqual(result.code, code, result)
                self.assertIn(text, result.err, result)
                self.assertEqual(result.err.count("\n"), 1, result)
                self.assertFalse((folder / "none.json").exists())
        result = cli.run("compare", "--network", network, "--data", data, "--stats", stats, "--out", folder / "x.txt")
        self.assertEqual((result.code, "--out: expected a name ending in .json or .csv" in result.err), (2, True), result)


class CompareEvery(unittest.TestCase):
    def test_logs_what_the_gaussian_explains_while_learning(self):
        def train(out, *options):
            cli.succeed("train", "--data", data, "--out", out, *cli.TINY, "--images", 224, "--compare_every", 96, "--compare_samples", 20, *options)

        whole = folder / "watched.safetensors"
        train(whole, "--test_data", held_out)
        log = pathlib.Path(str(whole) + ".compare.json")
        rows = json.loads(log.read_text())["rows"]
        self.assertEqual([(row["points"], row["images"]) for row in rows if (row["name"], row["sigma"]) == ("gaussian", 5)],
                         [(points, images) for images in (96, 192, 224) for points in ("train", "held_out")])
        self.assertEqual({row["name"] for row in rows}, {"gaussian", "mean", "isotropic"})
        plain = folder / "plain.safetensors"
        cli.succeed("train", "--data", data, "--out", plain, *cli.TINY, "--images", 224)
        weights = [{name: tensor.values for name, tensor in cli.read_safetensors(path)[1].items()} for path in (whole, plain)]
        self.assertEqual(weights[0], weights[1])  # watching changes nothing
        page = folder / "watched.html"
        self.assertEqual(cli.result_of("report", log, "--out", page)["studies"], 4)

    def test_refuses_what_makes_no_sense(self):
        common = ["train", "--data", data, "--out", folder / "none.safetensors", *cli.TINY]
        for options, text in [
            (["--compare_every", "-1"], "--compare_every: expected a number >= 0"),
            (["--compare_every", "9", "--compare_samples", "1"], "--compare_samples: expected at least 2"),
            (["--compare_every", "9", "--test_data", "fashion-mnist-test"], "--test_data: expected images of shape 1,8,8"),
            (["--test_data", held_out], "--test_data: expected with --arch classifier or --compare_every"),
            (["--arch", "classifier", "--keep", "2"], "--keep: expected with --arch unet"),
            (["--compare_every", "9", "--arch", "classifier"], "--compare_every: expected with --arch unet"),
        ]:
            with self.subTest(options=options):
                result = cli.run(*common, *options)
                self.assertEqual((result.code, text in result.err), (2, True), result)


class Trajectory(unittest.TestCase):
    def test_measures_the_path_and_shows_it(self):
        out = folder / "trajectory.json"
        cli.succeed("trajectory", "--network", network, "--stats", stats, "--seeds", "0-5", "--steps", 8, "--modes", 6, "--kick_modes", "0,2",
                    "--kick_sigmas", "10,1", "--kick_seeds", 2, "--jacobian_sigmas", "5,1", "--jacobian_modes", 3, "--out", out)
        t = json.loads(out.read_text())
        self.assertEqual(len(t["sigmas"]), 9)
        self.assertEqual(t["sigmas"][-1], 0)
        self.assertEqual([len(t[key]) for key in ("state_residual", "denoised_residual", "mode_explained")], [9, 9, 9])
        self.assertLess(t["state_residual"][0], 1e-12)  # the same noise
        self.assertEqual([len(t[key]) for key in ("eigenvalues", "decided", "decided_predicted")], [6, 6, 6])
        self.assertAlmostEqual(t["decided_predicted"][0], math.sqrt(t["eigenvalues"][0]))
        self.assertGreater(t["path_directions"][1], 0.9)  # noise to picture is nearly a plane
        self.assertEqual(sorted({(kick["mode"], kick["sigma"]) for kick in t["kicks"]}).__len__(), 4)
        for kick in t["kicks"]:
            expected = math.sqrt(t["eigenvalues"][kick["mode"]] / (t["eigenvalues"][kick["mode"]] + kick["sigma"] ** 2))
            self.assertAlmostEqual(kick["predicted"], expected)
        self.assertEqual([len(row["eigenvalues"]) for row in t["jacobian"]], [3, 3])
        page = folder / "trajectory.html"
        self.assertEqual(cli.result_of("report", stats, out, "--out", page)["studies"], 1)
        for text in ("The path from noise to picture", "When a mode is decided", "Kicks", "Jacobian"):
            self.assertIn(text, page.read_text())

    def test_refuses_what_does_not_fit(self):
        common = ["trajectory", "--network", network, "--out", folder / "none.json", "--stats"]
        for options, code, text in [
            ([stats, "--modes", "65"], 2, "--modes: expected 1 to 64"),
            ([stats, "--kick_modes", "64"], 2, "--kick_modes: expected 0 to 63, got 64"),
            ([stats, "--kick_size", "0"], 2, "--kick_size: expected a number > 0"),
            ([folder / "no.safetensors"], 3, "no.safetensors"),
        ]:
            with self.subTest(options=options):
                result = cli.run(*common, *options)
                self.assertEqual((result.code, text in result.err), (code, True), result)
                self.assertFalse((folder / "none.json").exists())

    def test_a_report_refuses_other_json(self):
        (folder / "other.json").write_text("{}")
        result = cli.run("report", folder / "other.json", "--out", folder / "none.html")
        self.assertEqual(result.code, 3, result)
        self.assertIn("other.json: expected the JSON of compare or trajectory", result.err)


class ScoreOod(unittest.TestCase):
    def test_tells_noise_from_pictures(self):
        noise = folder / "noise-images-idx3-ubyte"
        rng = __import__("random").Random(3)
        cli.write_idx(noise, (40, cli.SIDE, cli.SIDE), [rng.randrange(256) for _ in range(40 * cli.SIDE**2)])
        out = folder / "scores.csv"
        result = cli.result_of("score-ood", "--data", held_out, "--against", noise, "--reference", data, "--stats", stats, "--sigmas", "0.2,1",
                               "--out", out)
        self.assertEqual(set(result["auroc"]), {"mahalanobis", "score_norm_0.2", "score_norm_1", "norms_to_reference"})
        self.assertEqual(result["auroc"]["mahalanobis"], 1)
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["set"] for row in rows], ["data"] * 40 + ["against"] * 40)
        inside = [float(row["mahalanobis"]) for row in rows if row["set"] == "data"]
        self.assertAlmostEqual(sum(inside) / 40 / result["mean"]["mahalanobis"], 1, places=6)

    def test_works_with_a_network_and_without_outliers(self):
        result = cli.result_of("score-ood", "--data", held_out, "--stats", stats, "--network", network, "--sigmas", "1")
        self.assertNotIn("auroc", result)
        self.assertGreater(result["mean"]["score_norm_1"], 0)

    def test_refuses_what_does_not_fit(self):
        for options, code, text in [
            (["--sigmas", "0"], 2, "--sigmas: expected finite levels > 0"),
            (["--sigma", "-1"], 2, "--sigma: expected a number > 0"),
            (["--against", folder / "nothing"], 3, "nothing"),
        ]:
            with self.subTest(options=options):
                result = cli.run("score-ood", "--data", held_out, "--stats", stats, *options)
                self.assertEqual((result.code, text in result.err), (code, True), result)


if __name__ == "__main__":
    cli.main()
