#!/usr/bin/env python3
"""pool.py BUILD_DIR [--quick]: does a small number of long-lived workers save time?  Empty jobs through the shipping
scheduler, pool, wire and state, against fork-per-job, inline, the bare sockets, and Python's multiprocessing; then small
real builds (builds.py).

Writes docs/results/pool.md and builds.md and their charts.  Everything in one run on one machine: read the ratios.
"""
import argparse
import json
import os
import subprocess
import sys

import builds
import chart
import common

HEAPS = [10, 100, 500]
WORKERS = [1, 2, 4, 8]
FLOOR, POOL, FORK, INLINE, PY_POOL, PY_FORK = "socket", "pool", "fork", "inline", "python pool", "python process"
NAMES = {FLOOR: "bare sockets", POOL: "pool", FORK: "fork per job", INLINE: "inline", PY_POOL: "Python Pool",
         PY_FORK: "Python Process"}
COLOR = {POOL: 0, FORK: 1, PY_FORK: 2, PY_POOL: 3, FLOOR: 4}  # of chart.COLORS
# How many jobs make a cell long enough to measure and short enough to wait for.
JOBS = {FLOOR: 60000, POOL: 60000, INLINE: 200000, FORK: 1500, PY_POOL: 8000, PY_FORK: 200}


class Bench:
    def __init__(self, build, quick):
        self.program = os.path.join(build, "bench", "bench_pool")
        self.quick = quick

    def cell(self, mode, workers=1, heap=0, dirty=0, window=1, change=False):
        jobs = JOBS[mode] // (4 if self.quick else 1)
        if mode == FORK and heap > 100:
            jobs //= 4
        argv = [self.program, mode] if " " not in mode else [
            sys.executable, os.path.join(common.HERE, "bench_pool.py"), mode.split()[1]]
        argv += ["--workers", str(workers), "--jobs", str(jobs), "--heap", str(heap), "--dirty", str(dirty)]
        if " " not in mode:
            argv += ["--window", str(window)] + (["--change"] if change else [])
        runs = []
        for _ in range(2 if self.quick else 5):
            out = subprocess.run(argv, capture_output=True, check=True)
            runs.append(json.loads(out.stdout))
        print(".", end="", flush=True)
        return min(runs, key=lambda run: run["us_per_job"])  # whatever else ran only ever adds


def us(run):
    return f"{run['us_per_job']:.1f}" if run else "-"


def cpu(run):
    return f"{run['parent_cpu_us'] + run['worker_cpu_us']:.1f}"


def ratio(run, base):
    return f"{run['us_per_job'] / base['us_per_job']:.2f}x"


def heap_table(bench):
    modes = [FLOOR, POOL, FORK, INLINE, PY_POOL, PY_FORK]
    cells = {(mode, heap): bench.cell(mode, 1, heap, heap // 10) for heap in HEAPS for mode in modes}
    rows = [[NAMES[mode]] + [us(cells[mode, heap]) for heap in HEAPS] +
            [ratio(cells[mode, 100], cells[POOL, 100])] for mode in modes]
    text = common.table(["us per job, one worker"] + [f"parent of {heap} MB" for heap in HEAPS] + ["against the pool, 100 MB"],
                        rows)
    picture = chart.lines("What one empty job costs", "microseconds from dispatch to result, one worker; the parent writes "
                          "to a tenth of its memory", "memory of the parent, MB", HEAPS,
                          [(NAMES[mode], [cells[mode, heap]["us_per_job"] for heap in HEAPS], COLOR[mode])
                           for mode in [POOL, FORK, PY_FORK, PY_POOL, FLOOR]])
    return text, picture, cells


def worker_table(bench):
    modes = [FLOOR, POOL, FORK, PY_POOL]
    cells = {(mode, workers): bench.cell(mode, workers, 100, 10) for workers in WORKERS for mode in modes}
    rows = [[NAMES[mode]] + [f"{cells[mode, workers]['jobs_per_s']:,}" for workers in WORKERS] for mode in modes]
    rows.append(["pool against bare sockets"] + [ratio(cells[POOL, w], cells[FLOOR, w]) for w in WORKERS])
    rows.append(["fork per job against pool"] + [ratio(cells[FORK, w], cells[POOL, w]) for w in WORKERS])
    text = common.table(["jobs per second, parent of 100 MB"] + [f"{w} worker{'s' * (w > 1)}" for w in WORKERS], rows)
    picture = chart.lines("Empty jobs per second", "a parent of 100 MB that writes to a tenth of it", "workers", WORKERS,
                          [(NAMES[mode], [cells[mode, w]["jobs_per_s"] for w in WORKERS], COLOR[mode])
                           for mode in [POOL, FORK, PY_POOL, FLOOR]])
    return text, picture, cells


def window_table(bench):
    rows = []
    for window in [1, 2, 4, 8]:
        floor, pool = bench.cell(FLOOR, 1, window=window), bench.cell(POOL, 1, window=window)
        change = bench.cell(POOL, 1, window=window, change=True)
        rows.append([window, us(floor), us(pool), ratio(pool, floor), us(change), f"{pool['parent_cpu_us']:.2f}",
                     f"{pool['wire_bytes_per_job']:.0f}", f"{change['journal_bytes_per_job']:.0f}"])
    return common.table(["jobs a worker may hold", "bare sockets, us", "pool, us", "pool / bare", "with a state change, us",
                         "parent's CPU, us", "bytes on the wire", "bytes in the journal"], rows)


def verdict(heaps, workers):
    pool, fork, floor = (heaps[mode, 100] for mode in (POOL, FORK, FLOOR))
    return (f"An empty job through the pool takes {ratio(pool, floor)} the bare round trip of the same datagrams, and a "
            f"{fork['us_per_job'] / pool['us_per_job']:.0f}th of forking a process for it from a parent of 100 MB "
            f"({us(pool)} against {us(fork)} us).  Forked for each job, 1,000 jobs cost "
            f"{(fork['us_per_job'] - pool['us_per_job']) / 1000:.2f} s more than in the pool; in Python "
            f"{(heaps[PY_FORK, 100]['us_per_job'] - pool['us_per_job']) / 1000:.1f} s more.")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    bench = Bench(os.path.abspath(args.build), args.quick)
    where = common.machine()
    heap_text, heap_svg, heaps = heap_table(bench)
    worker_text, worker_svg, workers = worker_table(bench)
    window_text = window_table(bench)
    print()
    common.write_result("pool-heap.svg", heap_svg)
    common.write_result("pool-workers.svg", worker_svg)
    text = "\n\n".join([
        "# Empty jobs: pool, fork per job, inline",
        f"Made by `bench/pool.py BUILD_DIR` ({where}).  Jobs go through the shipping scheduler, pool, wire and state; "
        "\"bare sockets\" are the same datagrams between a loop of send and recv and children that only answer.  The parent "
        "goes on writing to a tenth of its memory while jobs run, all of it once in every hundred jobs.  Each cell is the best of several runs.",
        verdict(heaps, workers), heap_text, "![cost of one job](pool-heap.svg)", worker_text,
        "![jobs per second](pool-workers.svg)", "Several tiny jobs may wait in one worker (`window`); builds never do:",
        window_text]) + "\n"
    common.write_result("pool.md", text)
    print(text)
    print(builds.report(args.build, args.quick, common.find_bst()))


main()
