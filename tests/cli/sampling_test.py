#!/usr/bin/env python3
"""sample: a picture depends on its seed and the settings only, runs survive signals, evaluations are counted, closed forms are met."""

import json
import math
import pathlib
import signal
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

AREA = cli.SIDE**2
DIM = 16  # of the points, a multiple of 16 because of cli.noise_of
MANY = 30  # pictures of a run that is interrupted


def setUpModule():
    global folder, network, stats, flat
    folder = cli.temporary_folder()
    network, stats, flat = folder / "net.safetensors", folder / "stats.safetensors", folder / "flat.safetensors"
    cli.write_blobs(folder / "images.idx")
    cli.succeed("fit", folder / "images.idx", "--out", stats)
    cli.succeed("train", "--data", folder / "images.idx", "--out", network, "--images", 640, *cli.TINY)
    cli.write_points(folder / "points.npy", cli.gaussian_points(80, DIM))
    cli.succeed("fit", folder / "points.npy", "--out", flat)


names = iter(range(1000))


def sample(*options, model=None, outdir=None):
    """A run that must end well: its folder, and its JSON object. The network's, where no model is given."""
    outdir = outdir or folder / ("run_%03d" % next(names))
    result = cli.result_of("sample", *(model or ["--network", network]), "--outdir", outdir, *options)
    assert result["outdir"] == str(outdir)
    return outdir, result


def run_json(outdir):
    return json.loads((outdir / "run.json").read_text())


def pixels(outdir, seeds):
    """The pictures of these seeds, each a list of bytes."""
    rows = []
    for seed in seeds:
        shape, values = cli.decode_png((outdir / ("%06d.png" % seed)).read_bytes())
        assert shape == (cli.SIDE, cli.SIDE, 1), shape
        rows.append(list(values))
    return rows


def points(*options, model=None):
    """Samples of the 16-dimensional Gaussian, as float rows."""
    outdir, result = sample(*options, "--npz", model=model or ["--stats", flat])
    arrays = cli.read_npz(outdir / "samples.npz")
    assert list(arrays) == ["samples"] and arrays["samples"].dtype == "<f4" and arrays["samples"].shape == (result["count"], DIM)
    return arrays["samples"].rows()


def teleported(sigma, by=None):
    return ["--teleport", sigma, "--teleport_stats", by or stats]


class Reproducibility(unittest.TestCase):
    # 21 pictures: a full micro-batch and a padded one.
    def check(self, *options, model=None):
        first = cli.pngs(sample("--seeds", "0-20", "--steps", 6, "--threads", 2, *options, model=model)[0])
        self.assertEqual(len(first), 21)
        self.assertGreater(len(set(first.values())), 15)
        for variant in (["--batch", 1, "--threads", 2], ["--batch", 8, "--threads", 1]):
            other = cli.pngs(sample("--seeds", "0-20", "--steps", 6, *options, *variant, model=model)[0])
            self.assertEqual(other, first, variant)

    def test_batch_and_threads_never_change_a_networks_picture(self):
        self.check()

    def test_nor_in_residual_form(self):
        low = folder / "low.safetensors"
        cli.succeed("fit", folder / "images.idx", "--rank", 5, "--out", low)
        for by in (stats, low):
            self.check("--solver", "unipc_bh2", "--residual", 1, "--teleport", 20, "--teleport_mode", "respaced", "--teleport_stats", by)

    def test_nor_in_bfloat16_which_gives_nearly_the_same_picture(self):
        self.check("--precision", "bf16")
        seeds = range(4)
        half, result = sample("--seeds", "0-3", "--steps", 6, "--precision", "bf16")
        full, _ = sample("--seeds", "0-3", "--steps", 6)
        self.assertEqual(run_json(half)["settings"]["precision"], "bf16")
        differences = [abs(a - b) for one, other in zip(pixels(half, seeds), pixels(full, seeds)) for a, b in zip(one, other)]
        self.assertGreater(max(differences), 0)
        self.assertLess(sum(differences) / len(differences), 3)
        refused = cli.run("sample", "--network", network, "--outdir", half, "--seeds", "0-5", "--steps", 6, "--resume")
        self.assertEqual((refused.code, "run.json" in refused.err), (3, True), refused)

    def test_batch_and_threads_never_change_a_picture_whatever_the_solver(self):
        for solver in ("ddpm", "sde_dpmpp_2m", "unipc_bh2", "rk45"):
            with self.subTest(solver=solver):
                self.check("--solver", solver, model=["--stats", stats])

    def test_batch_and_threads_never_change_a_teleported_picture(self):
        self.check(*teleported(20))

    def test_batch_and_threads_never_change_a_closed_forms_picture(self):
        self.check(model=["--stats", stats])

    def test_a_seed_gives_the_same_picture_in_any_list(self):
        many = cli.pngs(sample("--seeds", "0-9", "--steps", 3)[0])
        few, _ = sample("--seeds", "9,5", "--steps", 3)
        self.assertEqual(cli.pngs(few), {name: many[name] for name in ("000005.png", "000009.png")})

    def test_the_noise_is_libtorchs(self):
        # One Euler step from sigma_max to 0 is D(x; sigma_max), here of a Gaussian; 2^32 + 3 wraps around to 3.
        fitted = cli.Gaussian(flat)
        seeds = [0, 3, 12345, 2**32 + 3]
        drawn = points("--seeds", ",".join(map(str, seeds)), "--sigmas", "2,0")
        matrix = fitted.spectral(lambda value: value / (value + 4))
        expected = []
        for seed in seeds:
            centred = [2 * n - m for n, m in zip(cli.noise_of(seed, DIM), fitted.mean)]
            expected.append([m + y for m, y in zip(fitted.mean, cli.apply(matrix, centred))])
        self.assertLess(cli.largest_difference(drawn, expected), 1e-5)


class Interruption(unittest.TestCase):
    OPTIONS = ["--seeds", "0-%d" % (MANY - 1), "--batch", 2]

    @classmethod
    def setUpClass(cls):
        cls.whole = cli.pngs(sample("--seeds", "0-%d" % (MANY - 1))[0])

    def interrupt(self, number, code):
        outdir = folder / ("interrupted_%d" % number)
        enough = lambda: outdir.is_dir() and len(list(outdir.glob("*.png"))) >= 4  # noqa: E731
        result = cli.run_and_signal(number, enough, "sample", "--network", network, "--outdir", outdir, *self.OPTIONS)
        self.assertEqual(result.code, code, "\n%s" % result)
        left = cli.pngs(outdir)
        self.assertTrue(4 <= len(left) < MANY, len(left))
        for name, content in left.items():
            self.assertEqual(cli.decode_png(content)[0], (cli.SIDE, cli.SIDE, 1))
            self.assertEqual(content, self.whole[name])
        self.assertIs(run_json(outdir)["finished"], False)
        return outdir, result

    def finish(self, outdir):
        before = {path.name: path.stat().st_mtime_ns for path in outdir.glob("*.png")}
        _, result = sample(*self.OPTIONS, "--resume", outdir=outdir)
        self.assertEqual(cli.pngs(outdir), self.whole)
        self.assertEqual({name: (outdir / name).stat().st_mtime_ns for name in before}, before, "pictures were drawn again")
        run = run_json(outdir)
        self.assertEqual((run["finished"], run["count"], run["nfe"], result["nfe"], result["count"]), (True, MANY, 35, 35, MANY))

    def test_after_an_interruption_whole_files_are_left_and_resume_completes_them(self):
        outdir, result = self.interrupt(signal.SIGINT, cli.INTERRUPTED)
        self.assertRegex(result.err, r"\Aheadstart: [^\n]*interrupted[^\n]*\n\Z")
        self.assertEqual(cli.temporary_files(outdir), [])
        self.finish(outdir)
        # Once more: nothing is left to do.
        before = cli.tree(outdir)
        times = {path.name: path.stat().st_mtime_ns for path in outdir.glob("*.png")}
        _, again = sample(*self.OPTIONS, "--resume", outdir=outdir)
        after = cli.tree(outdir)
        self.assertEqual({path.name: path.stat().st_mtime_ns for path in outdir.glob("*.png")}, times)
        self.assertEqual((again["nfe"], again["count"]), (35, MANY))
        self.assertEqual(set(after), set(before))
        self.assertEqual(json.loads(after["run.json"])["nfe"], 35)
        self.assertIs(json.loads(after["run.json"])["finished"], True)

    def test_what_a_killed_run_leaves_is_not_taken_for_samples(self):
        outdir, _ = self.interrupt(signal.SIGKILL, cli.KILLED)
        half = next(iter(self.whole.values()))[:50]
        for name in ("%06d.png.tmp.123.0" % (MANY - 1), "%06d.png.tmp.124.0" % (MANY - 2)):
            (outdir / name).write_bytes(half)  # as if it had been killed while writing
        self.finish(outdir)
        info = cli.result_of("evaluate", "--samples", outdir, "--reference", folder / "images.idx", "--num", MANY)
        self.assertEqual(info["num"], MANY)


class Evaluations(unittest.TestCase):
    """The number of network evaluations, in --json and in run.json."""

    def check(self, nfe, *options, model=None):
        outdir, result = sample("--seeds", "0-2", "--batch", 2, *options, model=model)
        run = run_json(outdir)
        self.assertEqual((result["nfe"], run["nfe"]), (nfe, nfe))
        self.assertLessEqual({"nfe", "sigmas", "sigma_skip", "solver", "seconds", "images_per_second", "count"}, set(result))
        self.assertEqual((result["count"], result["solver"], run["finished"]), (3, run["settings"]["solver"], True))
        self.assertEqual(result["sigmas"], run["settings"]["sigmas"])
        return result

    def check_grid(self, result, expected):
        self.assertEqual(len(result["sigmas"]), len(expected))
        for level, wanted in zip(result["sigmas"], expected):
            self.assertAlmostEqual(level, wanted, delta=1e-9 * max(wanted, 1e-3))

    def test_heun_takes_two_a_step_and_one_for_the_last(self):
        result = self.check(35)
        self.check_grid(result, [*cli.karras_sigmas(18), 0])
        self.assertIsNone(result["sigma_skip"])
        self.assertEqual(result["solver"], "heun")

    def test_euler_takes_one_a_step(self):
        self.check(18, "--solver", "euler", model=["--stats", stats])
        for solver in ("dpmpp_2m", "dpmpp_3m", "unipc_bh1", "unipc_bh2", "deis", "ipndm", "ddpm", "sde_dpmpp_2m"):
            self.check(18, "--solver", solver, model=["--stats", stats])
        self.check(35, "--solver", "dpmpp_2s", model=["--stats", stats])
        self.check(18, "--solver", "dpmpp_3m", "--order", 2, "--lower_order_final", model=["--stats", stats])

    def test_without_the_final_zero_there_is_no_last_denoise(self):
        result = self.check(34, "--denoise_to_zero", "off", model=["--stats", stats])
        self.check_grid(result, cli.karras_sigmas(18))

    def test_the_tail_mode_saves_the_steps_it_jumps_over(self):
        result = self.check(27, *teleported(19.4))
        self.assertAlmostEqual(result["sigma_skip"], 19.351, delta=0.01)
        self.check_grid(result, [*cli.karras_sigmas(18)[4:], 0])

    def test_the_respaced_mode_keeps_the_number_of_evaluations(self):
        result = self.check(35, *teleported(19.4), "--teleport_mode", "respaced", model=["--stats", stats])
        self.assertEqual((result["sigmas"][0], result["sigma_skip"]), (19.4, 19.4))
        self.check_grid(result, [*cli.karras_sigmas(18, high=19.4), 0])

    def test_every_schedule_goes_from_the_largest_level_to_the_smallest(self):
        for schedule in ("log", "linear", "quadratic", "cosine", "flow", "ddpm_leading", "ddpm_trailing"):
            with self.subTest(schedule=schedule):
                sigmas = self.check(11, "--steps", 6, "--schedule", schedule, model=["--stats", stats])["sigmas"]
                self.assertEqual((len(sigmas), sigmas[-1]), (7, 0))
                self.assertEqual(sigmas, sorted(sigmas, reverse=True))
                if not schedule.startswith("ddpm"):
                    self.assertEqual((sigmas[0], sigmas[-2]), (80, 0.002))
                else:
                    self.assertEqual(sigmas[0] > 70, schedule == "ddpm_trailing")
        respaced = self.check(11, "--steps", 6, "--schedule", "log", *teleported(10), "--teleport_mode", "respaced", model=["--stats", stats])
        ratios = [a / b for a, b in zip(respaced["sigmas"], respaced["sigmas"][1:-1])]
        self.assertLess(max(ratios) / min(ratios), 1 + 1e-9)

    def test_a_given_grid_is_used_as_it_is(self):
        result = self.check(5, "--sigmas", "40,3.5,0.25,0", model=["--stats", stats])
        self.assertEqual(result["sigmas"], [40, 3.5, 0.25, 0])


class ClosedForms(unittest.TestCase):
    """For a Gaussian the right answer is known: the noise carried down by the flow's formula."""

    def expected(self, seeds, factor=lambda value: math.sqrt(value / (value + 6400))):
        fitted = cli.Gaussian(flat)
        matrix = fitted.spectral(factor)
        centred = [[80 * n - m for n, m in zip(cli.noise_of(seed, DIM), fitted.mean)] for seed in seeds]
        return [[m + y for m, y in zip(fitted.mean, cli.apply(matrix, row))] for row in centred]

    def test_a_jump_to_the_last_level_is_the_exact_solution(self):
        drawn = points("--seeds", "0-3", *teleported(0.003, flat))
        last = 0.002**2  # the level it lands on, from where one evaluation, the final denoise, leads to 0
        factor = lambda value: math.sqrt((value + last) / (value + 6400)) * value / (value + last)  # noqa: E731
        self.assertLess(cli.largest_difference(drawn, self.expected(range(4), factor)), 1e-5)

    def test_the_residual_form_makes_no_error_on_its_own_gaussian(self):
        last = 0.002**2
        factor = lambda value: math.sqrt((value + last) / (value + 6400)) * value / (value + last)  # noqa: E731
        drawn = points("--seeds", "0-3", "--steps", 3, "--solver", "dpmpp_2m", "--residual", 0, "--teleport_stats", flat)
        self.assertLess(cli.largest_difference(drawn, self.expected(range(4), factor)), 1e-5)
        switched = points("--seeds", "0-3", "--steps", 3, "--solver", "dpmpp_2m", "--residual", 1, "--teleport_stats", flat)
        self.assertGreater(cli.largest_difference(switched, drawn), 1e-3)

    def test_the_solver_converges_to_the_exact_solution_and_teleporting_changes_nothing(self):
        exact, errors, gaps = self.expected(range(4)), {}, {}
        for steps in (18, 200):
            full = points("--seeds", "0-3", "--steps", steps)
            jumped = points("--seeds", "0-3", "--steps", steps, *teleported(10, flat))
            errors[steps] = cli.largest_difference(full, exact)
            gaps[steps] = cli.largest_difference(full, jumped)
        self.assertLess(errors[18], 0.2)
        self.assertLess(errors[200], 2e-3)
        self.assertLess(gaps[18], 0.2)
        self.assertLess(gaps[200], 2e-3)
        # Heun's order is 2: eleven times the steps, about a hundredth of the error.
        self.assertLess(errors[200], errors[18] / 30)
        self.assertLess(gaps[200], gaps[18] / 30)

    def test_pictures_of_a_teleported_gaussian_are_the_full_runs(self):
        full = pixels(sample("--seeds", "0-3", "--steps", 60, model=["--stats", stats])[0], range(4))
        jumped = pixels(sample("--seeds", "0-3", "--steps", 60, *teleported(8), model=["--stats", stats])[0], range(4))
        self.assertLessEqual(cli.largest_difference(full, jumped), 1)
        fitted = cli.Gaussian(stats)
        exact = []
        for seed in range(4):
            end = fitted.flow([80 * n for n in cli.noise_of(seed, AREA)], 80, 0)
            exact.append([min(255, max(0, math.floor((v + 1) * 127.5 + 0.5))) for v in end])
        self.assertLessEqual(cli.largest_difference(full, exact), 1)


class Files(unittest.TestCase):
    SEEDS = "0-4,1003,999999,1000000"
    NUMBERS = [0, 1, 2, 3, 4, 1003, 999999, 1000000]
    OPTIONS = ["--seeds", SEEDS, "--steps", 3]

    @classmethod
    def setUpClass(cls):
        cls.grid = folder / "grid.png"
        cls.outdir, cls.result = sample(*cls.OPTIONS, "--grid", cls.grid)

    def test_pictures_are_named_by_seed(self):
        self.assertEqual(set(cli.tree(self.outdir)), {"run.json", *("%06d.png" % seed for seed in self.NUMBERS)})

    def test_subdirs_group_by_a_thousand(self):
        outdir, _ = sample(*self.OPTIONS, "--subdirs")
        alone = cli.pngs(self.outdir)
        self.assertEqual(cli.pngs(outdir), {"%06d/%06d.png" % (seed // 1000 * 1000, seed): alone["%06d.png" % seed] for seed in self.NUMBERS})

    def test_an_npz_holds_the_same_pictures(self):
        outdir, _ = sample(*self.OPTIONS, "--npz")
        self.assertEqual(set(cli.tree(outdir)), {"run.json", "samples.npz"})
        arrays = cli.read_npz(outdir / "samples.npz")
        self.assertEqual(list(arrays), ["samples"])
        self.assertEqual((arrays["samples"].dtype, arrays["samples"].shape), ("|u1", (len(self.NUMBERS), cli.SIDE, cli.SIDE, 1)))
        self.assertEqual(arrays["samples"].rows(), pixels(self.outdir, self.NUMBERS))
        # It can be resumed as well: there is nothing to do.
        before = (outdir / "samples.npz").read_bytes()
        _, result = sample(*self.OPTIONS, "--npz", "--resume", outdir=outdir)
        self.assertEqual((result["count"], (outdir / "samples.npz").read_bytes()), (len(self.NUMBERS), before))

    def test_the_grid_shows_the_pictures_side_by_side(self):
        (height, width, channels), values = cli.decode_png(pathlib.Path(self.grid).read_bytes())
        cell = cli.SIDE + 2  # 8 pictures: 3 columns, 3 rows, 2 pixels between and around
        self.assertEqual((height, width, channels), (3 * cell + 2, 3 * cell + 2, 1))
        for n, picture in enumerate(pixels(self.outdir, self.NUMBERS)):
            top, left = n // 3 * cell + 2, n % 3 * cell + 2
            shown = [values[(top + y) * width + left + x] for y in range(cli.SIDE) for x in range(cli.SIDE)]
            self.assertEqual(shown, picture, n)

    def test_run_json_holds_every_setting(self):
        run = run_json(self.outdir)
        settings = run["settings"]
        self.assertEqual((run["finished"], run["count"], run["nfe"]), (True, len(self.NUMBERS), 5))
        self.assertEqual((settings["network"], settings["seeds"], settings["steps"], settings["solver"]), (str(network), self.SEEDS, 3, "heun"))
        self.assertEqual((settings["sigma_min"], settings["sigma_max"], settings["rho"], settings["teleport"]), (0.002, 80, 7, "off"))
        self.assertRegex(settings["model_sha256"], r"\A[0-9a-f]{64}\Z")
        self.assertTrue(run["program"].startswith("headstart "))


if __name__ == "__main__":
    cli.main()
