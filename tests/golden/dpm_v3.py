#!/usr/bin/python3
"""Writes dpm_v3.json: end points of DPM-Solver-v3 (arXiv 2310.13268) on the mixture of solvers.py, from the paper's own formulas.

In the variance-preserving form x_t = alpha x_0 + s n, with f = (s eps - l x) / alpha, eq. 8, 13, 14 and 15 and algorithm 2, all integrals
by quadrature and the derivatives from the linear system. The statistics are smooth functions that belong to no model, known at 401 levels
and linear in between. Needs python3-scipy. The file is committed; run this again only to change it.
"""

import pathlib

import numpy
from scipy.interpolate import make_interp_spline

from solvers import SIGMAS, START, model, vp, write

LEVELS = numpy.linspace(vp(SIGMAS[0])[2], vp(SIGMAS[-1])[2], 401)
PART, DIMENSION = numpy.linspace(0, 1, 401)[:, None], numpy.arange(3)
L, S, B = (make_interp_spline(LEVELS, table, 1) for table in (0.6 + 0.3 * numpy.sin(3 * PART + DIMENSION), 0.5 * numpy.cos(2 * PART + 2 * DIMENSION),
                                                              0.4 * numpy.sin(4 * PART - DIMENSION)))
INTEGRAL_L, INTEGRAL_S = L.antiderivative(), S.antiderivative()


def by_dimension(function, start, end):
    """Gauss-Legendre on each piece between levels."""
    cuts = [start, *sorted((level for level in LEVELS if min(start, end) < level < max(start, end)), reverse=bool(end < start)), end]
    nodes, weights = numpy.polynomial.legendre.leggauss(6)
    total = numpy.zeros(3)
    for a, b in zip(cuts, cuts[1:]):
        total = total + sum(w * function((a + b) / 2 + (b - a) / 2 * t) for t, w in zip(nodes, weights)) * (b - a) / 2
    return total


def drift(start, end):
    return by_dimension(lambda r: numpy.exp(INTEGRAL_S(start) - INTEGRAL_S(r)) * B(r), start, end)


def g(start, at, f):
    return numpy.exp(INTEGRAL_S(start) - INTEGRAL_S(at)) * f - drift(start, at)


def derivatives(deltas, values, pseudo):
    """hat g^(k) / k! for k from 1."""
    result = []
    for k in range(1, len(deltas) + 1):
        size = k if pseudo else len(deltas)
        matrix = numpy.array([[delta**power for power in range(1, size + 1)] for delta in deltas[:size]])
        right = numpy.array([(value - values[0]).ravel() for value in values[1 : size + 1]])
        result.append(numpy.linalg.solve(matrix, right)[k - 1].reshape(values[0].shape))
    return result


def update(x_over_alpha, nodes, end, pseudo):
    """x_t / alpha_t; nodes of (level, f), the first one is where x is."""
    start = nodes[0][0]
    values = [g(start, level, f) for level, f in nodes]
    taylor = [values[0], *derivatives([level - start for level, _ in nodes[1:]], values, pseudo)]

    def scale(u):
        return numpy.exp(INTEGRAL_L(u) - INTEGRAL_L(start) + INTEGRAL_S(u) - INTEGRAL_S(start))

    total = x_over_alpha - by_dimension(lambda u: scale(u) * drift(start, u), start, end)
    for k, term in enumerate(taylor):
        total = total - term * by_dimension(lambda u: scale(u) * (u - start) ** k, start, end)
    return numpy.exp(INTEGRAL_L(start) - INTEGRAL_L(end)) * total


def dpm_v3(order, corrector=False, pseudo=False):
    x, past, before, taken = START * vp(SIGMAS[0])[0], [], None, 1
    for i in range(len(SIGMAS) - 1):
        (alpha, s, level), (alpha_end, _, end) = vp(SIGMAS[i]), vp(SIGMAS[i + 1])
        eps = (x - alpha * model(x, SIGMAS[i])) / s
        now = (level, (s * eps - L(level) * x) / alpha)
        if corrector and taken > 1:
            x = alpha * update(before[0] / before[1], [past[0], now, *past[1 : taken - 1]], level, False)
        past.insert(0, now)
        taken, before = min(order, i + 1), (x, alpha)
        x = alpha_end * update(x / alpha, past[:taken], end, pseudo)
    return x / vp(SIGMAS[-1])[0]


def main():
    ends = {"1": dpm_v3(1), "2": dpm_v3(2), "3": dpm_v3(3), "3 pseudo": dpm_v3(3, pseudo=True), "2 corrector": dpm_v3(2, corrector=True),
            "3 corrector": dpm_v3(3, corrector=True), "3 pseudo corrector": dpm_v3(3, corrector=True, pseudo=True)}
    write(pathlib.Path(__file__), ends)


if __name__ == "__main__":
    main()
