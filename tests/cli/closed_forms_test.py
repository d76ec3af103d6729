#!/usr/bin/env python3
"""fit, flow and denoise against the same formulas and an accurate ODE solution, all computed here in plain Python."""

import hashlib
import math
import pathlib
import struct
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

DIM, COUNT, RANK = 6, 60, 3


def setUpModule():
    global folder, data, points, cloud
    folder = cli.temporary_folder()
    # float32 values in a float64 file: the data are streamed as float32, the sums must not be.
    data = [[struct.unpack("<f", struct.pack("<f", value))[0] for value in row] for row in cli.gaussian_points(COUNT, DIM)]
    cli.write_points(folder / "data.npy", data)
    cloud = cli.gaussian_points(5, DIM, seed=23)
    points = [[80 * value for value in row] for row in cli.gaussian_points(4, DIM, seed=29)]
    cli.write_points(folder / "points.npy", points)
    cli.write_points(folder / "cloud.npy", cloud)
    global fits
    fits = {
        name: cli.result_of("fit", folder / "data.npy", "--out", folder / (name + ".safetensors"), *options)
        for name, options in {
            "full": [],
            "cut": ["--rank", RANK],
            "cut_zero": ["--rank", RANK, "--tail", "zero"],
        }.items()
    }


def stats(name):
    return folder / (name + ".safetensors")


def integrate(mean, covariance, rows, start, end, steps):
    """dx/dsigma = (x - D(x; sigma)) / sigma by the classical Runge-Kutta method in u = ln sigma: dx/du = sigma^2 (S + sigma^2 I)^-1 (x - m)."""
    step = math.log(end / start) / steps

    def slope_at(u):
        s2 = math.exp(2 * u)
        matrix = cli.inverse(cli.combine(1, covariance, s2, cli.identity(len(mean))))
        return lambda y: [s2 * value for value in cli.apply(matrix, y)]

    states = [[a - m for a, m in zip(row, mean)] for row in rows]
    here, u = slope_at(math.log(start)), math.log(start)
    for _ in range(steps):
        middle, there = slope_at(u + step / 2), slope_at(u + step)
        for n, y in enumerate(states):
            k1 = here(y)
            k2 = middle([a + step / 2 * b for a, b in zip(y, k1)])
            k3 = middle([a + step / 2 * b for a, b in zip(y, k2)])
            k4 = there([a + step * b for a, b in zip(y, k3)])
            states[n] = [a + step / 6 * (p + 2 * q + 2 * r + s) for a, p, q, r, s in zip(y, k1, k2, k3, k4)]
        here, u = there, u + step
    return [[a + m for a, m in zip(y, mean)] for y in states]


def flow(rows, name, start, end, *options, dtype="<f8"):
    cli.write_points(folder / "flow_in.npy", rows, dtype)
    levels = ["--from", start, "--to", end]
    result = cli.result_of("flow", folder / "flow_in.npy", "--stats", stats(name), *levels, "--out", folder / "flow_out.npy", *options)
    array = cli.read_npy(folder / "flow_out.npy")
    assert result["count"] == len(rows) and array.shape == (len(rows), DIM) and array.dtype == dtype, (result, array.shape, array.dtype)
    return array.rows()


def denoise(rows, sigma, *options, dtype="<f8"):
    cli.write_points(folder / "denoise_in.npy", rows, dtype)
    result = cli.result_of("denoise", folder / "denoise_in.npy", "--sigma", sigma, "--out", folder / "denoise_out.npy", *options)
    array = cli.read_npy(folder / "denoise_out.npy")
    assert result["count"] == len(rows) and array.shape == (len(rows), DIM) and array.dtype == dtype, (result, array.shape, array.dtype)
    return array.rows()


class Fit(unittest.TestCase):
    def test_mean_and_covariance_are_those_of_the_data(self):
        mean, covariance = cli.moments(data)
        fitted = cli.Gaussian(stats("full"))
        self.assertLess(cli.largest_difference([fitted.mean], [mean]), 1e-6)
        self.assertLess(cli.largest_difference(fitted.covariance(), covariance), 1e-6)

    def test_the_basis_holds_unit_eigenvectors_in_descending_order(self):
        _, covariance = cli.moments(data)
        for name in ("full", "cut", "cut_zero"):
            fitted = cli.Gaussian(stats(name))
            self.assertEqual(fitted.eigenvalues, sorted(fitted.eigenvalues, reverse=True))
            rank = len(fitted.eigenvalues)
            self.assertEqual(rank, DIM if name == "full" else RANK)
            gram = cli.product(cli.transpose(fitted.basis), fitted.basis)
            self.assertLess(cli.largest_difference(gram, cli.identity(rank)), 1e-12)
            for value, vector in zip(fitted.eigenvalues, cli.transpose(fitted.basis)):
                turned = cli.apply(covariance, vector)
                self.assertLess(max(abs(a - value * b) for a, b in zip(turned, vector)), 1e-6)
                self.assertGreater(max(vector, key=abs), 0)  # the sign is settled, so equal data give equal files

    def test_the_tail_is_the_mean_of_what_was_cut_or_zero(self):
        full, cut, zero = (cli.Gaussian(stats(name)) for name in ("full", "cut", "cut_zero"))
        self.assertEqual(full.tail, 0)
        self.assertAlmostEqual(cut.tail, sum(full.eigenvalues[RANK:]) / (DIM - RANK), delta=1e-12)
        self.assertEqual(zero.tail, 0)
        self.assertEqual(cut.eigenvalues, zero.eigenvalues)
        self.assertLess(cli.largest_difference([cut.eigenvalues], [full.eigenvalues[:RANK]]), 1e-12)

    def test_the_file_is_as_documented(self):
        flat = [value for row in data for value in row]
        for name, rank in (("full", DIM), ("cut", RANK)):
            metadata, tensors = cli.read_safetensors(stats(name))
            self.assertEqual({key: (tensor.dtype, tensor.shape) for key, tensor in tensors.items()},
                             {"mean": ("F64", (DIM,)), "basis": ("F64", (DIM, rank)), "eigenvalues": ("F64", (rank,)), "tail": ("F64", ())})
            self.assertTrue(all(isinstance(value, str) for value in metadata.values()))
            self.assertLessEqual({"format", "version", "shape", "count", "range", "data_sha256"}, set(metadata))
            self.assertEqual((metadata["format"], metadata["shape"], metadata["count"]), ("headstart-stats", "1,1,%d" % DIM, str(COUNT)))
            low, high = map(float, metadata["range"].split(","))
            self.assertAlmostEqual(low, min(flat), delta=1e-6)
            self.assertAlmostEqual(high, max(flat), delta=1e-6)
            self.assertEqual(metadata["data_sha256"], hashlib.sha256(struct.pack("<%df" % len(flat), *flat)).hexdigest())

    def test_json_says_what_was_fitted(self):
        mean, covariance = cli.moments(data)
        trace = sum(covariance[i][i] for i in range(DIM))
        for name, rank in (("full", DIM), ("cut", RANK), ("cut_zero", RANK)):
            fit = fits[name]
            self.assertLessEqual({"count", "dim", "rank", "trace", "energy", "components", "seconds", "log_likelihood"}, set(fit))
            self.assertEqual((fit["count"], fit["dim"], fit["rank"], fit["components"]), (COUNT, DIM, rank, 1))
            self.assertGreater(fit["seconds"], 0)
        for name in ("full", "cut"):
            fitted = cli.Gaussian(stats(name))
            self.assertAlmostEqual(fits[name]["trace"], trace, delta=1e-6)
            self.assertAlmostEqual(fits[name]["energy"], sum(fitted.eigenvalues) / trace, delta=1e-6)
            # The mean log density of the data under what the file holds.
            matrix, log_det = cli.inverse_and_log_det(fitted.covariance())
            centred = [[a - m for a, m in zip(row, mean)] for row in data]
            squares = math.fsum(sum(a * b for a, b in zip(y, cli.apply(matrix, y))) for y in centred) / COUNT
            expected = -0.5 * (DIM * math.log(2 * math.pi) + log_det + squares)
            self.assertAlmostEqual(fits[name]["log_likelihood"], expected, delta=1e-5)
        self.assertIsNone(fits["cut_zero"]["log_likelihood"])  # a singular Gaussian has no density

    def test_energy_keeps_the_fewest_eigenvectors_that_reach_it(self):
        values = cli.Gaussian(stats("full")).eigenvalues
        fit = cli.result_of("fit", folder / "data.npy", "--out", folder / "energy.safetensors", "--energy", 0.9)
        self.assertEqual(fit["rank"], next(r for r in range(1, DIM + 1) if sum(values[:r]) >= 0.9 * sum(values)))

    def test_the_randomised_fit_agrees_with_the_dense_one_and_says_how_well(self):
        out, options = folder / "randomised.safetensors", ["--rank", RANK, "--method", "randomised", "--seed", 5]
        fit = cli.result_of("fit", folder / "data.npy", "--out", out, *options, "--tolerance", 1e-9)
        fitted, exact = cli.Gaussian(out), cli.Gaussian(stats("cut"))
        self.assertEqual((fit["method"], fits["cut"]["method"]), ("randomised", "dense"))
        self.assertEqual((fits["cut"]["passes"], fits["cut"]["residual"]), (1, None))
        self.assertGreaterEqual(fit["passes"], 1)
        self.assertLess(fit["residual"], 1e-9)
        self.assertLess(fit["energy_error"], 1e-9)
        self.assertLess(cli.largest_difference([fitted.mean], [exact.mean]), 1e-12)
        self.assertLess(cli.largest_difference([fitted.eigenvalues], [exact.eigenvalues]), 1e-12)
        self.assertLess(cli.largest_difference(fitted.basis, exact.basis), 1e-7)
        self.assertAlmostEqual(fitted.tail, exact.tail, delta=1e-12)
        self.assertEqual(fitted.metadata, exact.metadata)
        first = out.read_bytes()
        cli.result_of("fit", folder / "data.npy", "--out", out, *options, "--tolerance", 1e-9, "--threads", 1)
        self.assertEqual(out.read_bytes(), first)

    def test_limit_uses_the_first_points(self):
        fit = cli.result_of("fit", folder / "data.npy", "--out", folder / "limit.safetensors", "--limit", 25)
        mean, covariance = cli.moments(data[:25])
        fitted = cli.Gaussian(folder / "limit.safetensors")
        self.assertEqual((fit["count"], fitted.metadata["count"]), (25, "25"))
        self.assertLess(cli.largest_difference([fitted.mean], [mean]), 1e-6)
        self.assertLess(cli.largest_difference(fitted.covariance(), covariance), 1e-6)

    def test_pictures_are_fitted_in_data_units(self):
        cli.write_blobs(folder / "blobs.idx", 40)
        fit = cli.result_of("fit", folder / "blobs.idx", "--out", folder / "blobs.safetensors")
        fitted = cli.Gaussian(folder / "blobs.safetensors")
        pixels = cli.blob_pixels(40)
        area = cli.SIDE**2
        mean = [sum(pixels[i::area]) / 40 / 127.5 - 1 for i in range(area)]
        trace = sum(sum((p / 127.5 - 1 - mean[i]) ** 2 for p in pixels[i::area]) / 40 for i in range(area))
        self.assertLess(cli.largest_difference([fitted.mean], [mean]), 1e-6)
        self.assertAlmostEqual(fit["trace"], trace, delta=1e-5)
        self.assertEqual((fitted.metadata["shape"], fitted.metadata["range"]), ("1,8,8", "-1,1"))


class Flow(unittest.TestCase):
    def test_solves_the_probability_flow(self):
        mean, covariance = cli.moments(data)  # full rank: nothing of the file is used
        expected = integrate(mean, covariance, points, 80, 0.3, 500)
        self.assertLess(cli.largest_difference(flow(points, "full", 80, 0.3), expected), 1e-6)

    def test_solves_the_probability_flow_of_a_truncated_gaussian_with_either_tail(self):
        for name in ("cut", "cut_zero"):
            with self.subTest(name):
                fitted = cli.Gaussian(stats(name))
                expected = integrate(fitted.mean, fitted.covariance(), points, 80, 0.3, 500)
                self.assertLess(cli.largest_difference(flow(points, name, 80, 0.3), expected), 1e-6)

    def test_composes_across_an_intermediate_level(self):
        once = flow(cloud, "cut", 80, 0.5)
        twice = flow(flow(cloud, "cut", 80, 4), "cut", 4, 0.5)
        self.assertLess(cli.largest_difference(once, twice), 1e-12)

    def test_goes_upwards_as_well(self):
        self.assertLess(cli.largest_difference(flow(flow(cloud, "full", 0.2, 30), "full", 30, 0.2), cloud), 1e-11)

    def test_to_zero_matches_the_formula(self):
        fitted = cli.Gaussian(stats("cut_zero"))
        expected = [fitted.flow(row, 80, 0) for row in points]
        self.assertLess(cli.largest_difference(flow(points, "cut_zero", 80, 0), expected), 1e-11)

    def test_keeps_the_dtype_of_the_points(self):
        fitted = cli.Gaussian(stats("full"))
        self.assertLess(cli.largest_difference(flow(cloud, "full", 5, 1, dtype="<f4"), [fitted.flow(row, 5, 1) for row in cloud]), 1e-5)

    def test_a_stochastic_jump_has_the_conditional_distribution(self):
        # x_b | x_a is a Gaussian of known mean and covariance V, so |V^-1/2 (x_b - mean)|^2 over all points is a chi-square draw. With
        # fixed seeds there is nothing random left; for fresh ones 5 standard deviations would be passed about once in a million runs, and the
        # mean's bound (chi-square of 6 above 26.8) about twice in ten thousand.
        count, start, end = 400, 5.0, 1.5
        rows = [[start * value for value in row] for row in cli.gaussian_points(count, DIM, seed=31)]
        jump = ["--stochastic", "--seeds", "0-%d" % (count - 1)]
        fitted = cli.Gaussian(stats("cut"))
        jumped = flow(rows, "cut", start, end, *jump)
        a, b = start * start, end * end
        pull = fitted.spectral(lambda value: (value + b) / (value + a))
        precision = fitted.spectral(lambda value: (value + a) / ((value + b) * (a - b)))
        total, sums = 0.0, [0.0] * DIM
        for x, y in zip(rows, jumped):
            centre = cli.apply(pull, [p - m for p, m in zip(x, fitted.mean)])
            rest = [q - m - c for q, m, c in zip(y, fitted.mean, centre)]
            total += sum(p * q for p, q in zip(rest, cli.apply(precision, rest)))
            sums = [p + q for p, q in zip(sums, rest)]
        degrees = count * DIM
        self.assertLess(abs(total - degrees), 5 * math.sqrt(2 * degrees))
        of_the_mean = sum(p * q for p, q in zip(sums, cli.apply(precision, sums))) / count
        self.assertLess(of_the_mean, DIM + 6 * math.sqrt(2 * DIM))

    def test_a_stochastic_jump_depends_on_each_points_own_seed(self):
        once = flow(cloud, "full", 5, 1, "--stochastic", "--seeds", "3-7")
        self.assertEqual(once, flow(cloud, "full", 5, 1, "--stochastic", "--seeds", "3,4,5,6,7"))
        other = flow(cloud, "full", 5, 1, "--stochastic", "--seeds", "3,14,5,6,7")
        self.assertEqual([a == b for a, b in zip(once, other)], [True, False, True, True, True])


class Denoise(unittest.TestCase):
    def test_matches_the_formula(self):
        mean, covariance = cli.moments(data)
        for sigma, dtype, accuracy in ((0.1, "<f8", 1e-6), (2, "<f4", 1e-5)):
            matrix = cli.product(covariance, cli.inverse(cli.combine(1, covariance, sigma**2, cli.identity(DIM))))
            expected = [[m + y for m, y in zip(mean, cli.apply(matrix, [a - m for a, m in zip(row, mean)]))] for row in cloud]
            self.assertLess(cli.largest_difference(denoise(cloud, sigma, "--stats", stats("full"), dtype=dtype), expected), accuracy)

    def test_matches_the_formula_for_truncated_gaussians(self):
        for name in ("cut", "cut_zero"):
            fitted = cli.Gaussian(stats(name))
            matrix = fitted.spectral(lambda value: value / (value + 0.25))
            expected = [[m + y for m, y in zip(fitted.mean, cli.apply(matrix, [a - m for a, m in zip(row, fitted.mean)]))] for row in cloud]
            self.assertLess(cli.largest_difference(denoise(cloud, 0.5, "--stats", stats(name)), expected), 1e-11)

    def test_the_score_is_the_gradient_of_the_log_density(self):
        mean, covariance = cli.moments(data)
        sigma = 0.7
        matrix = cli.inverse(cli.combine(1, covariance, sigma**2, cli.identity(DIM)))
        expected = [[-y for y in cli.apply(matrix, [a - m for a, m in zip(row, mean)])] for row in cloud]
        self.assertLess(cli.largest_difference(denoise(cloud, sigma, "--stats", stats("full"), "--as", "score"), expected), 1e-5)

    def test_isotropic_pulls_every_direction_alike(self):
        mean, covariance = cli.moments(data)
        variance, sigma = sum(covariance[i][i] for i in range(DIM)) / DIM, 1.3
        factor = variance / (variance + sigma**2)
        expected = [[m + factor * (a - m) for a, m in zip(row, mean)] for row in cloud]
        self.assertLess(cli.largest_difference(denoise(cloud, sigma, "--isotropic", folder / "data.npy"), expected), 1e-6)

    def test_the_json_goes_to_a_file_too(self):
        target = folder / "result.json"
        options = ["--sigma", 1, "--stats", stats("full"), "--out", folder / "denoised.npy"]
        done = cli.succeed("denoise", folder / "cloud.npy", *options, "--json", target, "--quiet")
        self.assertEqual((done.out, done.err), ("", ""))
        self.assertIn('"count": 5', pathlib.Path(target).read_text())


if __name__ == "__main__":
    cli.main()
