#!/usr/bin/env python3
"""sample with a closed form in front: jumps of every kind, statistics of another range, one class's, networks that end early, pictures to
start from."""

import copy
import json
import math
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

DIM = 16  # of the points, and 4 x 4 pixels: a multiple of 16 because of cli.noise_of
SIDE = 4


def setUpModule():
    global folder, flat, pictures, stats, classes
    folder = cli.temporary_folder()
    flat, stats, classes = folder / "flat.safetensors", folder / "stats.safetensors", folder / "classes.safetensors"
    cli.write_points(folder / "points.npy", cli.gaussian_points(80, DIM))
    cli.succeed("fit", folder / "points.npy", "--out", flat)
    pictures = folder / "pictures-images-idx3"
    cli.write_idx(pictures, (60, SIDE, SIDE), cli.blob_pixels(60, SIDE))
    cli.write_idx(folder / "pictures-labels-idx1", (60,), [n % 2 for n in range(60)])
    cli.succeed("fit", pictures, "--out", stats)
    cli.succeed("fit", pictures, "--out", classes, "--per_class", "--rank", 6)


names = iter(range(1000))


def sample(model, *options):
    """A run that must end well: its folder, and its JSON object."""
    outdir = folder / ("run_%03d" % next(names))
    return outdir, cli.result_of("sample", *model, "--outdir", outdir, *options)


def points(model, *options):
    """Samples that are no pictures, as float rows."""
    return cli.read_npz(sample(model, *options, "--npz")[0] / "samples.npz")["samples"].rows()


def path_of(model, *options, seeds=3):
    """(levels, states): of each seed the state at each level at which the model was evaluated."""
    outdir, _ = sample(model, "--seeds", "0-%d" % (seeds - 1), "--save_path", seeds, *options)
    _, tensors = cli.read_safetensors(outdir / "path.safetensors")
    count, levels, dim = tensors["states"].shape
    rows = [tensors["states"].values[i * dim : (i + 1) * dim] for i in range(count * levels)]
    return tensors["sigmas"].values, [rows[k * levels : (k + 1) * levels] for k in range(count)]


def settings(outdir):
    return json.loads((outdir / "run.json").read_text())["settings"]


def gaussian_network(name, mean=-0.4, variance=0.09, **card):
    """A network that is the Gaussian N(mean, variance I) of 4 x 4 pictures."""
    path = folder / (name + ".pt")
    cli.write_scripted_network(path, {"prediction": "denoised", "shape": [1, SIDE, SIDE], **card}, cli.gaussian_script(mean, variance))
    return ["--network", path]


def refused(*arguments):
    result = cli.run("sample", *arguments, "--outdir", folder / "refused", "--seeds", "0")
    assert result.code == 2 and result.err.count("\n") == 1, result
    return result.err


class StochasticJump(unittest.TestCase):
    def test_it_is_a_draw_of_the_reverse_sde_with_the_seeds_next_noise(self):
        fitted, a, b = cli.Gaussian(flat), 80.0, 0.002
        drawn = points(["--stats", flat], "--seeds", "0-5", "--solver", "ddpm", "--teleport", 0.003, "--teleport_stats", flat)
        w = a * a - b * b
        pull = fitted.spectral(lambda v: (v + b * b) / (v + b * b + w) * v / (v + b * b))  # and the final denoise from the last level
        spread = fitted.spectral(lambda v: math.sqrt((v + b * b) * w / (v + b * b + w)) * v / (v + b * b))
        for seed, found in enumerate(drawn):
            noise = cli.noise_of(seed, 2 * DIM)
            centred = cli.apply(pull, [a * n - m for n, m in zip(noise, fitted.mean)])
            fresh = cli.apply(spread, noise[DIM:])
            self.assertLess(max(abs(m + c + f - y) for m, c, f, y in zip(fitted.mean, centred, fresh, found)), 2e-5)

    def test_samples_of_the_gaussian_itself_have_its_moments(self):
        # 3,000 samples by steps that are fine enough: the deviation of a variance's estimate is 2.6 % of it, the limit six of them.
        fitted = cli.Gaussian(flat)
        rows = points(["--stats", flat], "--seeds", "0-2999", "--batch", 1000, "--solver", "ddpm", "--steps", 150, "--teleport", 4,
                      "--teleport_mode", "respaced", "--teleport_stats", flat)
        _, found = cli.moments(rows)
        expected = fitted.covariance()
        for i in range(DIM):
            for j in range(DIM):
                self.assertLess(abs(found[i][j] - expected[i][j]), 0.16 * math.sqrt(expected[i][i] * expected[j][j]), (i, j))

    def test_no_batch_changes_a_picture(self):
        for solver in ("ddpm", "sde_dpmpp_2m"):
            options = ["--seeds", "0-20", "--steps", 6, "--solver", solver, "--teleport", 20, "--teleport_stats", stats]
            first = cli.pngs(sample(["--stats", stats], *options)[0])
            for variant in (["--batch", 1], ["--batch", 8, "--threads", 1]):
                self.assertEqual(cli.pngs(sample(["--stats", stats], *options, *variant)[0]), first, (solver, variant))
            self.assertGreater(len(set(first.values())), 15)


class OtherRanges(unittest.TestCase):
    """A network of data in [0, 1] is helped by statistics of [-1, 1] as by the same statistics written for [0, 1]."""

    def converted(self, low, high):
        metadata, tensors = cli.read_safetensors(stats)
        tensors, slope = copy.deepcopy(tensors), (high - low) / 2
        tensors["mean"].values = [low + slope * (value + 1) for value in tensors["mean"].values]
        for name in ("eigenvalues", "tail"):
            tensors[name].values = [slope * slope * value for value in tensors[name].values]
        path = folder / ("stats_%g.safetensors" % low)
        path.write_bytes(cli.safetensors_bytes({**metadata, "range": "%g,%g" % (low, high)}, tensors))
        return path

    def test_statistics_are_converted_to_the_networks_range(self):
        for low, high in ((0, 1), (-0.5, 0.5)):
            network = gaussian_network("range_%g" % low, mean=(low + high) / 2 - 0.1, range=[low, high])
            for options in (["--teleport", 10], ["--teleport", 10, "--solver", "ddpm"], ["--teleport", 10, "--teleport_mode", "replace"]):
                with self.subTest(low=low, options=options):
                    runs = [path_of(network, *options, "--steps", 6, "--teleport_stats", by) for by in (stats, self.converted(low, high))]
                    self.assertEqual(runs[0][0], runs[1][0])
                    for a, b in zip(runs[0][1], runs[1][1]):
                        self.assertLess(cli.largest_difference(a, b), 1e-5)
            outdir, _ = sample(network, "--seeds", "0", "--steps", 4, "--teleport", 10, "--teleport_stats", stats)
            self.assertEqual((settings(outdir)["range"], settings(outdir)["teleport_stats_range"]), ([low, high], [-1, 1]))

    def test_compare_and_trajectory_convert_them_and_the_data(self):
        # Of a network that is the mean-0.3, variance-0.05 Gaussian in [0, 1], and of the same in [-1, 1]: equal explained variances.
        rows = []
        for low, mean, variance, scale in ((-1, -0.4, 0.2, 1), (0, 0.3, 0.05, 0.5)):
            network = gaussian_network("compared_%g" % low, mean, variance, range=[low, 1])[1]
            out = folder / ("compare_%g.json" % low)
            cli.succeed("compare", "--network", network, "--data", pictures, "--stats", stats, "--exact", "--samples", 32, "--sigmas",
                        ",".join(str(scale * sigma) for sigma in (0.5, 2, 10)), "--out", out)
            comparison = json.loads(out.read_text())
            self.assertEqual((comparison["range"], comparison["stats_range"]), ([low, 1], {str(stats): [-1, 1]}))
            rows.append(comparison["rows"])
            cli.succeed("trajectory", "--network", network, "--stats", stats, "--seeds", "0-3", "--steps", 4, "--modes", 4, "--kick_modes", 0,
                        "--kick_sigmas", 1, "--jacobian_sigmas", 1, "--jacobian_modes", 2, "--out", folder / "trajectory.json")
            self.assertEqual(json.loads((folder / "trajectory.json").read_text())["stats_range"], [-1, 1])
        self.assertEqual(len(rows[0]), 6)
        for a, b in zip(*rows, strict=True):
            self.assertEqual((a["name"], a["sigma"]), (b["name"], 2 * b["sigma"]))
            # The noise is that of the seed in either, so that x is the same picture; what differs is float32 rounding.
            self.assertAlmostEqual(a["St_EV"], b["St_EV"], delta=1e-4 * max(1, abs(a["St_EV"])))

    def test_score_ood_converts_them_and_the_data(self):
        def scores(scale, by, *network):
            result = cli.result_of("score-ood", "--data", pictures, "--stats", by, *network, "--sigma", 0.2 * scale, "--sigmas", scale)
            return result["range"], result["mean"]["mahalanobis"], result["mean"]["score_norm_%g" % scale]

        for network in (False, True):  # of a network that is the same Gaussian in either range, and without one
            found = []
            for low, mean, variance, scale in ((-1, -0.4, 0.2, 1), (0, 0.3, 0.05, 0.5)):
                options = gaussian_network("scored_%g" % low, mean, variance, range=[low, 1]) if network else []
                found.append(scores(scale, stats if network or low == -1 else self.converted(low, 1), *options))
                self.assertEqual(found[-1][0], [low, 1])
            self.assertAlmostEqual(found[1][1] / found[0][1], 1, delta=1e-6)
            self.assertAlmostEqual(found[1][2] / found[0][2], 1, delta=1e-4)

    def test_other_shapes_and_measured_ranges_are_refused(self):
        network = gaussian_network("shape")
        self.assertRegex(refused(*network, "--teleport", 10, "--teleport_stats", flat), r"--teleport_stats: expected statistics of shape 1,4,4")
        metadata, tensors = cli.read_safetensors(stats)
        measured = folder / "measured.safetensors"
        measured.write_bytes(cli.safetensors_bytes({**metadata, "range": "-1.37,2.2"}, tensors))
        self.assertRegex(refused(*network, "--teleport", 10, "--teleport_stats", measured), r"--teleport_stats: expected .*\[-1, 1\].*\[-1\.37, 2\.2\]")


class NetworksThatEndEarly(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.network = gaussian_network("early", sigma_max=4.5)

    def check_start(self, level, states):
        """The first state is that of the noise at sigma 80, carried down by the Gaussian."""
        fitted = cli.Gaussian(stats)
        for seed, row in enumerate(states):
            expected = fitted.flow([80 * n for n in cli.noise_of(seed, DIM)], 80, level)
            self.assertLess(max(abs(a - b) for a, b in zip(row[0], expected)), 1e-5)

    def check_levels(self, result, expected):
        self.assertEqual(len(result["sigmas"]), len(expected))
        for level, wanted in zip(result["sigmas"], expected):
            self.assertAlmostEqual(level, wanted, delta=1e-12)

    def test_the_closed_form_begins_above_the_network(self):
        levels, states = path_of(self.network, "--teleport", 4, "--teleport_mode", "respaced", "--teleport_stats", stats)
        self.assertEqual(levels[0], 4)
        self.check_start(4, states)
        outdir, result = sample(self.network, "--seeds", "0", "--teleport", 4.4, "--teleport_stats", stats)
        self.check_levels(result, [*(s for s in cli.karras_sigmas(18) if s <= 4.4), 0])
        self.assertEqual(settings(outdir)["sigma_start"], 80)

    def test_with_statistics_the_start_is_drawn_from_the_closed_form(self):
        levels, states = path_of(self.network, "--teleport_stats", stats, "--residual", 1, "--solver", "dpmpp_2m")
        self.assertEqual(levels[0], 4.5)
        self.check_start(4.5, states)
        levels, states = path_of(self.network, "--teleport_stats", stats)
        self.check_start(4.5, states)

    def test_without_them_the_grid_bends_and_levels_asked_for_are_refused(self):
        levels, states = path_of(self.network)
        self.assertEqual(levels[0], 4.5)
        for seed, row in enumerate(states):
            self.assertLess(max(abs(4.5 * n - x) for n, x in zip(cli.noise_of(seed, DIM), row[0])), 1e-5)
        self.assertRegex(refused(*self.network, "--sigma_max", 80), r"--sigma_max: expected at most 4\.5, .*; --teleport starts above it")
        self.assertRegex(refused(*self.network, "--sigmas", "9,1,0"), r"--sigmas: expected at most 4\.5")
        self.assertRegex(refused(*self.network, "--teleport", 20, "--teleport_stats", stats), r"--teleport: expected at most 4\.5")

    def test_replace_stands_in_for_it(self):
        _, result = sample(self.network, "--seeds", "0", "--steps", 18, "--teleport", 4.5, "--teleport_mode", "replace", "--teleport_stats", stats)
        self.check_levels(result, [*cli.karras_sigmas(18), 0])
        self.assertEqual(result["nfe"], 2 * len([sigma for sigma in cli.karras_sigmas(18) if sigma <= 4.5]))


class Classes(unittest.TestCase):
    def test_the_jump_is_that_of_the_class(self):
        metadata, tensors = cli.read_safetensors(classes)
        self.assertEqual(metadata["classes"], "0,1")
        rank, network = tensors["eigenvalues"].shape[1], gaussian_network("labelled")
        for label in (0, 1):
            part = {name: cli.Array("<f8", array.shape[1:], array.values[label * len(array.values) // 2 : (label + 1) * len(array.values) // 2])
                    for name, array in tensors.items() if name != "weights"}
            self.assertEqual(part["basis"].shape, (DIM, rank))
            for array in part.values():
                array.dtype = "F64"
            one = folder / ("class_%d.safetensors" % label)
            one.write_bytes(cli.safetensors_bytes({key: value for key, value in metadata.items() if key != "classes"}, part))
            chosen = path_of(network, "--teleport", 10, "--steps", 4, "--teleport_stats", classes, "--class", label)
            self.assertEqual(chosen, path_of(network, "--teleport", 10, "--steps", 4, "--teleport_stats", one))
        outdir, _ = sample(network, "--seeds", "0", "--teleport", 10, "--teleport_stats", classes, "--class", 1)
        self.assertEqual(settings(outdir)["class"], 1)

    def test_a_class_that_is_not_there_is_refused(self):
        network = gaussian_network("unlabelled")
        jump = [*network, "--teleport", 10, "--teleport_stats"]
        self.assertRegex(refused(*jump, classes, "--class", 7), r"--class: expected one of \{0, 1\}, .* got 7")
        self.assertRegex(refused(*jump, stats, "--class", 0), r"--class: expected statistics fitted --per_class")
        self.assertRegex(refused(*network, "--class", 0), r"--class: expected with")


class Mixtures(unittest.TestCase):
    def test_the_prefix_of_two_equal_halves_is_the_gaussians_jump(self):
        metadata, tensors = cli.read_safetensors(stats)
        halves = {"weights": cli.Array("F64", (2,), [0.5, 0.5])}
        halves |= {name: cli.Array("F64", (2, *array.shape), 2 * array.values) for name, array in tensors.items()}
        mixture = folder / "halves.safetensors"
        mixture.write_bytes(cli.safetensors_bytes(metadata, halves))
        network = gaussian_network("halves")
        for sigma in (20, 2):
            one, two = (path_of(network, "--teleport", sigma, "--teleport_stats", by) for by in (stats, mixture))
            self.assertEqual(one[0], two[0])
            for a, b in zip(one[1], two[1]):
                self.assertLess(cli.largest_difference(a, b), 2e-3)

    def test_it_costs_no_evaluation_and_no_batch_changes_it(self):
        network = gaussian_network("prefix")
        options = ["--seeds", "0-20", "--teleport", 1, "--teleport_stats", classes]
        outdir, result = sample(network, *options)
        self.assertEqual(result["nfe"], 2 * len(result["sigmas"]) - 3)
        self.assertEqual(settings(outdir)["teleport_components"], 2)
        self.assertEqual(cli.pngs(sample(network, *options, "--batch", 3, "--threads", 1)[0]), cli.pngs(outdir))

    def test_a_stochastic_solver_draws_from_its_reverse_sde(self):
        # Jumped to the last level, states are the mixture's own: 1,000 of them, so that each mean deviates by 3.2 % of a standard deviation.
        metadata, tensors = cli.read_safetensors(classes)
        _, states = path_of(gaussian_network("sde"), "--batch", 500, "--solver", "ddpm", "--teleport", 0.002, "--teleport_stats", classes, seeds=1000)
        mean, covariance = cli.moments([row[0] for row in states])
        weights, means = tensors["weights"].values, tensors["mean"].rows()
        for i in range(DIM):
            expected = sum(w * row[i] for w, row in zip(weights, means))
            self.assertLess(abs(mean[i] - expected), 0.2 * math.sqrt(covariance[i][i]))

    def test_what_needs_one_gaussian_says_so(self):
        network = gaussian_network("one")
        jump = ["--teleport", 10, "--teleport_stats", classes]
        self.assertRegex(refused(*network, *jump, "--residual", 1, "--solver", "dpmpp_2m"), r"--teleport_stats: expected one Gaussian with --residual")


class Replace(unittest.TestCase):
    OPTIONS = ["--seeds", "0-4", "--steps", 18]

    def test_of_a_gaussian_by_itself_it_changes_no_byte_and_counts_the_networks_evaluations_only(self):
        replace = ["--teleport", 19.4, "--teleport_mode", "replace", "--teleport_stats", stats]
        plain, full = sample(["--stats", stats], *self.OPTIONS)
        outdir, result = sample(["--stats", stats], *self.OPTIONS, *replace)
        self.assertEqual(cli.pngs(outdir), cli.pngs(plain))
        self.assertEqual((full["nfe"], result["nfe"]), (35, 28))
        self.assertEqual((result["sigmas"], result["sigma_skip"]), (full["sigmas"], 19.4))
        self.assertEqual(settings(outdir)["teleport"], "replace")

    def test_the_closed_form_steers_above_and_the_network_below(self):
        levels, states = path_of(gaussian_network("steered"), "--steps", 200, "--teleport", 2, "--teleport_mode", "replace",
                                 "--teleport_stats", stats)
        at = max(i for i, level in enumerate(levels) if level > 2)  # the next step ends with an evaluation of the network
        fitted = cli.Gaussian(stats)
        for seed, row in enumerate(states):
            expected = fitted.flow([80 * n for n in cli.noise_of(seed, DIM)], 80, levels[at])
            self.assertLess(max(abs(a - b) for a, b in zip(row[at], expected)), 5e-3)
            self.assertGreater(max(abs(a - b) for a, b in zip(row[-1], fitted.flow([80 * n for n in cli.noise_of(seed, DIM)], 80, 0))), 0.05)

    def test_a_mixture_and_every_kind_of_solver_will_do(self):
        for solver in ("ddpm", "unipc_bh2", "rk45"):
            options = ["--seeds", "0-17", "--steps", 6, "--solver", solver, "--teleport", 5, "--teleport_mode", "replace", "--teleport_stats",
                       classes]
            first = cli.pngs(sample(["--stats", stats], *options)[0])
            self.assertEqual(cli.pngs(sample(["--stats", stats], *options, "--batch", 5)[0]), first, solver)


class StartingPictures(unittest.TestCase):
    def pixels(self, outdir, seed):
        return list(cli.decode_png((outdir / ("%06d.png" % seed)).read_bytes())[1])

    def test_at_a_small_level_the_picture_stays(self):
        network, images = gaussian_network("image"), cli.blob_pixels(60, SIDE)
        outdir, result = sample(network, "--init", pictures, "--init_sigma", 0.01, "--seeds", "3,59,63", "--steps", 4)
        self.assertEqual((result["sigmas"][0], settings(outdir)["init_count"]), (0.01, 60))
        for seed in (3, 59, 63):  # of 60 pictures the seed 63 has that of 3
            n = seed % 60
            gaps = [abs(a - b) for a, b in zip(self.pixels(outdir, seed), images[n * DIM : (n + 1) * DIM])]
            self.assertLess(max(gaps), 8)  # 0.01 is 1.3 levels of grey
            self.assertGreater(max(gaps), 0)

    def test_the_state_is_the_picture_and_the_seeds_noise(self):
        one = folder / "one.npy"
        cli.write_npy(one, (1, 1, SIDE, SIDE), [0.1 * i / DIM for i in range(DIM)])
        levels, states = path_of(gaussian_network("start"), "--init", one, "--sigmas", "3,1,0")
        self.assertEqual(levels[0], 3)
        for seed, row in enumerate(states):
            for i, (x, n) in enumerate(zip(row[0], cli.noise_of(seed, DIM))):
                self.assertAlmostEqual(x, 0.1 * i / DIM + 3 * n, delta=1e-5)

    def test_pixels_come_in_the_networks_range(self):
        network, images = gaussian_network("image01", mean=0.3, range=[0, 1]), cli.blob_pixels(60, SIDE)
        outdir, _ = sample(network, "--init", pictures, "--init_sigma", 0.005, "--seeds", "0", "--steps", 4)
        self.assertLess(max(abs(a - b) for a, b in zip(self.pixels(outdir, 0), images[:DIM])), 8)

    def test_a_picture_depends_on_its_seed_alone(self):
        network, options = gaussian_network("alone"), ["--init", pictures, "--init_sigma", 1, "--steps", 4]
        many = cli.pngs(sample(network, *options, "--seeds", "0-20")[0])
        self.assertEqual(cli.pngs(sample(network, *options, "--seeds", "0-20", "--batch", 4)[0]), many)
        self.assertEqual(cli.pngs(sample(network, *options, "--seeds", "17")[0]), {"000017.png": many["000017.png"]})

    def test_it_goes_with_a_jump(self):
        levels, states = path_of(gaussian_network("jumped"), "--init", pictures, "--init_sigma", 20, "--steps", 4, "--teleport", 5,
                                 "--teleport_mode", "respaced", "--teleport_stats", stats)
        self.assertEqual(levels[0], 5)
        fitted, images = cli.Gaussian(stats), cli.blob_pixels(60, SIDE)
        for seed, row in enumerate(states):
            start = [p / 127.5 - 1 + 20 * n for p, n in zip(images[seed * DIM : (seed + 1) * DIM], cli.noise_of(seed, DIM))]
            self.assertLess(max(abs(a - b) for a, b in zip(row[0], fitted.flow(start, 20, 5))), 1e-5)

    def test_pictures_that_do_not_fit_are_refused(self):
        network = gaussian_network("fits")
        self.assertRegex(refused(*network, "--init", folder / "points.npy", "--init_sigma", 1), r"--init: expected images of shape 1,4,4")
        far = folder / "far.npy"
        cli.write_npy(far, (1, 1, SIDE, SIDE), [200.0] * DIM)
        self.assertRegex(refused(*network, "--init", far, "--init_sigma", 1), r"--init: expected values in \[-1, 1\]")


class Churn(unittest.TestCase):
    OPTIONS = ["--seeds", "0-20", "--steps", 8]

    def test_none_changes_no_byte(self):
        plain, none = (cli.pngs(sample(["--stats", stats], *self.OPTIONS, *churn)[0]) for churn in ([], ["--S_churn", 0]))
        self.assertEqual(none, plain)

    def test_it_changes_pictures_and_no_batch_does(self):
        churn = ["--S_churn", 3, "--S_min", 0.05, "--S_max", 50, "--S_noise", 1.003]
        outdir, result = sample(["--stats", stats], *self.OPTIONS, *churn)
        self.assertEqual(result["nfe"], 15)
        self.assertEqual({key: settings(outdir)[key] for key in ("S_churn", "S_min", "S_max", "S_noise")},
                         {"S_churn": 3, "S_min": 0.05, "S_max": 50, "S_noise": 1.003})
        self.assertEqual(cli.pngs(sample(["--stats", stats], *self.OPTIONS, *churn, "--batch", 4)[0]), cli.pngs(outdir))
        self.assertNotEqual(cli.pngs(sample(["--stats", stats], *self.OPTIONS)[0]), cli.pngs(outdir))

    def test_a_networks_levels_are_not_left(self):
        sample(gaussian_network("churned"), "--seeds", "0", "--S_churn", 40)  # from its largest level, 80


if __name__ == "__main__":
    cli.main()
