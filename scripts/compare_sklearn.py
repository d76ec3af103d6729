#!/usr/bin/python3
"""Fits mixtures to Fashion-MNIST with headstart and with scikit-learn, and prints what both take and how well both describe held-out images.

    compare_sklearn.py [--command build/release/headstart] [--components 50] [--rank 32] [--iterations 3] [--reg_covar 1e-6,1e-3]

Needs python3-sklearn (apt install python3-sklearn) and the Python it is for. Every tenth image is held out. Seconds an iteration:
headstart's from two fits of different length, scikit-learn's between its own M steps (covariance_type="full", k-means centres). Processor
seconds are printed beside them, for machines that do other things as well.
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
    options = parser.parse_args()
    mine = headstart(options)
    print("headstart, rank %d: %.2f s an iteration (processor %.2f), held-out log-likelihood %.2f after %d iterations (%.2f after %d)"
          % (options.rank, mine["seconds"], mine["processor"], mine["long"]["held_out_log_likelihood"], mine["long"]["iterations"],
             mine["short"]["held_out_log_likelihood"], mine["short"]["iterations"]), flush=True)
    for floor in map(float, options.reg_covar.split(",")):
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


def sklearn(options, floor):
    import numpy
    from sklearn.mixture import GaussianMixture

    class Timed(GaussianMixture):
        def _m_step(self, *arguments):
            super()._m_step(*arguments)
            self.times_.append((time.perf_counter(), time.process_time()))

    with gzip.open(DATA) as file:
        pixels = numpy.frombuffer(file.read()[16:], numpy.uint8).reshape(-1, 784)[: options.limit] / 127.5 - 1
    held_out = numpy.arange(len(pixels)) % 10 == 9
    mixture = Timed(options.components, covariance_type="full", max_iter=options.iterations, tol=0, reg_covar=floor, random_state=0,
                    init_params="kmeans")
    mixture.times_ = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(pixels[~held_out])
    first, last = mixture.times_[0], mixture.times_[-1]
    seconds, processor = ((b - a) / (len(mixture.times_) - 1) for a, b in zip(first, last))
    return seconds, processor, mixture.score(pixels[held_out])


if __name__ == "__main__":
    if "avx512bw" in pathlib.Path("/proc/cpuinfo").read_text():
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")  # OpenBLAS has its slowest kernels for processors newer than itself
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if not pathlib.Path(DATA).exists():
        raise SystemExit("compare_sklearn: %s not found; install dataset-fashion-mnist" % DATA)
    main()
