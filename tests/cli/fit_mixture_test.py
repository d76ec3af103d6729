"""`fit` of mixtures: the file it writes, what it says about it, and how it refuses what it cannot do."""

import json
import math
import unittest

import cli_support as cli

DIM, RANK, COUNT = 4, 2, 240
CENTRES = [[12, 0, 0, 0], [0, 12, 0, 0], [0, 0, -12, 0]]


def points():
    """Three clouds, their points by turns."""
    noise = cli.gaussian_points(COUNT, DIM, seed=3)
    return [[c + n for c, n in zip(CENTRES[i % 3], row)] for i, row in enumerate(noise)]


def log_density(row, path):
    """Of the mixture in a file, by dense algebra."""
    _, tensors = cli.read_safetensors(path)
    k_count, dim, rank = tensors["basis"].shape
    terms = []
    for k in range(k_count):
        basis = [tensors["basis"].values[(k * dim + d) * rank : (k * dim + d + 1) * rank] for d in range(dim)]
        tail = tensors["tail"].values[k]
        values = tensors["eigenvalues"].values[k * rank : (k + 1) * rank]
        scaled = [[u * (value - tail) for u, value in zip(line, values)] for line in basis]
        covariance = cli.combine(1, cli.product(scaled, cli.transpose(basis)), tail, cli.identity(dim))
        matrix, log_det = cli.inverse_and_log_det(covariance)
        y = [a - m for a, m in zip(row, tensors["mean"].values[k * dim : (k + 1) * dim])]
        square = sum(a * b for a, b in zip(y, cli.apply(matrix, y)))
        terms.append(math.log(tensors["weights"].values[k]) - 0.5 * (dim * math.log(2 * math.pi) + log_det + square))
    largest = max(terms)
    return largest + math.log(sum(math.exp(term - largest) for term in terms))


def setUpModule():
    global folder, data
    folder, data = cli.temporary_folder(), points()
    cli.write_points(folder / "data.npy", data)
    cli.write_blobs(folder / "blobs-images-idx3-ubyte", 60, labelled=True)


def fit(out, *options, source="data.npy"):
    return cli.result_of("fit", folder / source, "--out", folder / out, *options)


class FitMixture(unittest.TestCase):
    def test_the_file_is_as_documented(self):
        fit("m.safetensors", "--components", 3, "--rank", RANK)
        metadata, tensors = cli.read_safetensors(folder / "m.safetensors")
        self.assertEqual({key: (tensor.dtype, tensor.shape) for key, tensor in tensors.items()},
                         {"weights": ("F64", (3,)), "mean": ("F64", (3, DIM)), "basis": ("F64", (3, DIM, RANK)),
                          "eigenvalues": ("F64", (3, RANK)), "tail": ("F64", (3,))})
        fit("g.safetensors")
        one, _ = cli.read_safetensors(folder / "g.safetensors")
        self.assertEqual(metadata, one)  # the same is said about the same data

    def test_finds_the_three_clouds(self):
        fit("m.safetensors", "--components", 3, "--rank", RANK)
        _, tensors = cli.read_safetensors(folder / "m.safetensors")
        for weight in tensors["weights"].values:
            self.assertAlmostEqual(weight, 1 / 3, delta=0.01)
        for first in range(3):
            centre, _ = cli.moments(data[first::3])
            nearest = min(max(abs(a - b) for a, b in zip(centre, mean)) for mean in tensors["mean"].rows())
            self.assertLess(nearest, 0.1)

    def test_json_says_what_was_fitted(self):
        result = fit("m.safetensors", "--components", 3, "--rank", RANK, "--seed", 4, "--held_out", 0.25)
        self.assertLessEqual({"count", "dim", "rank", "trace", "energy", "components", "seconds", "log_likelihood",
                              "held_out_log_likelihood", "bic", "iterations"}, set(result))
        self.assertEqual((result["count"], result["dim"], result["rank"], result["components"]), (180, DIM, RANK, 3))
        fitted = [row for i, row in enumerate(data) if i % 4 != 3]
        held_out = [row for i, row in enumerate(data) if i % 4 == 3]
        for key, rows in (("log_likelihood", fitted), ("held_out_log_likelihood", held_out)):
            expected = math.fsum(log_density(row, folder / "m.safetensors") for row in rows) / len(rows)
            self.assertAlmostEqual(result[key], expected, delta=1e-4)
        parameters = 2 + 3 * (DIM + DIM * RANK - 1 + 1)
        self.assertAlmostEqual(result["bic"], -2 * 180 * result["log_likelihood"] + parameters * math.log(180), delta=1e-6)

    def test_every_kind_of_covariance_has_its_likelihood(self):
        for kind, rank in (("lowrank", RANK), ("full", DIM), ("diag", DIM)):
            with self.subTest(kind):
                options = ["--rank", RANK] if kind == "lowrank" else []
                result = fit("m.safetensors", "--components", 2, "--covariance", kind, *options)
                self.assertEqual((result["rank"], result["covariance"]), (rank, kind))
                expected = math.fsum(log_density(row, folder / "m.safetensors") for row in data) / COUNT
                self.assertAlmostEqual(result["log_likelihood"], expected, delta=1e-4)

    def test_a_zero_tail_makes_subspaces_without_a_density(self):
        result = fit("m.safetensors", "--components", 2, "--rank", RANK, "--tail", "zero")
        self.assertEqual((result["covariance"], result["log_likelihood"], result["energy"]), ("subspaces", None, None))
        _, tensors = cli.read_safetensors(folder / "m.safetensors")
        self.assertEqual(set(tensors["tail"].values), {0.0})

    def test_auto_chooses_by_the_points_held_out(self):
        result = fit("m.safetensors", "--components", "auto", "--rank", 1)
        best = max(result["trials"], key=lambda trial: trial["held_out_log_likelihood"])
        self.assertAlmostEqual(result["held_out_log_likelihood"], best["held_out_log_likelihood"], delta=0.02)
        self.assertIn(result["components"], {trial["components"] for trial in result["trials"]})
        self.assertEqual(result["count"], COUNT)

    def test_one_mixture_a_class(self):
        result = fit("m.safetensors", "--per_class", "--components", 2, "--rank", 3, source="blobs-images-idx3-ubyte")
        self.assertEqual((result["components"], result["classes"]), (4, 2))
        metadata, _ = cli.read_safetensors(folder / "m.safetensors")
        self.assertEqual((metadata["classes"], metadata["shape"]), ("0,0,1,1", "1,8,8"))
        self.assertEqual(fit("m.safetensors", "--per_class", "--rank", 3, source="blobs-images-idx3-ubyte")["components"], 2)

    def test_a_class_is_sampled_alone(self):
        fit("m.safetensors", "--per_class", "--rank", 5, source="blobs-images-idx3-ubyte")
        means = cli.read_safetensors(folder / "m.safetensors")[1]["mean"].rows()
        for label in (0, 1):
            out = folder / ("class_%d" % label)
            cli.succeed("sample", "--stats", folder / "m.safetensors", "--class", label, "--seeds", "0-31", "--steps", 8, "--npz", "--outdir", out)
            self.assertEqual(json.loads((out / "run.json").read_text())["settings"]["class"], label)
            pixels = cli.read_npz(out / "samples.npz")["samples"].values
            drawn = [sum(pixels[i :: cli.SIDE**2]) / 32 / 127.5 - 1 for i in range(cli.SIDE**2)]
            own, other = (sum((a - b) ** 2 for a, b in zip(drawn, means[k])) for k in (label, 1 - label))
            self.assertLess(4 * own, other)
        for options, text in [
            (["--stats", folder / "m.safetensors", "--class", 7], "--class: expected one of {0, 1}, the classes of"),
            (["--stats", folder / "g.safetensors", "--class", 0], "--class: expected statistics fitted --per_class"),
            (["--exact", folder / "data.npy", "--class", 0], "--class: expected with --stats"),
        ]:
            fit("g.safetensors")
            result = cli.run("sample", *options, "--seeds", 0, "--npz", "--outdir", folder / "none")
            self.assertEqual((result.code, text in result.err, (folder / "none").exists()), (2, True, False), result)

    def test_the_same_seed_gives_the_same_file_on_any_number_of_threads_and_in_any_memory(self):
        options = ["--components", 3, "--rank", RANK, "--seed", 9]
        files = []
        for more in ([], ["--threads", 1], ["--memory", 1e-9]):
            fit("same.safetensors", *options, *more)
            files.append((folder / "same.safetensors").read_bytes())
        self.assertEqual(files[1:], files[:1] * 2)

    def test_info_says_that_it_is_a_mixture(self):
        fit("m.safetensors", "--components", 3, "--rank", RANK)
        info = cli.result_of("info", folder / "m.safetensors")
        self.assertEqual((info["kind"], info["components"], info["dim"], info["rank"]), ("statistics", 3, DIM, RANK))

    def test_refuses_in_one_line_that_names_the_option(self):
        cli.write_points(folder / "nan.npy", [[1, 2], [math.nan, 3], [0, 1]])
        for code, word, source, options in (
                (2, "--components: expected at most N = 240", "data.npy", ["--components", 241]),
                (2, "--components: expected a number from 1 or auto, got many", "data.npy", ["--components", "many"]),
                (2, "--components: expected a number from 1 or auto, got 0", "data.npy", ["--components", 0]),
                (2, "--rank: expected at most D = 4", "data.npy", ["--components", 2, "--rank", 5]),
                (2, "full", "data.npy", ["--components", 2, "--rank", 2, "--covariance", "full"]),
                (2, "--held_out, --max_iterations: expected with --components", "data.npy", ["--held_out", 0.1]),
                (2, "--covariance: expected one of lowrank, full, diag, got round", "data.npy", ["--covariance", "round"]),
                (2, "--tail", "data.npy", ["--components", 2, "--covariance", "diag", "--tail", "zero"]),
                (2, "--energy", "data.npy", ["--components", 2, "--energy", 0.5]),
                (2, "--method", "data.npy", ["--components", 2, "--method", "dense"]),
                (2, "--components", "data.npy", ["--components", "auto", "--per_class"]),
                (3, "data.npy: has no labels", "data.npy", ["--per_class"]),
                (3, "nan.npy", "nan.npy", ["--components", 2]),
                (3, "nowhere", "data.npy", ["--components", 2, "--out", "nowhere/m.safetensors"])):
            with self.subTest(options):
                out = [] if "--out" in options else ["--out", folder / "refused.safetensors"]
                result = cli.run("fit", folder / source, *out, *options)
                self.assertEqual(result.code, code, result)
                self.assertIn(word, result.err, result)
                self.assertEqual(len(result.err.strip().splitlines()), 1, result)
                self.assertFalse((folder / "refused.safetensors").exists())


if __name__ == "__main__":
    cli.main()
