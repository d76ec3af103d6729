#!/usr/bin/env python3
"""What is learnt from a network alone, and sampling with it: its Gaussian, the statistics of DPM-Solver-v3, optimised grids."""

import json
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402


def setUpModule():
    global folder, network, fitted
    folder = cli.temporary_folder()
    network = folder / "net.safetensors"
    cli.write_blobs(folder / "images.idx", 24)
    cli.succeed("train", "--data", folder / "images.idx", "--out", network, "--images", 32, *cli.TINY)
    fitted = fit("first")


def fit(name, *options):
    (folder / name).mkdir()
    return cli.result_of("fit", "--from_network", network, "--out", folder / name / "stats.safetensors", "--rank", 5, "--dpm_v3",
                         folder / name / "v3", "--v3_points", 20, "--v3_cells", 40, "--grid_file", folder / name / "grids.json", "--grid_steps", "3,5",
                         *options)


def sample(outdir, *options):
    result = cli.result_of("sample", "--network", network, "--outdir", folder / outdir, "--seeds", "0-4", *options)
    return cli.pngs(folder / outdir), json.loads((folder / outdir / "run.json").read_text())["settings"], result


class FromNetwork(unittest.TestCase):
    def test_says_what_fit_says(self):
        self.assertEqual({key: fitted[key] for key in ("count", "dim", "rank", "components", "log_likelihood", "method", "passes")},
                         {"count": None, "dim": 64, "rank": 5, "components": 1, "log_likelihood": None, "method": "network", "passes": 3})
        self.assertEqual(fitted["nfe"], 96 + 2 * 8 * (13 * 3 + 16))  # 5 + 8 columns
        self.assertEqual(fitted["dpm_v3"]["nfe"], 20 * (4 * 41 - 1))
        self.assertEqual(fitted["grids"]["nfe"], 64 * (3 * 64 - 2))
        self.assertGreater(fitted["energy"], 0)

    def test_gives_the_same_files_on_any_number_of_threads(self):
        fit("again", "--threads", 1)
        self.assertEqual(cli.tree(folder / "again"), cli.tree(folder / "first"))

    def test_statistics_name_the_network_and_teleport(self):
        file = folder / "first" / "stats.safetensors"
        metadata, _ = cli.parse_safetensors(file.read_bytes())
        self.assertEqual(metadata["network_sha256"], sample("plain", "--steps", 3)[1]["model_sha256"])
        self.assertNotIn("data_sha256", metadata)
        _, settings, result = sample("teleported", "--steps", 5, "--teleport", 20, "--teleport_stats", file)
        self.assertLess(result["sigma_skip"], 20.1)
        self.assertEqual(settings["teleport_stats"], str(file))

    def test_data_take_the_place_of_paths(self):
        result = cli.result_of("fit", folder / "images.idx", "--from_network", network, "--dpm_v3", folder / "v3_data", "--v3_points", 20, "--v3_cells", 40)
        self.assertEqual(result["dpm_v3"]["nfe"], 20 * 3 * 41)
        self.assertEqual(result["dpm_v3"]["points"], 20)


class DpmV3(unittest.TestCase):
    OPTIONS = ["--solver", "dpm_v3", "--steps", 5]

    def test_draws_the_same_pictures_in_any_batch(self):
        options = [*self.OPTIONS, "--v3_stats", folder / "first" / "v3"]
        one, settings, result = sample("v3_one", *options)
        two, _, _ = sample("v3_two", *options, "--batch", 2, "--threads", 1)
        self.assertEqual(one, two)
        self.assertEqual(result["nfe"], 5)
        self.assertEqual((settings["v3_range"], settings["corrector"], settings["pseudo_order"]), ([0.002, 80], False, False))
        corrected, settings, result = sample("v3_corrected", *options, "--corrector", "--pseudo_order")
        self.assertNotEqual(one, corrected)
        self.assertEqual((result["nfe"], settings["corrector"], settings["pseudo_order"]), (5, True, True))

    def test_takes_folders_without_a_range(self):
        bare = folder / "bare"
        bare.mkdir()
        for name in ("l.npz", "sb.npz"):
            (bare / name).write_bytes((folder / "first" / "v3" / name).read_bytes())
        with_range, _, _ = sample("v3_range", *self.OPTIONS, "--v3_stats", bare, "--v3_range", "0.002,80")
        without, _, _ = sample("v3_own", *self.OPTIONS, "--v3_stats", folder / "first" / "v3")
        self.assertEqual(with_range, without)
        refused = cli.run("sample", "--network", network, "--outdir", folder / "v3_none", *self.OPTIONS, "--v3_stats", bare)
        self.assertEqual(refused.code, 3)
        self.assertIn("range.json", refused.err)


class Grids(unittest.TestCase):
    def test_are_what_sample_uses(self):
        file = folder / "first" / "grids.json"
        _, settings, result = sample("optimised", "--steps", 3, "--schedule", "optimised", "--grid_file", file, "--solver", "dpmpp_2m")
        self.assertEqual(result["sigmas"], fitted["grids"]["sigmas"]["3"])
        self.assertEqual((len(result["sigmas"]), result["sigmas"][0], result["sigmas"][-1], result["nfe"]), (4, 80, 0, 3))
        self.assertEqual(settings["schedule"], "optimised")


if __name__ == "__main__":
    cli.main()
