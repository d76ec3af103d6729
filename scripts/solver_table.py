#!/usr/bin/env python3
"""The grand table: every solver at every budget of evaluations, without a closed form, teleported and in residual form.

    solver_table.py [--out out/solvers] [--budgets 5,6,8,10,12,15,20,35] [--solvers a,b] [--num 2000] [--best_num 5000] [--only_print]
                    [--write docs/results.md]

Network and data are the shipped Fashion-MNIST ones. Each row's sigma_min, rho and order are tuned by the same search on seeds of their own
(teleported rows with a jump to 10 and sigma_c = 1 meanwhile); then sigma_skip and sigma_c are chosen as `sample --teleport auto --residual
auto` does, and the row is measured on seeds 0 .. num-1, the best three of a budget on 0 .. best_num-1. What was measured is kept in --out, so
an interrupted run is simply started again. Prints Markdown, or puts it between its marks in the file.
"""

import argparse
import contextlib
import io
import json
import pathlib
import subprocess
import sys

NETWORK = "models/fashion-mnist-28x28-uncond.safetensors"
FEATURES = "models/fashion-mnist-features.safetensors"
MULTISTEP = ["dpmpp_2m", "unipc_bh2", "ipndm", "dpmpp_3m", "unipc_bh1", "deis", "dpm_v3"]
SINGLE = ["heun", "euler", "dpmpp_2s", "dpmpp_3s"]
STOCHASTIC = ["sde_dpmpp_2m", "ddpm"]
SOLVERS = MULTISTEP + SINGLE + STOCHASTIC
RESIDUAL = ["dpmpp_2m", "dpmpp_3m", "unipc_bh1", "unipc_bh2", "ipndm"]
FORMS = ["none", "teleport", "residual"]
BEGIN, END = "<!-- solver_table -->", "<!-- end of solver_table -->"
TUNING = {"first_seed": 2_000_000, "num": 150}
SIGMA_MINS = [0.06, 0.002, 0.02, 0.15, 0.3]
RHOS = [7, 4, 10]
ORDERS = {"unipc_bh1": [3, 2], "unipc_bh2": [3, 2], "deis": [3, 2], "ipndm": [3, 2], "dpm_v3": [3, 2]}


def steps_within(solver, budget):
    """Steps of the largest run of at most `budget` evaluations."""
    if solver in ("heun", "dpmpp_2s"):
        return (budget + 1) // 2
    return (budget + 2) // 3 if solver == "dpmpp_3s" else budget


def distance(answer):
    """Infinite where the samples were."""
    return float("inf") if answer["frechet"] is None else answer["frechet"]


class Trials:
    """Questions to the program, each asked once."""

    def __init__(self, arguments, path):
        self.arguments, self.path, self.process, self.frozen = arguments, path, None, False
        self.answers = {}
        if path.exists():
            for line in path.read_text().splitlines():
                question, answer = json.loads(line)
                self.answers[self.key(question)] = answer

    @staticmethod
    def key(question):
        return json.dumps(question, sort_keys=True)

    def known(self, question):
        return self.answers.get(self.key(question))

    def ask(self, question):
        if self.known(question) is None:
            if self.frozen:
                raise LookupError
            if self.process is None:
                self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            if not line:
                sys.exit("solver_table: expected an answer to " + json.dumps(question))
            with self.path.open("a") as file:
                file.write(json.dumps([question, json.loads(line)]) + "\n")
            self.answers[self.key(question)] = json.loads(line)
        return self.known(question)


class Table:
    def __init__(self, options):
        out = options.out
        out.mkdir(parents=True, exist_ok=True)
        self.options = options
        self.stats, self.reference, self.v3 = out / "stats.safetensors", out / "reference.npz", out / "v3"
        if not options.only_print:
            self.once(self.stats, "fit", "fashion-mnist", "--out", self.stats)
            self.once(self.reference, "evaluate", "--reference", "fashion-mnist", "--features", "fashion-mnist-features",
                      "--save_reference", self.reference)
            self.once(self.v3 / "sb.npz", "fit", "fashion-mnist", "--from_network", NETWORK, "--dpm_v3", self.v3)
        self.trials = Trials([options.trials, NETWORK, self.stats, FEATURES, self.reference, "fashion-mnist-test",
                              out / "converged.safetensors", self.v3],
                             out / "trials.jsonl")

    def once(self, path, *arguments):
        if not path.exists():
            subprocess.run([self.options.command, *map(str, arguments), "--quiet"], check=True, stdout=sys.stderr)

    def help_of(self, form, tuning):
        if form == "none":
            return {}
        teleport = {"teleport": 10 if tuning else "auto"}
        return teleport | {"residual": 1 if tuning else "auto"} if form == "residual" else teleport

    def tuned(self, solver, budget, form):
        """One option after the other, each from the best of those before."""
        setting = {"sigma_min": SIGMA_MINS[0], "rho": RHOS[0]}
        base = {"solver": solver, "steps": steps_within(solver, budget)} | self.help_of(form, tuning=True) | TUNING
        for key, values in (("order", ORDERS.get(solver, [])), ("sigma_min", SIGMA_MINS), ("rho", RHOS)):
            if values:
                setting[key] = min(values, key=lambda value: distance(self.trials.ask(base | setting | {key: value})))
        return setting

    def question(self, solver, budget, form, num):
        return ({"solver": solver, "steps": steps_within(solver, budget)} | self.tuned(solver, budget, form) |
                self.help_of(form, tuning=False) | {"first_seed": 0, "num": num, "resamples": 200})

    def rows(self):
        for solver in self.options.solvers:
            for form in FORMS:
                if form != "residual" or solver in RESIDUAL:
                    yield solver, form

    def measure(self):
        self.converged(self.options.num)
        for budget in self.options.budgets:
            for solver, form in self.rows():
                answer = self.trials.ask(self.question(solver, budget, form, self.options.num))
                print(f"# {budget} {solver} {form}: {distance(answer):.3f}", file=sys.stderr, flush=True)
            for solver, form in self.best(budget)[:3]:
                self.trials.ask(self.question(solver, budget, form, self.options.best_num))
                self.converged(self.options.best_num)

    def converged(self, num):
        return self.trials.ask({"solver": "unipc_bh2", "steps": 60, "first_seed": 0, "num": num, "resamples": 200})

    def found(self, solver, budget, form, num=None):
        """A row's answer where it has been measured."""
        was, self.trials.frozen = self.trials.frozen, True
        try:
            return self.trials.ask(self.question(solver, budget, form, num or self.options.num))
        except LookupError:
            return None
        finally:
            self.trials.frozen = was

    def best(self, budget):
        rows = [(solver, form) for solver, form in self.rows() if self.found(solver, budget, form)]
        return sorted(rows, key=lambda row: distance(self.found(row[0], budget, row[1])))

    def show(self):
        budgets = [b for b in self.options.budgets if self.best(b)]
        limit = self.converged(self.options.num)
        print(f"Frechet distance [95 %] and root mean square difference from the converged path; N = {self.options.num}. "
              f"Converged: {limit['frechet']:.2f} [{limit['low']:.2f}, {limit['high']:.2f}].\n")
        print("| solver | closed form | " + " | ".join(map(str, budgets)) + " |\n| --- | --- |" + " --- |" * len(budgets))
        best = {budget: self.best(budget)[0] for budget in budgets}
        missing = []
        for solver, form in self.rows():
            cells = []
            for budget in budgets:
                answer = self.found(solver, budget, form)
                cells.append(self.cell(answer, budget, best[budget] == (solver, form)) if answer else "")
            if any(cells):
                print(f"| `{solver}` | {form} | " + " | ".join(cells) + " |")
            else:
                missing.append(f"`{solver}` {form}")
        if missing:
            print("\nNot measured yet: " + ", ".join(missing) + ".")
        print("\n| evaluations | row | sigma_min | rho | order | sigma_skip | sigma_c | distance | N |\n" + "| --- " * 9 + "|")
        for budget in budgets:
            for solver, form in self.best(budget)[:3]:
                for num in dict.fromkeys((self.options.num, self.options.best_num)):
                    answer = self.found(solver, budget, form, num)
                    if answer and answer["frechet"] is not None:
                        print("| " + " | ".join([str(answer["nfe"]), f"`{solver}` {form}"] + [
                            self.level(answer.get(key)) for key in ("sigma_min", "rho", "order", "sigma_skip", "sigma_c")
                        ] + [f"{answer['frechet']:.2f} [{answer['low']:.2f}, {answer['high']:.2f}]", str(num)]) + " |")
        self.targets(budgets, limit["frechet"])

    @staticmethod
    def level(value):
        return "" if value is None else f"{value:g}"

    @staticmethod
    def cell(answer, budget, best):
        if answer["frechet"] is None:
            return "diverges"
        value = f"{answer['frechet']:.2f}"
        text = (f"**{value}**" if best else value) + f" [{answer['low']:.2f}, {answer['high']:.2f}]"
        if answer["rmse"] is not None:
            text += f", {answer['rmse']:.3f}"
        return text if answer["nfe"] == budget else f"{text} ({answer['nfe']})"

    def targets(self, budgets, limit):
        print("\n| evaluations | best without | best teleported | best residual | excess over the converged removed | and of what teleportation leaves |\n" +
              "| --- " * 6 + "|")

        def share(before, after):
            if before <= limit:
                return "none there"
            return "all" if after <= limit else f"{100 * (before - after) / (before - limit):.0f} %"

        for budget in budgets:
            least = {form: min((distance(self.found(s, budget, f)) for s, f in self.best(budget) if f == form), default=None)
                     for form in FORMS}
            if None not in least.values():
                print(f"| {budget} | {least['none']:.2f} | {least['teleport']:.2f} | {least['residual']:.2f} | "
                      f"{share(least['none'], min(least.values()))} | {share(least['teleport'], least['residual'])} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="build/release/headstart")
    parser.add_argument("--trials", default="build/release/bench/solver_trials")
    parser.add_argument("--out", default="out/solvers", type=pathlib.Path)
    parser.add_argument("--budgets", default="5,6,8,10,12,15,20,35")
    parser.add_argument("--solvers", default=",".join(SOLVERS), help="only these rows")
    parser.add_argument("--num", default=2000, type=int)
    parser.add_argument("--best_num", default=5000, type=int)
    parser.add_argument("--write", type=pathlib.Path, help="replace what stands between the marks in this file")
    parser.add_argument("--only_print", action="store_true", help="print what has been measured so far")
    options = parser.parse_args()
    options.budgets = [int(budget) for budget in options.budgets.split(",")]
    options.solvers = options.solvers.split(",")
    table = Table(options)
    if not options.only_print:
        table.measure()
    if not options.write:
        return table.show()
    with contextlib.redirect_stdout(io.StringIO()) as text:
        table.show()
    before, _, rest = options.write.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    options.write.write_text(f"{before}{BEGIN}\n{text.getvalue()}{END}{after}")


if __name__ == "__main__":
    main()
