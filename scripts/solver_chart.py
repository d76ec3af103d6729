#!/usr/bin/env python3
"""Draws what solver_table.py has measured: Frechet distance against evaluations, the best row of each form over all the others.

    solver_chart.py [options of solver_table.py] --chart docs/images/solvers.svg
"""

import math
import pathlib
import sys

sys.dont_write_bytecode = True
import solver_table  # noqa: E402

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 820, 430, 56, 236, 24, 50
FORMS = {"none": ("#6b7280", "no closed form"), "teleport": ("#1d6fb8", "teleported"), "residual": ("#c2410c", "teleported, residual form")}


class Chart:
    """Budgets at equal distances; distances on a logarithmic axis."""

    def __init__(self, budgets, lowest, highest):
        self.budgets, self.lowest, self.highest = budgets, lowest, highest
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="13">',
                      "<title>Frechet distance against evaluations of the network</title>",
                      f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']

    def x(self, budget):
        return LEFT + self.budgets.index(budget) * (WIDTH - LEFT - RIGHT) / max(1, len(self.budgets) - 1)

    def y(self, value):
        return TOP + (HEIGHT - TOP - BOTTOM) * math.log(self.highest / value) / math.log(self.highest / self.lowest)

    def text(self, x, y, text, anchor="start", fill="#374151", weight="400"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}">{text}</text>')

    def line(self, points, color, width, opacity=1.0, dashes=""):
        path = " ".join(f"{self.x(budget):.1f},{self.y(value):.1f}" for budget, value in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}" stroke-opacity="{opacity}"'
                          f'{f" stroke-dasharray={chr(34)}{dashes}{chr(34)}" if dashes else ""} stroke-linejoin="round"/>')

    def dots(self, points, color):
        for budget, value in points:
            self.parts.append(f'<circle cx="{self.x(budget):.1f}" cy="{self.y(value):.1f}" r="4" fill="{color}" stroke="#ffffff"/>')

    def axes(self):
        for value in (1, 1.5, 2, 3, 5, 10, 20):
            if self.lowest <= value <= self.highest:
                self.line([(self.budgets[0], value), (self.budgets[-1], value)], "#e5e7eb", 1)
                self.text(LEFT - 10, self.y(value) + 4, f"{value:g}", "end")
        for budget in self.budgets:
            self.text(self.x(budget), HEIGHT - BOTTOM + 22, budget, "middle")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "evaluations of the network", "middle")
        self.text(10, 15, "Frechet distance (logarithmic)")

    def svg(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def draw(table):
    budgets = [budget for budget in table.options.budgets if table.best(budget)]
    limit = table.limit()["frechet"]
    rows = {row: [(budget, solver_table.distance(answer)) for budget in budgets if (answer := table.found(row[0], budget, row[1]))]
            for row in table.rows()}
    best = {form: [(budget, solver_table.distance(answer)) for budget in budgets if (answer := table.best_of_forms(budget)[form])]
            for form in FORMS}
    top = 24
    chart = Chart(budgets, 0.9 * min(limit, *(value for points in best.values() for _, value in points)), top)
    chart.axes()
    for (_, form), points in rows.items():
        chart.line([point for point in points if point[1] < top], FORMS[form][0], 1, 0.3)
    chart.line([(budgets[0], limit), (budgets[-1], limit)], "#111827", 1, dashes="5 4")
    labels = [(chart.y(limit), "the converged sampler", "#111827")]
    for form, points in best.items():
        color, name = FORMS[form]
        chart.line(points, color, 2.5)
        chart.dots(points, color)
        labels.append((chart.y(points[-1][1]), f"best {name}", color))
    place = 0.0
    for at, name, color in sorted(labels):
        place = max(at, place + 17)
        chart.text(WIDTH - RIGHT + 14, place + 4, name, fill=color, weight="600")
    return chart.svg()


def main():
    parser = solver_table.parser()
    parser.add_argument("--chart", type=pathlib.Path, required=True)
    table = solver_table.table_of(parser.parse_args())
    table.options.chart.write_text(draw(table))


if __name__ == "__main__":
    main()
