#!/usr/bin/env python3
"""The grand table: every solver at every budget of evaluations, without a closed form, teleported and in residual form.

    solver_table.py [--out out/solvers] [--budgets 5,6,8,10,12,15,20,35] [--solvers a,b] [--num 2000] [--best_num 5000] [--precision bf16]
                    [--only_print] [--write docs/results.md]

Network and data are the shipped Fashion-MNIST ones. Each row's order, sigma_min and rho are tuned by the same search on seeds of their own,
from the best of the budget before (teleported rows with a jump to 10 and sigma_c = 1 meanwhile); then sigma_skip and sigma_c are chosen as
`sample --teleport auto --residual auto` does (solvers that add noise, where it refuses, keep the jump to 10), and the row is measured on
seeds 0 .. num-1, the best three of a budget on 0 .. best_num-1. The adaptive rk45 follows with a few tolerances, untuned. What was measured is kept in --out, so an interrupted run is simply started
again. Prints Markdown, or puts it between its marks in the file.
"""

import argparse
import contextlib
import io
import json
import pathlib
import statistics
import subprocess
import sys

NETWORK = "models/fashion-mnist-28x28-uncond.safetensors"
FEATURES = "models/fashion-mnist-features.safetensors"
MULTISTEP = ["dpmpp_2m", "unipc_bh2", "ipndm", "dpmpp_3m", "unipc_bh1", "deis", "dpm_v3", "dpm_v3 pseudo"]
SINGLE = ["heun", "euler", "dpmpp_2s", "dpmpp_3s"]
STOCHASTIC = ["sde_dpmpp_2m", "ddpm"]
SOLVERS = MULTISTEP + SINGLE + STOCHASTIC
RESIDUAL = ["dpmpp_2m", "dpmpp_3m", "unipc_bh1", "unipc_bh2", "ipndm"]
FORMS = ["none", "teleport", "residual"]
ADAPTIVE = [{"solver": "rk45", "tolerance": tolerance, "steps": 2, "sigma_min": 0.02} for tolerance in (1, 0.1, 0.01, 0.001)]
LIMIT = ("unipc_bh2", 60, "none")  # the converged sampler, its grid tuned like every row's
BEGIN, END = "<!-- solver_table -->", "<!-- end of solver_table -->"
BUDGETS = [5, 6, 8, 10, 12, 15, 20, 35]
TUNING = {"first_seed": 2_000_000, "num": 128}
FIRST = {"sigma_min": 0.06, "rho": 7}
SEARCHED = {"order": [2, 3], "sigma_min": [0.002, 0.02, 0.06, 0.15, 0.3], "rho": [4, 7, 10]}
SETTINGS = {"dpm_v3 pseudo": {"solver": "dpm_v3", "corrector": True, "pseudo_order": True}}  # where the name is not all
OF_SOME_ORDER = ["unipc_bh1", "unipc_bh2", "deis", "ipndm", "dpm_v3"]


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
        self.trials = Trials([options.trials, options.precision, NETWORK, self.stats, FEATURES, self.reference, "fashion-mnist-test",
                              out / f"converged-{options.precision}.safetensors", self.v3],
                             out / f"trials-{options.precision}.jsonl")

    def once(self, path, *arguments):
        if not path.exists():
            subprocess.run([self.options.command, *map(str, arguments), "--quiet"], check=True, stdout=sys.stderr)

    @staticmethod
    def run_of(solver, budget):
        return SETTINGS.get(solver, {"solver": solver}) | {"steps": steps_within(solver, budget)}

    @staticmethod
    def help_of(solver, form, tuning):
        fixed = tuning or solver in STOCHASTIC
        help = {"none": {}, "teleport": {"teleport": 10}, "residual": {"teleport": 10, "residual": 1}}[form]
        return help if fixed else dict.fromkeys(help, "auto")

    def tuned(self, solver, budget, form):
        """From the best of the budget before: one option after the other to the next value, as long as that is better."""
        before = [b for b in BUDGETS if b < budget]
        setting = self.tuned(solver, before[-1], form) if before else FIRST | ({"order": 3} if solver in OF_SOME_ORDER else {})
        base = self.run_of(solver, budget) | self.help_of(solver, form, tuning=True) | TUNING
        for key, values in SEARCHED.items():
            for direction in (-1, 1):
                while key in setting and 0 <= (place := values.index(setting[key]) + direction) < len(values):
                    moved = setting | {key: values[place]}
                    if not distance(self.trials.ask(base | moved)) < distance(self.trials.ask(base | setting)):
                        break
                    setting = moved
        return setting

    def question(self, solver, budget, form, num):
        return (self.run_of(solver, budget) | self.tuned(solver, budget, form) |
                self.help_of(solver, form, tuning=False) | {"first_seed": 0, "num": num, "resamples": 200})

    def rows(self):
        for solver in self.options.solvers:
            for form in FORMS:
                if form != "residual" or solver in RESIDUAL:
                    yield solver, form

    def nums(self):
        return [num for num in dict.fromkeys((self.options.num, self.options.best_num)) if num]

    def measure(self):
        for budget in self.options.budgets:
            for solver, form in self.rows():
                answer = self.trials.ask(self.question(solver, budget, form, self.options.num))
                print(f"# {budget} {solver} {form}: {distance(answer):.3f}", file=sys.stderr, flush=True)
        for row in self.adaptive():
            self.trials.ask(row)
        for budget in self.options.budgets if self.options.best_num else []:
            for solver, form in self.best(budget)[:3]:
                answer = self.trials.ask(self.question(solver, budget, form, self.options.best_num))
                print(f"# {budget} {solver} {form}: {distance(answer):.3f} of {self.options.best_num}", file=sys.stderr, flush=True)
        for num in self.nums():
            self.converged(num)
            self.trials.ask(self.question(*LIMIT, num))

    def limit(self):
        return self.trials.ask(self.question(*LIMIT, self.options.num))

    def adaptive(self):
        return [row | jump | {"first_seed": 0, "num": self.options.num, "resamples": 200}
                for row in ADAPTIVE for jump in ({}, {"teleport": 10})]

    def converged(self, num):
        return self.trials.ask(self.converged_question(num))

    @staticmethod
    def converged_question(num):
        return {"solver": "unipc_bh2", "steps": 60, "first_seed": 0, "num": num, "resamples": 200}

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

    def best_of_forms(self, budget):
        """The answer of the best row of each form; None where there is none yet."""
        return {form: next((self.found(solver, budget, form) for solver, of in self.best(budget) if of == form), None) for form in FORMS}

    def show(self):
        budgets = [b for b in self.options.budgets if self.best(b)]
        limit = self.limit()
        ends = [(self.trials.known(self.converged_question(num)), self.found(*LIMIT, num)) for num in self.nums()]
        print(f"Frechet distance in `fashion-mnist-features` to the 60,000 training images [95 %], and root mean square difference from the "
              f"converged path of\nthe same seeds; N = {self.options.num}, seeds 0-{self.options.num - 1}, network in {self.options.precision}. "
              "The best of a column in bold.\nConverged, 60 steps of `unipc_bh2` to sigma 0.002: " + self.intervals([end for end, _ in ends if end]) +
              f". With sigma_min, rho and order tuned like the rows' ({limit['sigma_min']}, {limit['rho']}, {limit['order']}): " +
              self.intervals([tuned for _, tuned in ends if tuned]) + f", difference {limit['rmse']:.3f}.\n")
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
                for num in self.nums():
                    answer = self.found(solver, budget, form, num)
                    if answer and answer["frechet"] is not None:
                        print("| " + " | ".join([str(answer["nfe"]), f"`{solver}` {form}"] + [
                            self.level(answer.get(key)) for key in ("sigma_min", "rho", "order", "sigma_skip", "sigma_c")
                        ] + [self.interval(answer), str(num)]) + " |")
        self.show_adaptive()
        self.gains(budgets)
        self.targets(budgets, limit)

    @staticmethod
    def interval(answer):
        return f"{answer['frechet']:.2f} [{answer['low']:.2f}, {answer['high']:.2f}]"

    def intervals(self, answers):
        return ", ".join(self.interval(a) + (f" of {a['num']:,}" if a["num"] != self.options.num else "") for a in answers)

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

    def show_adaptive(self):
        answers = [(row, answer) for row in self.adaptive() if (answer := self.trials.known(row))]
        if answers:
            print("\nThe adaptive `rk45` chooses its evaluations itself (those of the row that needs most), untuned, sigma_min 0.02:\n\n"
                  "| tolerance | closed form | evaluations | distance, difference |\n| --- | --- | --- | --- |")
        for row, answer in answers:
            print(f"| {row['tolerance']} | {'teleport, 10' if 'teleport' in row else 'none'} | {answer['nfe']} | "
                  f"{self.cell(answer, answer['nfe'], False)} |")

    def gains(self, budgets):
        """What each form changes of the one before it, with the interval of the difference over the same resamples of the seeds."""
        print("\nChange of the distance by the form, in per cent of the same solver's without it:\n")
        print("| solver | change | " + " | ".join(map(str, budgets)) + " |\n| --- | --- |" + " --- |" * len(budgets))
        for solver in self.options.solvers:
            for before, after in (("none", "teleport"), ("teleport", "residual"), ("none", "residual")):
                answers = [(self.found(solver, budget, before), self.found(solver, budget, after)) for budget in budgets]
                cells = [self.change(*pair) if all(pair) else "" for pair in answers]
                if any(cells):
                    print(f"| `{solver}` | {before} to {after} | " + " | ".join(cells) + " |")

        for before, after in (("none", "teleport"), ("teleport", "residual")):
            pairs = [(a["rmse"], b["rmse"]) for solver in self.options.solvers for budget in budgets
                     if (a := self.found(solver, budget, before)) and (b := self.found(solver, budget, after)) and None not in (a["rmse"], b["rmse"])]
            if pairs:
                print(f"\nThe root mean square difference from the converged path falls from {before} to {after} in {sum(b < a for a, b in pairs)} of "
                      f"{len(pairs)} cells, to {statistics.median(b / a for a, b in pairs):.2f} of it in the median.")

    @staticmethod
    def change(before, after):
        """Relative change and its 95 %; where that excludes 0, in bold."""
        if before["frechet"] is None or after["frechet"] is None:
            return ""
        spread = 1.96 * statistics.stdev(b - a for a, b in zip(before["resampled"], after["resampled"]))
        difference, low, high = (100 * value / before["frechet"] for value in (
            after["frechet"] - before["frechet"], after["frechet"] - before["frechet"] - spread, after["frechet"] - before["frechet"] + spread))
        text = f"{difference:+.0f} [{low:+.0f}, {high:+.0f}]"
        return text if low <= 0 <= high else f"**{text}**"

    def targets(self, budgets, limit):
        """The best rows of a budget, one for each form, beside each other and beside the converged sampler of a tuned grid."""
        print("\nThe best row of each form; changes in per cent, each of the distance it starts from. The excess is what a distance lies above that of "
              "the\nconverged sampler with a tuned grid:\n")
        print("| evaluations | none | teleport | residual | none to teleport | teleport to residual | none to the best of both | "
              "the best against the converged | excess removed | excess after teleport removed |\n" + "| --- " * 10 + "|")

        def removed(before, after):
            """The share of the excess, where that is more than a twentieth."""
            excess = before["frechet"] - limit["frechet"]
            return f"{100 * (before['frechet'] - after['frechet']) / excess:.0f} %" if excess > 0.05 * limit["frechet"] else "hardly any"

        for budget in budgets:
            answers = self.best_of_forms(budget).values()
            if None not in answers:
                none, teleport, residual = answers
                best = min(teleport, residual, key=distance)
                print(f"| {budget} | " + " | ".join(f"{answer['frechet']:.2f} `{answer['solver']}`" for answer in answers) + " | " +
                      " | ".join(self.change(*pair) for pair in ((none, teleport), (teleport, residual), (none, best), (limit, best))) +
                      f" | {removed(none, best)} | {removed(teleport, residual)} |")


def parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="build/release/headstart")
    parser.add_argument("--trials", default="build/release/bench/solver_trials")
    parser.add_argument("--out", default="out/solvers", type=pathlib.Path)
    parser.add_argument("--budgets", default=",".join(map(str, BUDGETS)), help="only these columns")
    parser.add_argument("--solvers", default=",".join(SOLVERS), help="only these rows")
    parser.add_argument("--num", default=2000, type=int)
    parser.add_argument("--best_num", default=5000, type=int, help="0: none")
    parser.add_argument("--precision", default="bf16", help="of the network: fp32, bf16")
    parser.add_argument("--only_print", action="store_true", help="print what has been measured so far")
    return parser


def table_of(options):
    options.budgets = [int(budget) for budget in options.budgets.split(",")]
    options.solvers = options.solvers.split(",")
    return Table(options)


def main():
    arguments = parser()
    arguments.add_argument("--write", type=pathlib.Path, help="replace what stands between the marks in this file")
    options = arguments.parse_args()
    table = table_of(options)
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
