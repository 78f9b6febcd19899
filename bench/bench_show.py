#!/usr/bin/env python3
"""bench_show.py BUILD_DIR [--project DIR --targets FILE] [-o NAME VALUE]... [--bst PATH] [--rounds N] [--imports N]
[--sizes N,N,...] [--write FILE]: how long `show` with keys takes.

Millrace and bst 2.8.1 in one run, each with a cache directory of its own:
  the project at DIR (a copy is made), all targets of FILE: caches warm, cold (no parsed files, no digests), after one
  element was edited, after project.conf was edited, with another value of an option; peak memory; where the time goes
  N (3,000) imports (gen-imports.py)
  synthetic graphs (gen-graph.py) of the given sizes, Millrace alone: time and memory per element
bst is run once for each row, Millrace --rounds times (median).  Files count as just changed for a moment after they
were written, so each edit is followed by a pause, as between two commands of a person.

--write puts the tables, with what they mean, into FILE (docs/results/show.md) as well.
"""
import argparse
import os
import re
import shutil
import subprocess
import tempfile
import time

import common

HEAD = """# How long `show` takes

Made by `bench/bench_show.py BUILD_DIR --project DIR --targets FILE -o NAME VALUE --other NAME VALUE --write docs/results/show.md`
({cpus} processors, Linux {kernel}, {date}; load {load:.1f} at the end: with more than one per processor read ratios, not times).
Millrace and bst 2.8.1 run in one go, each with a cache directory of its own, and every key is compared. No keys and no output
are kept from run to run; parsed files and digests of local files are, by what `stat` says of them.

"""
TAIL = """## How to read it

- **What an edit costs.** Two junctions of freedesktop-sdk (`cross-compilers/`) take the project's own directories as local
  sources. bst stages two copies of 2,000 files after every edit; here such junctions are read in place
  (`src/project/view.c`), so an edit costs the parsing of what was edited, in each of the three projects, and one look at the
  directories of local sources in which it lies.
- **Two threads.** Keys are computed beside composition by a second thread (`src/keys/team.c`); what `--stats` calls "keys" is
  what was left when the last element was composed. Without an image of parsed files a second thread parses ahead
  (`src/yaml/ahead.c`). On one processor, or a busy machine, both gains go.
- **What is left of a warm run** of freedesktop-sdk, in instructions of the first thread (148 million): 83% are composition
  (a sixth of it variables), 14% finding files and dependencies, 2% order. The second thread hashes 25 MB for keys, 14 ms of a
  processor with SHA instructions. In the kernel: 2,400 calls of `stat`, and pages.
- **Graphs.** The last columns should be the same for every size: time and memory per element. The first sizes carry the
  start of the program; the largest waits for the disk when cold (a million files).
"""
FORMAT = "%{name} %{full-key}"
SETTLE_S = 0.2


class Tool:
    def __init__(self, program, top, name, options):
        self.program, self.cache, self.options = program, f"{top}/cache-{name}", options
        self.config = f"{top}/{name}.conf"
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"cachedir: {self.cache}\n")

    def words(self, targets, options=None, first=()):
        words = [self.program, *first, "-c", self.config, "--no-interactive"]
        for name, value in {**self.options, **(options or {})}.items():
            words += ["-o", name, value]
        return words + ["show", "--deps", "all", "--format", FORMAT, *targets]

    def show(self, project, targets, options=None):
        return common.Run(self.words(targets, options), cwd=project).must()

    def keys(self, project, targets, options=None):
        out = common.Run(self.words(targets, options), cwd=project, keep_output=True).must().stdout
        return sorted(out.split(b"\n"))


def append(path, text):
    with open(path, "a", encoding="utf-8") as f:
        f.write(text)
    time.sleep(SETTLE_S)


class Project:
    """One project under both tools: rows of a table."""

    def __init__(self, directory, targets, ours, theirs, rounds):
        self.directory, self.targets, self.ours, self.theirs, self.rounds = directory, targets, ours, theirs, rounds
        self.rows, self.same = [], True

    def row(self, what, before=None, options=None):
        runs = []
        for i in range(self.rounds):
            if before:
                before(i)
            runs.append(self.ours.show(self.directory, self.targets, options))
        us, peer = common.median(runs), None
        if self.theirs:
            peer = self.theirs.show(self.directory, self.targets, options)
            self.same &= (self.ours.keys(self.directory, self.targets, options) ==
                          self.theirs.keys(self.directory, self.targets, options))
        memory = max(run.peak_kib for run in runs)
        self.rows.append([what, f"{us * 1e3:.1f} ms", common.seconds(peer.seconds) if peer else "-",
                          f"{peer.seconds / us:.0f}x" if peer else "-", f"{memory / 1024:.1f} MB",
                          f"{peer.peak_kib / 1024:.0f} MB" if peer else "-"])

    def table(self):
        said = "every key equal in every row" if self.same else "KEYS DIFFER"
        table = common.table(["show --deps all", "Millrace", "bst 2.8.1", "faster", "memory", "bst's"], self.rows)
        return table + (f"\n\nCompared with bst: {said}.\n" if self.theirs else "\n")


def where(tool, project, targets):
    """The program's own account of one warm run."""
    run = common.Run(tool.words(targets, first=["--stats"]), cwd=project, keep_output=True).must()
    lines = run.stderr.decode().split("\n")
    return "\n".join(line.strip() for line in lines if re.match(r" +(\w+ +[\d.]+ ms|parsing files)", line))


def real_project(args, top, ours, theirs):
    project = f"{top}/project"
    shutil.copytree(args.project, project, symlinks=True)
    with open(args.targets, encoding="utf-8") as f:
        targets = f.read().split()
    bench = Project(project, targets, ours, theirs, args.rounds)
    edited = next(t for t in targets if os.path.exists(f"{project}/elements/{t}"))
    time.sleep(SETTLE_S)
    ours.show(project, targets)
    bench.row("nothing changed, caches warm")
    bench.row("caches cold", before=lambda i: common.drop(ours.cache))
    ours.show(project, targets)
    bench.row("one element edited", before=lambda i: append(f"{project}/elements/{edited}", f"# edit {i}\n"))
    ours.show(project, targets)
    bench.row("project.conf edited", before=lambda i: append(f"{project}/project.conf", f"# edit {i}\n"))
    if args.other:
        bench.row(f"option {args.other[0]} {args.other[1]}", options={args.other[0]: args.other[1]})
    ours.show(project, targets)
    return (f"## {os.path.basename(os.path.abspath(args.project))}, {len(targets)} targets\n\n{bench.table()}\n"
            f"Where the time of a warm run goes:\n\n```\n{where(ours, project, targets)}\n```\n")


def imports(args, top, ours, theirs):
    project = f"{top}/imports"
    subprocess.run([f"{common.HERE}/gen-imports.py", project, str(args.imports)], check=True)
    time.sleep(SETTLE_S)
    bench = Project(project, ["all.bst"], ours, theirs, args.rounds)
    ours.show(project, ["all.bst"])
    bench.row(f"{args.imports} imports, caches warm")
    bench.row(f"{args.imports} imports, caches cold", before=lambda i: common.drop(ours.cache))
    return f"## {args.imports} imports\n\n{bench.table()}"


def linearity(args, top, ours):
    rows = []
    for size in args.sizes:
        project = f"{top}/graph-{size}"
        subprocess.run([f"{common.HERE}/gen-graph.py", project, str(size)], check=True)
        time.sleep(SETTLE_S)
        common.drop(ours.cache)
        cold = ours.show(project, ["all.bst"])
        os.sync()  # a warm run need not wait for the disk to take what the cold one has written
        warm = [ours.show(project, ["all.bst"]) for _ in range(args.rounds)]
        seconds, kib = common.median(warm), max(run.peak_kib for run in warm)
        rows.append([f"{size:,}", common.seconds(cold.seconds), f"{cold.seconds / size * 1e6:.1f} us",
                     common.seconds(seconds), f"{seconds / size * 1e6:.1f} us", f"{kib / 1024:.0f} MB",
                     f"{kib * 1024 / size / 1000:.2f} KB"])  # the project stays: ext4 would stumble over its inodes (imports.py)
    return "## Synthetic graphs\n\n" + common.table(
        ["elements", "cold", "each", "warm", "each", "peak memory", "each"], rows) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--project")
    parser.add_argument("--targets")
    parser.add_argument("-o", nargs=2, action="append", default=[], dest="options")
    parser.add_argument("--other", nargs=2, help="an option and another value of it")
    parser.add_argument("--bst")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--imports", type=int, default=3000)
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",") if n], default=[1000, 10000])
    parser.add_argument("--write", metavar="FILE")
    args = parser.parse_args()
    parts = []

    def say(part):
        parts.append(part)
        print(part, flush=True)

    bst = common.find_bst(args.bst)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as top:
        program = os.path.abspath(f"{args.build}/src/millrace")
        plain = Tool(program, top, "millrace", {})
        if args.project:
            options = dict(args.options)
            say(real_project(args, top, Tool(program, top, "millrace", options),
                             Tool(bst, top, "bst", options) if bst else None))
        if args.imports:
            say(imports(args, top, plain, Tool(bst, top, "bst", {}) if bst else None))
        if args.sizes:
            say(linearity(args, top, plain))
    if args.write:
        with open(args.write, "w", encoding="utf-8") as f:
            f.write(HEAD.format(cpus=os.cpu_count(), kernel=os.uname().release, date=time.strftime("%Y-%m-%d"),
                                load=os.getloadavg()[0]) + "\n".join(parts) + "\n" + TAIL)


main()
