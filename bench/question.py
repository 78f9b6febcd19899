#!/usr/bin/env python3
"""question.py BUILD_DIR [--minutes N] [--quick] [--again] [--real PROJECT TARGET SOURCEDIR]: does a small number of subprocesses save
time, when, and how much?

Measures everything docs/does-it-save-time.md tells and writes that page and its charts: ways to run a job (pool, a fork for
each, inline), to hand jobs out (credit, a shared queue), to pass on state (journal, broadcast, carried in messages), over
workers, memory of the parent, number and length of jobs; other tools; small real builds.  --minutes: so long it may take
(default 20; no cell longer than 30 s); --quick: a tenth of that, for trying out, and into a directory of its own.
--again: the page anew from what was measured last (kept in BUILD_DIR).
--real: a project with its sources downloaded, built once more with a new cache, for the parent's share in a long build.

A cell is measured several times, the rounds of all cells of a table taking turns, and its best is taken: whatever else the
machine does only ever adds.  Cells that would take too long are extrapolated from fewer jobs, and marked with a tilde.
"""
import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time

import builds
import common
import question_page

HEAPS = [10, 100, 1000]                      # MB that the parent has written to; a tenth of it goes on being written
WORKERS = [1, 2, 4, 8, 16]
NUMBERS = [1000, 10000, 100000, 1000000]     # jobs
SLEEPS = [0, 1000, 100000]                   # microseconds
WINDOWS = [1, 2, 4, 8]
RECORDS = [1, 10, 100, 1000]                 # that a message carries
MODES = ["pool", "fork", "inline"]
WAYS = ["none", "journal", "broadcast", "carried"]
CELL_MOST = 30.0


def log(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Cell:
    """One program with so many jobs: argv(jobs) prints a line of JSON with us_per_job."""

    def __init__(self, argv, probe, most, multiple=1):
        self.argv, self.jobs, self.most, self.multiple, self.best = argv, probe, most, multiple, None

    def run(self):
        argv = [str(word) for word in self.argv(self.jobs)]
        for _ in range(3):  # one that was killed for want of memory, say, is no reason to give up the rest
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
            log(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr[-2000:]}")
        else:
            raise SystemExit("question.py: a cell could not be measured")
        result = json.loads(done.stdout.strip().split("\n")[-1])
        if self.best is None or result["us_per_job"] < self.best["us_per_job"]:
            self.best = result
        return result


class Table:
    """Cells that are measured together.  seconds: for all of them; a cell is given no more jobs than it may have."""

    def __init__(self, seconds, rounds):
        self.seconds, self.rounds, self.cells = seconds, rounds, {}

    def add(self, key, argv, probe=200, most=1000000, multiple=1):
        self.cells[key] = Cell(argv, min(probe, most), most, multiple)

    def measure(self):
        """{key: the best result}.  First a probe each, then as many jobs as its share of the time allows."""
        started = time.monotonic()
        for cell in self.cells.values():
            per_job = cell.run()["us_per_job"] / 1e6
            each = min(self.seconds / len(self.cells) / self.rounds, CELL_MOST)
            cell.jobs = max(4, min(cell.most, int(each / per_job)) // cell.multiple * cell.multiple, 2 * cell.multiple)
            if cell.jobs > cell.best["jobs"]:
                cell.best = None  # a short run pays for the start of everything
        for number in range(self.rounds):
            for cell in self.cells.values():
                if number == 0 or time.monotonic() - started < 1.5 * self.seconds + 10:
                    cell.run()
        return {key: cell.best for key, cell in self.cells.items()}


class Bench:
    def __init__(self, build, scale, rounds):
        self.build, self.scale, self.rounds = build, scale, rounds

    def program(self, name):
        return os.path.join(self.build, "bench", name)

    def table(self, seconds):
        return Table(seconds * self.scale, self.rounds)

    def pool(self, mode, workers=1, heap=0, sleep=0, window=1, extra=()):
        """argv of a cell of bench_pool, or of its Python counterpart ("python pool", "python process")."""
        if " " in mode:
            head = [sys.executable, os.path.join(common.HERE, "bench_pool.py"), mode.split()[1]]
        else:
            head = [self.program("bench_pool"), mode, "--window", window, "--sleep", sleep, *extra]
        return lambda jobs: head + ["--workers", workers, "--jobs", jobs, "--heap", heap, "--dirty", heap // 10]

    def ways(self, dispatch="credit", state="none", workers=1, window=1, records=10, sleep=0, extra=()):
        return lambda jobs: [self.program("bench_ways"), "--dispatch", dispatch, "--state", state, "--workers", workers,
                             "--window", window, "--records", records, "--sleep", sleep, "--jobs", jobs, *extra]

    def pinned(self, argv):
        """All processes on one processor: what they take together, without what the kernel does to wake another one up."""
        head = ["taskset", "-c", min(os.sched_getaffinity(0))] if shutil.which("taskset") else []
        return lambda jobs: head + argv(jobs)

    def lines(self, name, *args):
        out = subprocess.run([self.program(name), *map(str, args)], capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in out.splitlines()]


# --- what is measured, one function for each table ---

def heaps(bench):
    table = bench.table(100)
    for heap in HEAPS:
        for mode in ["socket", "pool", "fork", "inline", "python pool", "python process"]:
            table.add((mode, heap), bench.pool(mode, 1, heap), 20 if mode in ("fork", "python process") else 500)
    return table.measure()


def workers(bench):
    table = bench.table(90)
    for count in WORKERS:
        for mode in ["socket", "pool", "fork", "python pool"]:
            table.add((mode, count), bench.pool(mode, count, 100), 40 if mode == "fork" else 500)
    return table.measure()


def windows(bench):
    table = bench.table(50)
    for window in WINDOWS:
        table.add(("socket", window), bench.pool("socket", window=window), 2000)
        table.add(("pool", window), bench.pool("pool", window=window), 2000)
        table.add(("change", window), bench.pool("pool", window=window, extra=["--change"]), 2000)
    return table.measure()


def pinned(bench):
    table = bench.table(40)
    for count, window in [(count, 1) for count in WORKERS] + [(1, window) for window in WINDOWS[1:]]:
        for mode in ["socket", "pool"]:
            table.add((mode, count, window), bench.pinned(bench.pool(mode, count, window=window)), 2000)
    return table.measure()


def lengths(bench):
    """Jobs that take time: how much of it is lost."""
    table = bench.table(130)
    for sleep in SLEEPS[1:]:
        for count in [1, 4, 16]:
            for mode in MODES if count == 1 else MODES[:2]:
                table.add((mode, count, sleep), bench.pool(mode, count, 100, sleep), 4 * count,
                          most=100 * count if sleep > 10000 else 1000000, multiple=count)
    return table.measure()


def numbers(bench):
    """So many jobs in one session; what would take too long is extrapolated: {key: (result, whether)}."""
    found, last = {}, {}
    for mode in MODES:
        for count in NUMBERS:
            guess = last.get(mode, 5000 if mode == "fork" else 50) * count / 1e6
            if guess <= min(CELL_MOST, CELL_MOST * bench.scale):
                cell = Cell(bench.pool(mode, 1 if mode == "inline" else 4, 100), count, count)
                for _ in range(bench.rounds if guess < 5 else 1):
                    cell.run()
                found[mode, count] = (cell.best["us_per_job"] * count / 1e6, False)
                last[mode] = cell.best["us_per_job"]
            else:
                if mode not in last:  # not even the smallest fits
                    last[mode] = Cell(bench.pool(mode, 4, 100), 100, 100).run()["us_per_job"]
                found[mode, count] = (last[mode] * count / 1e6, True)
    return found


def states(bench, typical):
    table = bench.table(110)
    for count in WORKERS:
        for way in WAYS:
            table.add((way, count), bench.pinned(bench.ways(state=way, workers=count, window=4, records=typical)), 1000)
    for records in RECORDS:
        table.add(("carried", "records", records),
                  bench.pinned(bench.ways(state="carried", workers=4, window=4, records=records)), 200)
    return table.measure()


def queues(bench):
    table = bench.table(70)
    for count in WORKERS:
        for dispatch, window in [("credit", 1), ("credit", 4), ("queue", 1), ("queue", 4)]:
            table.add((dispatch, window, count), bench.ways(dispatch, "journal", count, window), 1000)
    return table.measure()


def deaths(bench):
    """One worker of four is killed in the middle of a job of 20 ms, or of 200 ms, as every eighth is."""
    found = {}
    for name, argv in {
        "pool": bench.pool("pool", 4, sleep=20000, extra=["--kill"]),
        "credit": bench.ways("credit", "journal", 4, 4, sleep=20000, extra=["--kill", "--uneven"]),
        "queue": bench.ways("queue", "journal", 4, 4, sleep=20000, extra=["--kill", "--uneven"]),
    }.items():
        runs = [Cell(argv, 120, 120).run() for _ in range(3)]
        found[name] = sorted(runs, key=lambda run: run["known_us"])[1]
    for name in ["killed-pool", "killed-executor"]:
        argv = [sys.executable, os.path.join(common.HERE, "bench_pool.py"), name, "--workers", "4", "--jobs", "120"]
        found[name] = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    return found


def records(bench):
    """By workers, and whether elements come one after the other: the best of some runs, field by field."""
    found = {}
    for count in [1, 4, 16]:
        for scattered in (False, True):
            runs = [bench.lines("bench_records", "--workers", count, "--records", int(200000 * min(1, bench.scale) + 20000),
                                *(["--scattered"] if scattered else []))[0] for _ in range(bench.rounds)]
            found[count, scattered] = {name: min(run[name] for run in runs) for name in runs[0]}
    return found


def schedules(bench):
    """By weights and number of elements: the dearest shape of graph, each at its best."""
    found = {}
    for size in [10000, 100000] + ([1000000] if bench.scale > 0.5 else []):
        runs = [bench.lines("bench_sched", "--elements", size) for _ in range(bench.rounds)]
        for weights in ("paths", "random"):
            best = [min(line["us_per_job"] for line in same) for same in zip(*runs) if same[0]["weights"] == weights]
            found[weights, size] = max(best)
    return found


def split(bench):
    """One worker, one job at a time, each with a change of state; the parent has 100 MB."""
    table = bench.table(25)
    for mode in MODES:
        table.add(mode, bench.pool(mode, 1, 100, extra=["--change"]), 40 if mode == "fork" else 500)
    return table.measure()


# --- other tools that run commands ---

def tool_argv(top, tool, parallel, jobs):
    path = f"{top}/{tool}-{jobs}"
    if tool == "xargs":
        builds.write(path, "".join(f"{i}\n" for i in range(jobs)))
        return ["xargs", "-a", path, "-P", str(parallel), "-n", "1", "/bin/true"]
    if tool == "make":
        builds.write(path, f"all: {' '.join(f't{i}' for i in range(jobs))}\n" +
                     "".join(f"t{i}:\n\t@/bin/true\n" for i in range(jobs)))
        return ["make", "-s", "-r", "-f", path, f"-j{parallel}", "all"]
    builds.write(f"{path}.d/build.ninja", "rule t\n  command = /bin/true\n" + "".join(f"build t{i}: t\n" for i in range(jobs)))
    return ["ninja", "--quiet", "-C", f"{path}.d", f"-j{parallel}"]


def tools(bench):
    """Microseconds a job that runs /bin/true: {(tool, parallel): us}."""
    found, jobs = {}, max(200, int(2000 * min(1, bench.scale)))
    with tempfile.TemporaryDirectory(prefix="millrace-question-") as top:
        table = bench.table(30)
        for parallel in [1, 2, 4]:
            for mode in ["pool", "fork"]:
                table.add((mode, parallel), bench.pool(mode, parallel, 0, extra=["--exec"]), 100, most=4 * jobs)
        ours = table.measure()
        for _ in range(bench.rounds):
            for tool in filter(shutil.which, ["ninja", "make", "xargs"]):
                for parallel in [1, 2, 4]:
                    argv = tool_argv(top, tool, parallel, jobs)
                    start = time.perf_counter()
                    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
                    us = (time.perf_counter() - start) * 1e6 / jobs
                    found[tool, parallel] = min(us, found.get((tool, parallel), us))
        found.update({key: result["us_per_job"] for key, result in ours.items()})
    return found


# --- real builds ---

def real_builds(bench, real):
    """[(name, elements, {mode: Build})] of builds.py's projects, and of the one named."""
    program = os.path.join(bench.build, "src", "millrace")
    found = []
    top = tempfile.mkdtemp(prefix="millrace-question-")
    for name, project, count in builds.projects(top, bench.build, bench.scale):
        log(name)
        found.append((name, count, builds.compare(program, top, project, MODES, 4, 2 if bench.scale > 0.5 else 1)))
    if real:
        log("the real one")
        build = builds.real(program, top, *real)
        found.append((f"{os.path.basename(os.path.abspath(real[0]))}: {real[1]}", build.jobs, {"pool": build}))
    # Tens of thousands of small files: nobody waits for that.
    subprocess.Popen(["sh", "-c", 'chmod -R u+rwX "$0"; rm -rf "$0"', top], stderr=subprocess.DEVNULL, start_new_session=True)
    return found


def typical_records(graph):
    """How many elements a build looks at, on average: its build dependencies and what these need at run time."""
    with open(graph, encoding="ascii") as f:
        rows = [line for line in f if not line.startswith("#")][1:]
    build, run = zip(*[[[int(n) for n in part.split()] for part in row.split(";")] for row in rows])
    needs = []  # what comes with an element: itself and its runtime dependencies, all the way
    for e, deps in enumerate(run):
        needs.append({e}.union(*(needs[d] for d in deps)))
    return round(sum(len(set().union(*(needs[d] for d in deps))) for deps in build) / len(build))


def measure(bench, real):
    typical = typical_records(os.path.join(common.TOP, "tests", "sim", "data", "freedesktop-sdk.graph"))
    found = {"typical": typical}
    for name, function in [("heaps", heaps), ("workers", workers), ("windows", windows), ("pinned", pinned), ("lengths", lengths),
                           ("numbers", numbers), ("states", lambda b: states(b, typical)), ("queues", queues), ("deaths", deaths),
                           ("records", records), ("schedules", schedules), ("split", split), ("tools", tools),
                           ("builds", lambda b: real_builds(b, real))]:
        log(name)
        found[name] = function(bench)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("build")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--again", action="store_true", help="write the page anew from what was measured last")
    parser.add_argument("--real", nargs=3, metavar=("PROJECT", "TARGET", "SOURCEDIR"))
    args = parser.parse_args()
    scale = 0.1 if args.quick else args.minutes / 20
    bench = Bench(os.path.abspath(args.build), scale, 2 if args.quick else 3)
    load, started = os.getloadavg()[0], time.monotonic()
    kept = os.path.join(bench.build, "question.pickle")
    if args.again:
        with open(kept, "rb") as f:
            found = pickle.load(f)
    else:
        found = measure(bench, args.real)
        found.update(load=(load, os.getloadavg()[0]), minutes=(time.monotonic() - started) / 60, where=common.machine())
        with open(kept, "wb") as f:
            pickle.dump(found, f)
    where = os.path.join(bench.build, "question") if args.quick else os.path.join(common.TOP, "docs")
    question_page.write(found, where)
    print(os.path.join(where, "does-it-save-time.md"))


if __name__ == "__main__":
    main()
