#!/usr/bin/python3
"""Writes solvers.json: trajectories of sampling runs on a mixture of three isotropic Gaussians, from the papers' own formulas.

DPM-Solver++ (arXiv 2211.01095) and UniPC (arXiv 2302.04867) are written in their variance-preserving form, x_t = alpha x_0 + s n, and
brought to x / alpha at the end; DEIS (arXiv 2204.13902) with its integrals by quadrature. Needs python3-scipy. The file is committed; run
this again only to change it.
"""

import json
import math
import pathlib

import numpy
from scipy.integrate import quad

POINTS = numpy.array([[1.0, -0.5, 0.2], [-0.8, 0.9, -0.3], [0.1, -1.1, 1.0]])
WEIGHTS = numpy.array([0.5, 0.3, 0.2])
VARIANCE = 0.05
SIGMAS = [10.0, 6.0, 3.2, 1.9, 1.1, 0.6, 0.25, 0.1]
START = 10.0 * numpy.array([[0.3, -1.2, 0.8], [1.1, 0.4, -0.6], [-0.7, 0.2, 1.5]])


def denoised(x, sigma):
    total = VARIANCE + sigma**2
    distance = ((x[:, None] - POINTS[None]) ** 2).sum(2)
    joint = numpy.log(WEIGHTS) - distance / (2 * total)
    share = numpy.exp(joint - joint.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    means = POINTS[None] + VARIANCE / total * (x[:, None] - POINTS[None])
    return (share[:, :, None] * means).sum(1)


def vp(sigma):
    """alpha, s and lambda = ln(alpha / s)."""
    alpha = 1 / math.sqrt(1 + sigma**2)
    return alpha, sigma * alpha, -math.log(sigma)


def model(x, sigma):
    """Data prediction of the variance-preserving process."""
    return denoised(x / vp(sigma)[0], sigma)


def dpm_solver_pp(order):
    x, outputs, states = START * vp(SIGMAS[0])[0], [], []
    for i in range(len(SIGMAS) - 1):
        outputs.append(model(x, SIGMAS[i]))
        k = min(order, i + 1)
        (_, s_s, l0), (alpha, s_t, lt) = vp(SIGMAS[i]), vp(SIGMAS[i + 1])
        h, m0 = lt - l0, outputs[-1]
        if i > 0:
            states.append(x / vp(SIGMAS[i])[0])
        if k == 1:
            x = s_t / s_s * x - alpha * math.expm1(-h) * m0
            continue
        l1, m1 = vp(SIGMAS[i - 1])[2], outputs[-2]
        r0 = (l0 - l1) / h
        d1_0 = (m0 - m1) / r0
        if k == 2:
            x = s_t / s_s * x - alpha * math.expm1(-h) * m0 - 0.5 * alpha * math.expm1(-h) * d1_0
            continue
        # The integral itself, s_t int e^lambda D(lambda) dlambda, of the parabola through three outputs.
        nodes = [l0, l1, vp(SIGMAS[i - 2])[2]]
        x = s_t / s_s * x
        for j in range(3):
            others = [node for m, node in enumerate(nodes) if m != j]

            def weight(lam):
                return math.exp(lam) * math.prod((lam - node) / (nodes[j] - node) for node in others)

            x = x + s_t * quad(weight, l0, lt, epsabs=1e-13)[0] * outputs[-1 - j]
    end = x / vp(SIGMAS[-1])[0]
    return end, [*states, end, denoised(end, SIGMAS[-1])]


def unipc(order, variant):
    x = START * vp(SIGMAS[0])[0]
    outputs, states = [model(x, SIGMAS[0])], []
    for i in range(len(SIGMAS) - 1):
        k = min(order, i + 1)
        (_, s_s, l0), (alpha, s_t, lt) = vp(SIGMAS[i]), vp(SIGMAS[i + 1])
        h, m0 = lt - l0, outputs[-1]
        ratios = [(vp(SIGMAS[i - m])[2] - l0) / h for m in range(1, k)]
        d1s = [(outputs[-1 - m] - m0) / ratio for m, ratio in zip(range(1, k), ratios)]
        ratios.append(1.0)
        b_h = -h if variant == "bh1" else math.expm1(-h)
        # phi_1 = (e^z - 1) / z at z = -h, phi_(k+1) = (phi_k - 1 / k!) / z
        rows, right, phi = [], [], (math.expm1(-h) / -h - 1) / -h
        for power in range(1, k + 1):
            rows.append([ratio ** (power - 1) for ratio in ratios])
            right.append(phi * -h * math.factorial(power) / b_h)
            phi = (phi - 1 / math.factorial(power + 1)) / -h
        base = s_t / s_s * x - alpha * math.expm1(-h) * m0
        if k == 1:
            ahead = []
        elif k == 2:
            ahead = [0.5]
        else:
            ahead = numpy.linalg.solve(numpy.array(rows)[:-1, :-1], right[:-1])
        predicted = base - alpha * b_h * sum((a * d for a, d in zip(ahead, d1s)), numpy.zeros_like(x))
        outputs.append(model(predicted, SIGMAS[i + 1]))
        back = [0.5] if k == 1 else numpy.linalg.solve(numpy.array(rows), right)
        x = base - alpha * b_h * sum((a * d for a, d in zip(back, d1s + [outputs[-1] - m0])), numpy.zeros_like(x))
        states.append(x / alpha)
    return predicted / vp(SIGMAS[-1])[0], [*states, outputs[-1]]


def adams(weights, order):
    x, slopes, states = START.copy(), [], []
    for i in range(len(SIGMAS) - 1):
        slopes.append((x - denoised(x, SIGMAS[i])) / SIGMAS[i])
        k = min(order, i + 1)
        nodes = [SIGMAS[i - m] for m in range(k)]
        x = x + sum(w * slopes[-1 - m] for m, w in enumerate(weights(nodes, SIGMAS[i], SIGMAS[i + 1])))
        states.append(x)
    return x, [*states, denoised(x, SIGMAS[-1])]


def by_quadrature(nodes, start, end):
    def lagrange(j):
        return lambda t: math.prod((t - nodes[m]) / (nodes[j] - nodes[m]) for m in range(len(nodes)) if m != j)

    return [quad(lagrange(j), start, end, epsabs=1e-13)[0] for j in range(len(nodes))]


def equal_steps(nodes, start, end):
    table = {1: [1], 2: [3 / 2, -1 / 2], 3: [23 / 12, -16 / 12, 5 / 12], 4: [55 / 24, -59 / 24, 37 / 24, -9 / 24]}
    return [(end - start) * w for w in table[len(nodes)]]


def write(program, ends, states=None):
    """The mixture, the run and its end points beside the program that computed them; states of a run that goes on to 0."""
    values = {"points": POINTS, "weights": WEIGHTS, "sigmas": numpy.array(SIGMAS), "start": START}
    text = json.dumps({"variance": VARIANCE, **{key: value.ravel().tolist() for key, value in values.items()},
                       "ends": {key: value.ravel().tolist() for key, value in ends.items()},
                       **({"states": {key: [x.ravel().tolist() for x in values] for key, values in states.items()}} if states else {})},
                      indent=1)
    program.with_suffix(".json").write_text(text + "\n")


def main():
    runs = {"dpmpp_2m": dpm_solver_pp(2), "dpmpp_3m": dpm_solver_pp(3)}
    for variant in ("bh1", "bh2"):
        for order in (1, 2, 3):
            runs["unipc_%s %d" % (variant, order)] = unipc(order, variant)
    for order in (1, 2, 3, 4):
        runs["deis %d" % order] = adams(by_quadrature, order)
        runs["ipndm %d" % order] = adams(equal_steps, order)
    write(pathlib.Path(__file__), {name: end for name, (end, _) in runs.items()}, {name: states for name, (_, states) in runs.items()})


if __name__ == "__main__":
    main()
