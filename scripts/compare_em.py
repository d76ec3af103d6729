#!/usr/bin/python3
"""Fits mixtures to Fashion-MNIST with headstart, with NumPy and with scikit-learn, and prints what both take and how well both describe held-out images.

    compare_em.py [--command build/release/headstart] [--components 50] [--rank 32] [--iterations 3] [--reg_covar 1e-6,1e-3]

Needs python3-sklearn (apt install python3-sklearn) and the Python it is for. Every tenth image is held out. Seconds an iteration:
headstart's from two fits of different length, scikit-learn's between its own M steps (covariance_type="full", k-means centres). Processor
seconds are printed beside them, for machines that do other things as well. The NumPy EM is the textbook's for the same model (mixture of
probabilistic principal component analysers, weighted covariances and their leading eigenvectors), float32 products.
"""

import argparse
import gzip
import json
import os
import pathlib
import subprocess
import tempfile
import time
import warnings

DATA = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="build/release/headstart")
    parser.add_argument("--components", default=50, type=int)
    parser.add_argument("--rank", default=32, type=int)
    parser.add_argument("--iterations", default=3, type=int, help="of scikit-learn's")
    parser.add_argument("--reg_covar", default="1e-6,1e-3", help="scikit-learn's variance floors, one fit each")
    parser.add_argument("--limit", default=60000, type=int)
    parser.add_argument("--only", choices=["numpy", "sklearn"], help="one of the others only")
    options = parser.parse_args()
    mine = headstart(options)
    print("headstart, rank %d: %.2f s an iteration (processor %.2f), held-out log-likelihood %.2f after %d iterations (%.2f after %d)"
          % (options.rank, mine["seconds"], mine["processor"], mine["long"]["held_out_log_likelihood"], mine["long"]["iterations"],
             mine["short"]["held_out_log_likelihood"], mine["short"]["iterations"]), flush=True)
    if options.only != "sklearn":
        seconds, processor, likelihood = numpy_em(options)
        print("NumPy, rank %d: %.2f s an iteration (processor %.2f), held-out log-likelihood %.2f after %d iterations; %.1f times as long "
              "(processor: %.1f)" % (options.rank, seconds, processor, likelihood, options.iterations, seconds / mine["seconds"],
                                     processor / mine["processor"]), flush=True)
    for floor in map(float, options.reg_covar.split(",")) if options.only != "numpy" else []:
        seconds, processor, likelihood = sklearn(options, floor)
        print("scikit-learn, full, reg_covar %g: %.2f s an iteration (processor %.2f), held-out log-likelihood %.2f after %d iterations; "
              "%.0f times as long (processor: %.0f)" % (floor, seconds, processor, likelihood, options.iterations,
                                                        seconds / mine["seconds"], processor / mine["processor"]), flush=True)


def headstart(options):
    """Two fits with the same start, so that their difference is iterations and nothing else."""
    fits = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, iterations in (("short", options.iterations), ("long", options.iterations + 20)):
            command = [options.command, "fit", "fashion-mnist", "--out", folder + "/m.safetensors", "--components", options.components,
                       "--rank", options.rank, "--held_out", 0.1, "--tolerance", 1e-9, "--max_iterations", iterations,
                       "--limit", options.limit, "--quiet", "--json", "-"]
            before = os.times()
            done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
            after = os.times()
            processor = after.children_user + after.children_system - before.children_user - before.children_system
            fits[name] = {**json.loads(done.stdout), "processor": processor}
    difference = {key: fits["long"][key] - fits["short"][key] for key in ("seconds", "processor", "iterations")}
    return {**fits, "seconds": difference["seconds"] / difference["iterations"],
            "processor": difference["processor"] / difference["iterations"]}


def pixels(options):
    """Points to fit and points held out."""
    import numpy

    with gzip.open(DATA) as file:
        values = numpy.frombuffer(file.read()[16:], numpy.uint8).reshape(-1, 784)[: options.limit] / 127.5 - 1
    held_out = numpy.arange(len(values)) % 10 == 9
    return values[~held_out], values[held_out]


def numpy_em(options):
    import numpy
    from scipy.sparse.linalg import eigsh
    from scipy.special import logsumexp

    fitted, held_out = (part.astype(numpy.float32) for part in pixels(options))
    dim, rank = fitted.shape[1], options.rank
    random = numpy.random.default_rng(0)
    floor = 1e-4 * fitted.var(0).mean()

    def log_joint(x, model):
        columns = []
        for weight, mean, basis, values, tail in model:
            y = x - mean
            coordinates = (y @ basis) ** 2
            quadratic = ((y * y).sum(1) - coordinates.sum(1)) / tail + (coordinates / values).sum(1)
            columns.append(numpy.log(weight) - 0.5 * (dim * numpy.log(2 * numpy.pi) + numpy.log(values).sum()
                                                      + (dim - rank) * numpy.log(tail) + quadratic))
        return numpy.stack(columns, 1)

    def updated(x, share):
        model = []
        for k in range(options.components):
            chosen = share[:, k] > 1e-8
            y, w = x[chosen], share[chosen, k : k + 1]
            mean = (w * y).sum(0) / w.sum()
            y = (y - mean) * numpy.sqrt(w / w.sum())
            covariance = y.T @ y
            values, basis = eigsh(covariance, rank)
            tail = max((numpy.trace(covariance) - values.sum()) / (dim - rank), floor)
            model.append((w.sum() / len(x), mean, basis, numpy.maximum(values, floor), tail))
        return model

    centres = fitted[random.choice(len(fitted), options.components, replace=False)]
    for _ in range(10):  # k-means
        nearest = ((centres**2).sum(1) - 2 * fitted @ centres.T).argmin(1)
        centres = numpy.stack([fitted[nearest == k].mean(0) for k in range(options.components)])
    model = updated(fitted, numpy.eye(options.components, dtype=numpy.float32)[nearest])
    start = time.perf_counter(), time.process_time()
    for _ in range(options.iterations):
        joint = log_joint(fitted, model)
        model = updated(fitted, numpy.exp(joint - logsumexp(joint, axis=1, keepdims=True)))
    seconds, processor = ((b - a) / options.iterations for a, b in zip(start, (time.perf_counter(), time.process_time())))
    return seconds, processor, logsumexp(log_joint(held_out, model), axis=1).mean()


def sklearn(options, floor):
    from sklearn.mixture import GaussianMixture

    class Timed(GaussianMixture):
        def _m_step(self, *arguments):
            super()._m_step(*arguments)
            self.times_.append((time.perf_counter(), time.process_time()))

    fitted, held_out = pixels(options)
    mixture = Timed(options.components, covariance_type="full", max_iter=options.iterations, tol=0, reg_covar=floor, random_state=0,
                    init_params="kmeans")
    mixture.times_ = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(fitted)
    first, last = mixture.times_[0], mixture.times_[-1]
    seconds, processor = ((b - a) / (len(mixture.times_) - 1) for a, b in zip(first, last))
    return seconds, processor, mixture.score(held_out)


if __name__ == "__main__":
    if "avx512bw" in pathlib.Path("/proc/cpuinfo").read_text():
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")  # OpenBLAS has its slowest kernels for processors newer than itself
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if not pathlib.Path(DATA).exists():
        raise SystemExit("compare_em: %s not found; install dataset-fashion-mnist" % DATA)
    main()
