#!/usr/bin/env python3
"""imports.py BUILD_DIR [--count N] [--bst PATH] [--rounds N] [--note TEXT]: what N imports cost.

First build, nothing-to-do build and show: Millrace and bst 2.8.1 in one run, each with a cache of its own, beside the
floor: a bare two-process loop in C that creates the same files, logs included.  Prints tables: ratios, and where
Millrace's time goes.  Without bst the ratios to it are left out.

Every first build and every floor gets a directory of its own, and nothing is deleted before the end: ext4 does not hand
out an inode again within a minute of its deletion, and looks at each such one in turn, which would multiply the times of
whoever comes next.  Before each run everything is synced, so that nobody pays for what an earlier run wrote.
"""
import argparse
import os
import re
import resource
import subprocess
import tempfile

import common

PHASES = ["Loading elements", "Resolving elements", "Query cache", "Build"]


def cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Tool(common.Tool):
    def run(self, *words):
        os.sync()
        return super().run(*words)

    def first(self):
        self.new_cache()
        return self.run("build", "all.bst")

    def measure(self, rounds):
        """What is done again and again on the last cache."""
        return {
            "build, nothing to do": [self.run("build", "all.bst") for _ in range(rounds)],
            "show with keys": [self.run("show", "--deps", "all", "--format", "%{name} %{full-key}", "all.bst")
                               for _ in range(rounds)],
            "show with states": [self.run("show", "--deps", "all", "--format", "%{name} %{state}", "all.bst")
                                 for _ in range(rounds)],
        }


class Floor:
    """One run of the bare loop over what is in a cache."""

    def __init__(self, build, cache, target):
        os.sync()
        before = cpu()
        out = subprocess.run([f"{build}/bench/floor_files", cache, target], check=True, capture_output=True).stdout.split()
        self.cpu = cpu() - before  # reading the files beforehand included
        self.files, self.seconds = int(out[0]), int(out[2]) / 1e6


def phases(tool):
    """Seconds of the main process's activities in one first and one nothing-to-do build, from its own messages."""
    found = []
    tool.new_cache()
    tool.config = tool.write_config(f"{tool.top}/timed.conf", 'logging:\n  message-format: "[%{elapsed-us}] %{action} %{message}"\n')
    for _ in range(2):
        run = tool.run("build", "all.bst")
        text = run.stderr.decode(errors="replace")
        times = {}
        for line in text.splitlines():
            match = re.match(r"\[(\d\d):(\d\d):(\d\d)\.(\d+)\] SUCCESS (.*)", line)
            if match and match[5] in PHASES:
                h, m, s, us = (int(part) for part in match.groups()[:4])
                times[match[5]] = h * 3600 + m * 60 + s + us / 1e6
        found.append((times, run.seconds))
    return found


def print_phases(found):
    rows = []
    for name in PHASES:
        rows.append([name if name != "Build" else "Build: jobs", *(
            common.seconds(times[name] - (sum(times[p] for p in PHASES[:-1]) if name == "Build" else 0)) if name in times else "-"
            for times, _ in found)])
    rows.append(["before, between, after", *(common.seconds(max(whole - times.get("Build", 0), 0)) for times, whole in found)])
    print(common.table(["where the time goes", "first build", "nothing to do"], rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bst")
    parser.add_argument("--note", help="printed with the result, such as what else ran on the machine")
    args = parser.parse_args()
    bst = common.find_bst(args.bst)
    build = os.path.abspath(args.build)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as top:
        project = f"{top}/project"
        subprocess.run([f"{common.HERE}/gen-imports.py", project, str(args.count)], check=True)
        ours = Tool("millrace", f"{build}/src/millrace", top, project)
        first, floors = [], []
        for i in range(args.rounds):  # by turns: both meet the same weather
            first.append(ours.first())
            floors.append(Floor(build, ours.cache, f"{top}/floor-{i}"))
        mine = {"first build": first, **ours.measure(2 * args.rounds + 1)}
        peer = {}
        if bst:
            theirs = Tool("bst", bst, top, project)
            peer = {"first build": [theirs.first()], **theirs.measure(1)}
        rows = []
        for what, runs in mine.items():
            us, other = common.median(runs), common.median(peer[what]) if peer else None
            rows.append([what, common.seconds(us), common.seconds(min(run.cpu for run in runs)),
                         common.seconds(other) if peer else "-", f"{other / us:.0f}x" if peer else "-",
                         f"{max(r.peak_kib for r in runs) / 1024:.0f} MB",
                         f"{max(r.peak_kib for r in peer[what]) / 1024:.0f} MB" if peer else "-"])
        ratios = sorted(run.seconds / floor.seconds for run, floor in zip(first, floors))
        cpus = sorted(run.cpu / floor.cpu for run, floor in zip(first, floors))
        if args.note:
            print(args.note + "\n")
        print(f"{args.count} imports; the same {floors[-1].files} files made by a bare two-process loop: "
              f"{common.median(floors):.3f} s; first build is {ratios[len(ratios) // 2]:.2f}x that (median of {args.rounds} "
              f"pairs; {cpus[len(cpus) // 2]:.2f}x its processor time)\n")
        print(common.table(["what", "Millrace", "processor", "bst 2.8.1", "faster", "memory", "bst's"], rows) + "\n")
        print_phases(phases(ours))


main()
