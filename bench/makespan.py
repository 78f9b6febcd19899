#!/usr/bin/env python3
"""makespan.py BUILD_DIR [--quick]: what critical paths from earlier durations are worth against first in, first out.

Three ways: on paper (bench_makespan, virtual time); through scheduler and pool with workers that sleep; and by the whole program,
building a project whose elements sleep, with an empty history of durations and with a full one.  Two real graphs: that of
freedesktop-sdk with drawn durations, and one of a stack of 53 elements with the durations of a clean build
(bench/data/realstack.graph).  Writes docs/results/makespan.md.

makespan.py --record INSPECT HISTORY GRAPH makes such a graph from `millrace inspect --deps all` and a cache's history.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import builds
import common

UNKNOWN_MS = 50  # elements that run no commands have no line in the history


def read_history(path):
    found = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            words = line.rstrip("\n").split(" ", 3)
            if words[0] == "build" and len(words) == 4:
                found[words[3]] = int(words[1])
    return found


def record(inspect, history, graph):
    with open(inspect, encoding="utf-8") as f:
        elements = json.load(f)["elements"]
    durations, number = read_history(history), {element["name"]: i for i, element in enumerate(elements)}
    lines = ["# a stack of upstream sources, without names: build dependencies ; runtime dependencies ; milliseconds of a clean build",
             str(len(elements))]
    for element in elements:
        deps = {kind: sorted(number[dep["name"]] for dep in element["dependencies"] if dep["type"] in (kind, "all"))
                for kind in ("build", "runtime")}
        lines.append(f"{' '.join(map(str, deps['build']))} ; {' '.join(map(str, deps['runtime']))} ; "
                     f"{durations.get(element['name'], UNKNOWN_MS)}")
    builds.write(os.path.abspath(graph), "\n".join(lines) + "\n")


def read_graph(path):
    """[(build dependencies, runtime dependencies, milliseconds)]"""
    with open(path, encoding="ascii") as f:
        rows = [line for line in f if not line.startswith("#")][1:]
    return [tuple([int(n) for n in part.split()] for part in row.split(";")[:2]) + (int(row.split(";")[2]),) for row in rows]


def sleeping_project(top, graph, divisor):
    """Elements that sleep: the target is the graph's last."""
    busybox = shutil.which("busybox")
    if not busybox:
        raise SystemExit("makespan.py: busybox is needed (Debian: busybox-static)")
    os.makedirs(f"{top}/base/bin")
    shutil.copy(busybox, f"{top}/base/bin/busybox")
    for name in ["sh", "mkdir", "sleep"]:
        os.symlink("busybox", f"{top}/base/bin/{name}")
    builds.write(f"{top}/project.conf", "name: sleep\nmin-version: 2.0\nelement-path: elements\n")
    builds.write(f"{top}/elements/base.bst", "kind: import\nsources: [{kind: local, path: base}]\n")
    for i, (build, run, ms) in enumerate(graph):
        deps = "".join(f"- e{dep}.bst\n" for dep in build)
        needs = "".join(f"- e{dep}.bst\n" for dep in run)
        builds.write(f"{top}/elements/e{i}.bst", f"kind: manual\nbuild-depends:\n- base.bst\n{deps}" + (f"runtime-depends:\n{needs}" if needs else "") +
                     "variables: {strip-binaries: ''}\n"
                     f"config:\n  install-commands: ['mkdir -p %{{install-root}}/usr/{i}', 'sleep {ms / 1000 / divisor:.3f}']\n")
    top_elements = set(range(len(graph))) - {dep for build, run, _ in graph for dep in build + run}
    builds.write(f"{top}/elements/all.bst", "kind: stack\ndepends:\n" + "".join(f"- e{i}.bst\n" for i in sorted(top_elements)))


class Program:
    def __init__(self, program, top, project):
        self.argv, self.top, self.project, self.runs = [program], top, project, 0

    def build(self, builders, history):
        """A first build with a cache of its own, and this text in its history.  (seconds, the history afterwards)"""
        self.runs += 1
        cache = f"{self.top}/cache-{self.runs}"
        builds.write(f"{cache}.conf", f"cachedir: {cache}\nlogdir: {cache}-logs\n")
        argv = self.argv + ["-c", f"{cache}.conf", "--no-interactive", "--jobs", "0", "--builders", str(builders), "build"]
        common.Run(argv + ["base.bst"], cwd=self.project).must()
        builds.write(f"{cache}/millrace/history", history)
        run = common.Run(argv + ["all.bst"], cwd=self.project).must()
        with open(f"{cache}/millrace/history", encoding="utf-8") as f:
            return run.seconds, f.read()


def whole_program(build, graph, divisor, builders, rounds):
    """{builders: (without a history, with one)} in seconds, in turns, the best of each."""
    top, found = tempfile.mkdtemp(prefix="bench-makespan-"), {}
    sleeping_project(f"{top}/project", graph, divisor)
    program = Program(f"{build}/src/millrace", top, f"{top}/project")
    _, learned = program.build(8, "millrace history 1\n")
    for count in builders:
        pairs = [(program.build(count, "millrace history 1\n")[0], program.build(count, learned)[0]) for _ in range(rounds)]
        found[count] = tuple(min(pair[i] for pair in pairs) for i in (0, 1))
        print(count, pairs, file=sys.stderr, flush=True)
    subprocess.Popen(["sh", "-c", 'chmod -R u+rwX "$0"; rm -rf "$0"', top], stderr=subprocess.DEVNULL, start_new_session=True)
    return found


def lines(build, *args):
    out = subprocess.run([f"{build}/bench/bench_makespan", *map(str, args)], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def paper_table(rows):
    return common.table(["builders", "first in, first out", "by critical path", "gain", "estimates off by up to 2x", "by number of steps",
                         "no schedule beats"],
                        [[row["builders"]] + [f"{row[name]:,.0f} s" for name in ("fifo_s", "paths_s")] +
                         [f"{100 * (1 - row['paths_s'] / row['fifo_s']):.1f} %"] +
                         [f"{row[name]:,.0f} s" for name in ("rough_paths_s", "steps_s", "bound_s")] for row in rows])


def report(build, quick):
    data = os.path.join(common.HERE, "data", "realstack.graph")
    graph, rounds, few = read_graph(data), 1 if quick else 3, [2, 4, 8]
    # A start-up of some milliseconds an element must stay small against the shortest sleeps that matter.
    run_divisor, program_divisor = (200, 100) if quick else (50, 20)
    sdk = lines(build, os.path.join(common.TOP, "tests", "sim", "data", "freedesktop-sdk.graph"))
    real = lines(build, data, "--seeds", 20)
    runs = lines(build, data, "--run", run_divisor, "--seeds", rounds, *[word for n in few for word in ("--builders", n)])
    program = whole_program(build, graph, program_divisor, few[:2] if quick else few, rounds)
    paper = {row["builders"]: row for row in real}
    text = "\n\n".join([
        "# First in, first out against critical paths",
        f"Made by `bench/makespan.py BUILD_DIR` ({common.machine()}). Virtual time does not depend on the machine; sleeping hardly does.",
        f"## On paper: freedesktop-sdk, {sdk[0]['elements']:,} elements", "Drawn durations (median about 15 s, few very long), mean of 20 draws:",
        paper_table(sdk), f"## On paper: a stack of {len(graph)} elements", "Durations recorded by a clean build "
        f"(`bench/data/realstack.graph`; {sum(ms for *_, ms in graph) / 1000:,.0f} s in all, the longest {max(ms for *_, ms in graph) / 1000:.0f} s); "
        "the rough estimates are a mean of 20 draws:", paper_table(real),
        "## By run: scheduler, pool, sleeping workers",
        f"The same stack, durations divided by {run_divisor}, wall time multiplied by it again; the orders in turns, the best of {rounds}:",
        common.table(["builders", "first in, first out", "by critical path", "gain", "on paper"],
                     [[row["builders"], f"{row['fifo_s']:,.0f} s", f"{row['paths_s']:,.0f} s",
                       f"{100 * (1 - row['paths_s'] / row['fifo_s']):.1f} %",
                       f"{paper[row['builders']]['fifo_s']:,.0f} s, {paper[row['builders']]['paths_s']:,.0f} s"] for row in runs]),
        "## By run: the whole program",
        f"A project of the same graph whose elements sleep in sandboxes (`--jobs 0`: who sleeps needs no processor), durations divided by {program_divisor}; a first build each time, with an empty history (so "
        "that the number of steps decides) and with the one that an earlier build left; in turns, the best of "
        f"{rounds}. Each element costs some milliseconds of its own besides, with eight builders on {os.cpu_count()} processors more:",
        common.table(["builders", "empty history", "with history", "gain", "on paper, divided"],
                     [[count, f"{empty:.1f} s", f"{full:.1f} s", f"{100 * (1 - full / empty):.1f} %",
                       f"{paper[count]['steps_s'] / program_divisor:.1f} s, {paper[count]['paths_s'] / program_divisor:.1f} s"]
                      for count, (empty, full) in program.items()])]) + "\n"
    if not quick:
        common.write_result("makespan.md", text)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("build", nargs="?")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--record", nargs=3, metavar=("INSPECT", "HISTORY", "GRAPH"))
    args = parser.parse_args()
    if args.record:
        record(*args.record)
    elif args.build:
        print(report(os.path.abspath(args.build), args.quick))
    else:
        parser.error("which build directory?")


main()
