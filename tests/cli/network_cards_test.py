#!/usr/bin/env python3
"""TorchScript networks by their cards: pictures in the range of the data, one line for a fault, classes described but not used."""

import json
import math
import pathlib
import re
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

SIDE = 4


def write_network(path, card, **options):
    cli.write_scripted_network(path, {"shape": [1, SIDE, SIDE], **card}, **options)


class NetworkCards(unittest.TestCase):
    def setUp(self):
        self.folder = cli.temporary_folder()
        self.network = self.folder / "net.pt"

    def sample(self, *options):
        return cli.run("sample", "--network", self.network, "--outdir", self.folder / "run", "--seeds", "0-1", "--steps", 4, *options)

    def assert_refused(self, result, code, *parts):
        self.assertEqual(result.code, code, result)
        self.assertEqual(result.err.count("\n"), 1, result)
        for part in parts:
            self.assertIn(part, result.err)
        self.assertFalse((self.folder / "run").exists(), "a refused run leaves nothing")

    def test_pictures_are_scaled_from_the_range_of_the_data(self):
        for low, high in [(-1, 1), (0, 1), (-0.5, 0.5)]:
            with self.subTest(low=low, high=high):
                write_network(self.network, {"prediction": "denoised", "range": [low, high]})
                outdir = self.folder / ("run%g" % low)
                cli.succeed("sample", "--network", self.network, "--outdir", outdir, "--seeds", "0-1", "--steps", 4)
                shape, values = cli.decode_png((outdir / "000000.png").read_bytes())
                expected = round((0.25 - low) / (high - low) * 255)
                self.assertEqual(set(values), {expected})
                self.assertEqual(json.loads((outdir / "run.json").read_text())["settings"]["range"], [low, high])

    def test_the_grid_stays_inside_the_levels_of_the_schedule(self):
        schedule = {"type": "vp_linear", "beta_start": 1e-4, "beta_end": 0.02, "steps": 1000}
        write_network(self.network, {"prediction": "x0", "schedule": schedule})
        sigmas = json.loads(cli.succeed("sample", "--network", self.network, "--outdir", self.folder / "fine", "--seeds", "0", "--steps", 4,
                                        "--json", "-").out)["sigmas"]
        self.assertAlmostEqual(sigmas[0], 80)
        self.assertAlmostEqual(sigmas[-2], 0.0100005, delta=1e-6)
        self.assert_refused(self.sample("--sigma_max", 200), 2, "--sigma_max", "157.4")
        self.assert_refused(self.sample("--sigma_min", 0.002), 2, "--sigma_min", "0.01")

    def test_its_own_table_is_what_the_ddpm_grids_take_levels_from(self):
        alphas = [0.999 * 0.97**i for i in range(200)]
        table = [math.sqrt((1 - a) / a) for a in alphas]
        write_network(self.network, {"prediction": "eps", "schedule": {"type": "table", "alphas_cumprod": alphas}})
        for name in ("ddpm_leading", "ddpm_trailing"):
            result = cli.result_of("sample", "--network", self.network, "--outdir", self.folder / name, "--seeds", "0", "--steps", 5,
                                   "--schedule", name)
            for sigma in result["sigmas"][:-1]:
                self.assertLess(min(abs(sigma / level - 1) for level in table), 1e-6, name)
        self.assertAlmostEqual(result["sigmas"][0], max(table), delta=1e-4 * max(table))
        many = cli.run("sample", "--network", self.network, "--outdir", self.folder / "run", "--steps", 201, "--schedule", "ddpm_leading")
        self.assert_refused(many, 2, "--steps", "200, the levels of the network")

    def test_info_tells_what_the_card_says(self):
        write_network(self.network, {"prediction": "flow", "flip_time": True, "range": [0, 1], "classes": 10, "name": "a flow"})
        info = cli.result_of("info", self.network)
        self.assertEqual((info["kind"], info["prediction"], info["shape"], info["range"], info["classes"]),
                         ("torchscript", "flow", "1,%d,%d" % (SIDE, SIDE), [0, 1], 10))

    def test_a_network_with_classes_is_refused_before_anything_is_written(self):
        write_network(self.network, {"prediction": "denoised", "classes": 10})
        self.assert_refused(self.sample(), 2, str(self.network), "a class cannot be asked for yet")
        cli.write_points(self.folder / "points.npy", [[0.0] * SIDE**2])
        out = self.folder / "out.npy"
        result = cli.run("denoise", self.folder / "points.npy", "--network", self.network, "--sigma", 1, "--out", out)
        self.assert_refused(result, 2, str(self.network), "a class cannot be asked for yet")
        self.assertFalse(out.exists())

    def test_a_wrong_card_is_one_line_that_names_the_file(self):
        card = str(self.network) + ".json"
        for wrong, part in [({"prediction": "denoised", "time_scales": 1000}, "unknown key time_scales"),
                            ({"prediction": "noise"}, "expected prediction as one of eps, x0, v"),
                            ({"prediction": "edm"}, "need sigma_data"),
                            ({"prediction": "eps", "schedule": {"type": "flow"}, "time": "step"}, "time step needs a schedule with steps")]:
            with self.subTest(wrong=wrong):
                write_network(self.network, wrong)
                self.assert_refused(self.sample(), 3, card, part)
                self.assert_refused(cli.run("info", self.network), 3, card, part)

    def test_the_cards_of_the_documentation_are_good(self):
        page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "networks.md"
        cards = [json.loads(card) for card in re.findall(r"```json\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)]
        self.assertGreaterEqual(len(cards), 5)
        for card in cards:
            write_network(self.network, card)
            self.assertEqual(cli.result_of("info", self.network)["prediction"], card["prediction"])


if __name__ == "__main__":
    cli.main()
