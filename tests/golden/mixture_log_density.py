#!/usr/bin/python3
"""Writes mixture_log_density.json: a mixture of Gaussians, points, and their log densities by SciPy from the dense covariances.
Arrays are flat, in C order.

Needs python3-scipy. The file is committed; run this again only to change it.
"""

import json
import pathlib

import numpy
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

DIM, RANK, COMPONENTS, POINTS = 6, 2, 3, 5


def main():
    random = numpy.random.default_rng(20240611)
    weights = random.dirichlet(numpy.full(COMPONENTS, 3.0))
    means = random.normal(size=(COMPONENTS, DIM))
    bases = numpy.linalg.qr(random.normal(size=(COMPONENTS, DIM, RANK)))[0]
    eigenvalues = numpy.sort(random.uniform(0.5, 3, (COMPONENTS, RANK)))[:, ::-1]
    tails = random.uniform(0.01, 0.1, COMPONENTS)
    points = random.normal(size=(POINTS, DIM)) * 2
    densities = {}
    for sigma in (0.0, 0.3, 5.0):
        joint = []
        for k in range(COMPONENTS):
            inside = bases[k] @ bases[k].T
            covariance = bases[k] @ numpy.diag(eigenvalues[k]) @ bases[k].T + tails[k] * (numpy.eye(DIM) - inside)
            noisy = multivariate_normal(means[k], covariance + sigma**2 * numpy.eye(DIM))
            joint.append(numpy.log(weights[k]) + noisy.logpdf(points))
        densities[repr(sigma)] = logsumexp(joint, axis=0).tolist()
    values = {"weights": weights, "mean": means, "basis": bases, "eigenvalues": eigenvalues, "tail": tails, "points": points}
    text = json.dumps({**{key: value.ravel().tolist() for key, value in values.items()}, "log_density": densities}, indent=1)
    pathlib.Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
