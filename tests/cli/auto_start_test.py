#!/usr/bin/env python3
"""sample --teleport auto, --residual auto: the choice is the best of what was tried, kept, said, and shown; bad requests are refused."""

import json
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

USUAL = {"--seeds": "0-3", "--steps": 5, "--solver": "dpmpp_2m", "--sigma_min": 0.05, "--teleport_mode": "respaced"}


def setUpModule():
    global folder, model, stats
    folder = cli.temporary_folder()
    model, stats = folder / "mixture.safetensors", folder / "stats.safetensors"
    cli.write_blobs(folder / "images.idx")
    cli.succeed("fit", folder / "images.idx", "--out", stats)
    cli.succeed("fit", folder / "images.idx", "--components", 4, "--out", model)


def sample(name, *options):
    outdir = folder / name
    settings = USUAL | dict(zip(options[::2], options[1::2]))
    words = [word for pair in settings.items() for word in pair]
    result = cli.result_of("sample", "--stats", model, "--outdir", outdir, "--teleport_stats", stats, *words)
    return json.loads((outdir / "run.json").read_text()), result


class Choice(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_json, cls.result = sample("first", "--teleport", "auto", "--residual", "auto", "--calibration_data", folder / "images.idx")
        cls.chosen = cls.run_json["calibration"]

    def test_it_is_as_good_as_the_best_of_what_was_tried(self):
        trials = self.chosen["trials"]
        self.assertEqual((trials[0]["sigma_skip"], trials[0]["sigma_c"]), (None, None))
        least = min(trial["error"] for trial in trials)
        best = next(trial for trial in trials if trial["error"] <= 1.05 * least)
        self.assertEqual((self.chosen["sigma_skip"], self.chosen["sigma_c"]), (best["sigma_skip"], best["sigma_c"]))
        self.assertLess(best["error"], 0.9 * trials[0]["error"], "five steps from sigma 80 leave much to gain")
        self.assertEqual(len(trials), 1 + 9 + 2 + 1, "none, jumps, other switches, no switch")

    def test_it_is_what_the_run_did(self):
        self.assertEqual(self.run_json["settings"]["sigma_skip"], self.chosen["sigma_skip"])
        self.assertEqual(self.result["sigma_skip"], self.chosen["sigma_skip"])
        self.assertEqual(self.result["sigma_c"], self.chosen["sigma_c"])
        self.assertEqual(self.result["nfe"], 5)
        given, _ = sample("given", "--teleport", self.chosen["sigma_skip"], "--residual", self.chosen["sigma_c"] or "off")
        self.assertEqual(cli.pngs(folder / "given"), cli.pngs(folder / "first"))
        self.assertNotIn("calibration", given)

    def test_its_cost_is_said(self):
        held_out = min(256, 96) * len(self.chosen["denoising"])
        self.assertEqual(self.chosen["evaluations"], 64 * (60 + 13 * 5) + held_out)
        self.assertGreater(self.chosen["seconds"], 0)

    def test_it_is_kept_and_found_again(self):
        self.assertFalse(self.chosen["from_file"])
        kept = json.loads((folder / "stats.safetensors.head_starts.json").read_text())
        self.assertEqual(len(kept), len({json.dumps(entry["key"]) for entry in kept}), "each choice once")
        self.assertIn(self.chosen["trials"], [entry["result"]["trials"] for entry in kept])
        again, _ = sample("again", "--teleport", "auto", "--residual", "auto", "--calibration_data", folder / "images.idx", "--seeds", "7")
        self.assertTrue(again["calibration"]["from_file"])
        self.assertEqual(again["calibration"]["trials"], self.chosen["trials"])

    def test_other_settings_are_calibrated_anew(self):
        for name, options in (("steps", ["--steps", 6]), ("nodata", [])):
            run, _ = sample(name, "--teleport", "auto", "--residual", "auto", *options)
            self.assertFalse(run["calibration"]["from_file"], name)

    def test_the_report_shows_it(self):
        page = folder / "report.html"
        result = cli.result_of("report", folder / "first", "--out", page)
        self.assertEqual(result["studies"], 1)
        self.assertIn("Where to jump", page.read_text())


class Reference(unittest.TestCase):
    """The model's own Gaussian: its path is known, so errors say whether the reference is where the run's noise leads."""

    def trials(self, name, *options):
        settings = {"--seeds": "0", "--steps": 50, "--solver": "unipc_bh2", "--sigma_min": 0.002, **dict(zip(options[::2], options[1::2]))}
        words = [word for pair in settings.items() for word in pair]
        cli.succeed("sample", "--stats", stats, "--outdir", folder / name, "--teleport_stats", stats, *words)
        return json.loads((folder / name / "run.json").read_text())["calibration"]["trials"]

    def test_starts_from_the_noise_of_the_run_wherever_a_jump_is_given(self):
        for mode in ("respaced", "tail"):
            trials = self.trials("own_" + mode, "--teleport", 10, "--teleport_mode", mode, "--residual", "auto")
            self.assertGreater(len(trials), 3)
            for trial in trials:
                self.assertLess(trial["error"], 0.01, (mode, trial))

    def test_ends_where_the_run_does(self):
        data = ["--calibration_data", folder / "images.idx"]
        for name, options in (("above", ["--sigma_min", 2]), ("above_data", ["--sigma_min", 2, *data])):
            for trial in self.trials(name, "--teleport", "auto", "--teleport_mode", "respaced", "--denoise_to_zero", "off", *options):
                self.assertLess(trial["error"], 0.01, (name, trial))

    def test_held_out_data_move_it(self):
        # A model that denoises worse than the Gaussian of the data: with the data its path is not followed from the top.
        other = folder / "other.safetensors"
        cli.write_blobs(folder / "others.idx", 24, seed=99)
        cli.succeed("fit", folder / "others.idx", "--components", 3, "--out", other)
        words = ["--outdir", folder / "moved", "--teleport_stats", stats, "--seeds", 0, "--steps", 5, "--solver", "dpmpp_2m", "--teleport", "auto"]
        errors = []
        for name, data in (("moved", ["--calibration_data", folder / "images.idx"]), ("unmoved", [])):
            words[1] = folder / name
            cli.succeed("sample", "--stats", other, *words, *data)
            calibration = json.loads((folder / name / "run.json").read_text())["calibration"]
            self.assertEqual(calibration["crossing"] is not None, bool(data))
            errors.append([trial["error"] for trial in calibration["trials"]])
        self.assertNotEqual(*errors)


class Parts(unittest.TestCase):
    def test_one_of_them_may_be_given(self):
        run, result = sample("skip_given", "--teleport", 10, "--residual", "auto")
        self.assertEqual({trial["sigma_skip"] for trial in run["calibration"]["trials"]}, {10})
        self.assertEqual(result["sigma_skip"], 10)
        run, result = sample("switch_given", "--teleport", "auto", "--residual", 1)
        self.assertEqual({trial["sigma_c"] for trial in run["calibration"]["trials"]}, {1})
        self.assertEqual(result["sigma_c"], 1)

    def test_a_switch_that_splits_no_step_is_none(self):
        run, result = sample("short", "--teleport", 5, "--residual", "auto", "--steps", 2)
        self.assertLess(result["sigmas"][1], 0.5)
        self.assertIsNone(result["sigma_c"])
        self.assertEqual(len({trial["error"] for trial in run["calibration"]["trials"]}), 1)

    def test_the_tail_jumps_to_levels_of_the_grid(self):
        run, _ = sample("tail", "--teleport", "auto", "--teleport_mode", "tail", "--steps", 12)
        skips = [trial["sigma_skip"] for trial in run["calibration"]["trials"]][1:]
        grid = cli.karras_sigmas(12, low=0.05)
        self.assertGreater(len(set(skips)), 3)
        for skip in skips:
            self.assertLess(min(abs(skip - level) for level in grid), 1e-9)


class Refusals(unittest.TestCase):
    def refused(self, code, words, *options):
        outdir = folder / "refused"
        done = cli.run("sample", "--stats", model, "--outdir", outdir, *options)
        self.assertEqual(done.code, code, done)
        for word in words:
            self.assertIn(word, done.err)
        self.assertEqual(len(done.err.strip().splitlines()), 1)
        self.assertFalse(outdir.exists())

    def test_what_cannot_be_chosen(self):
        with_stats = ["--teleport_stats", stats]
        self.refused(2, ["--teleport_stats", "--teleport"], "--teleport", "auto")
        self.refused(2, ["--teleport", "ddpm", "auto"], "--teleport", "auto", "--solver", "ddpm", *with_stats)
        self.refused(2, ["--teleport", "--S_churn", "auto"], "--teleport", "auto", "--S_churn", 5, *with_stats)
        init = ["--init", folder / "images.idx", "--init_sigma", 5]
        self.refused(2, ["--teleport", "--init", "auto"], "--teleport", "auto", *init, *with_stats)
        self.refused(2, ["--residual", "dpmpp_2m", "heun"], "--residual", "auto", *with_stats)
        self.refused(2, ["--teleport_mode", "--sigmas"], "--teleport", "auto", "--teleport_mode", "respaced", "--sigmas", "80,9,1,0", *with_stats)
        self.refused(2, ["--calibration_data", "auto"], "--teleport", 10, "--calibration_data", folder / "images.idx", *with_stats)
        self.refused(3, ["missing"], "--teleport", "auto", "--calibration_data", folder / "missing", *with_stats)
        self.refused(3, ["nowhere"], "--teleport", "auto", "--calibration_file", folder / "nowhere" / "kept.json", *with_stats)
        (folder / "empty_entry.json").write_text("[1]")
        self.refused(3, ["empty_entry.json"], "--teleport", "auto", "--calibration_file", folder / "empty_entry.json", *with_stats)
        (folder / "broken.json").write_text("{}")
        self.refused(3, ["broken.json", "--calibration_file"], "--teleport", "auto", "--calibration_file", folder / "broken.json", *with_stats)
        self.refused(2, ["off, auto or a noise level", "high"], "--teleport", "high", *with_stats)


if __name__ == "__main__":
    cli.main()
