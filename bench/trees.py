#!/usr/bin/env python3
"""trees.py BUILD_DIR --project DIR [--element NAME] [--bst PATH] [--rounds N] [--sources DIR] [--settle SECONDS]
         [--write FILE]

One large tree in and out: first build of an element that brings it (default base/debian.bst, of an archive that is fetched before the
measuring begins), checkout of its artifact, and a build with nothing to do, by Millrace and by bst 2.8.1
in turn, each first as often as the other, with caches of their own; and a bare copy of the checkout (cp -r), for
comparison.

Nothing is deleted before the end, because ext4 looks at each inode that was deleted within the last five minutes before it makes a file
beside it (imports.py); since bst's builds themselves delete what they had staged, all builds come first, and the checkouts
after a pause of that length.  And before each run everything is synced and 1.5 GB of memory are touched and given back: on a virtual machine that
returns freed memory to its host, the first use of a page costs more than copying it.
"""
import argparse
import os
import statistics
import subprocess
import tempfile
import time

import common

WARM_BYTES = 1500 << 20


def warm():
    """In a process of its own, so that all of it is given back."""
    pid = os.fork()
    if pid == 0:
        os._exit(not b"x" * WARM_BYTES)
    os.waitpid(pid, 0)


class Tool:
    def __init__(self, name, program, top, project, sources):
        self.name, self.program, self.top, self.project, self.sources = name, program, top, project, sources
        self.caches = 0
        self.runs = {}
        self.new_cache()

    def new_cache(self):
        self.caches += 1
        cache = self.cache = f"{self.top}/cache-{self.name}-{self.caches}"
        self.config = f"{self.top}/{self.name}.conf"
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"cachedir: {cache}\nlogdir: {cache}/logs\nsourcedir: {self.sources}\n")

    def run(self, what, *words):
        run = common.Run([self.program, "-c", self.config, "--no-interactive", *words], cwd=self.project).must()
        if what:
            self.runs.setdefault(what, []).append(run.seconds)

    def measured(self, what, *words):
        os.sync()
        warm()
        self.run(what, *words)

    def read_store(self):
        """What a tool reads comes from memory, however long ago it was written: this measures the tools, not the disk."""
        for where, _, names in os.walk(f"{self.cache}/cas/objects"):
            for name in names:
                with open(f"{where}/{name}", "rb") as f:
                    while f.read(1 << 20):
                        pass


def cp(source, target):
    os.sync()
    warm()
    return common.Run(["cp", "-r", "--reflink=never", source, target]).must().seconds


def spread(values):
    return f"{common.seconds(statistics.median(values))} ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else common.seconds(values[0])


def measure(tools, top, args):
    floor = []
    orders = [tools if i % 2 == 0 else tools[::-1] for i in range(args.rounds)]
    for order in orders:
        for tool in order:
            tool.new_cache()
            tool.measured("first build", "build", args.element)
    os.sync()
    time.sleep(args.settle)
    for i, order in enumerate(orders):
        for tool in order:
            tool.read_store()
            tool.measured("checkout", "artifact", "checkout", "--directory", f"{top}/out-{tool.name}-{i}", args.element)
        floor.append(cp(f"{top}/out-{tools[0].name}-{i}", f"{top}/copy-{i}"))
    for _ in range(2 * args.rounds + 1):
        for tool in tools:
            tool.run("nothing to do", "build", args.element)
    return floor


def report(tools, floor):
    ours, rows = tools[0], []
    for what, runs in ours.runs.items():
        peer = tools[1].runs[what] if len(tools) > 1 else None
        ratio = f"{statistics.median(peer) / statistics.median(runs):.1f}x" if peer else "-"
        rows.append([what, spread(runs), spread(peer) if peer else "-", ratio])
    rows.append(["bare copy of the checkout (cp -r)", spread(floor), "-", "-"])
    return common.table(["what", "Millrace", "bst 2.8.1", "faster"], rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--project", required=True)
    parser.add_argument("--element", default="base/debian.bst")
    parser.add_argument("--bst")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--sources", help="directory of fetched sources, used by both; default: they are fetched")
    parser.add_argument("--settle", type=float, default=330, help="seconds between builds and checkouts")
    parser.add_argument("--write", help="file below docs/results")
    args = parser.parse_args()
    bst = common.find_bst(args.bst)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-", dir=os.environ.get("BENCH_TMP")) as top:
        sources = os.path.abspath(args.sources) if args.sources else f"{top}/sources"
        tools = [Tool("millrace", os.path.abspath(f"{args.build}/src/millrace"), top, args.project, sources)]
        if bst:
            tools.append(Tool("bst", bst, top, args.project, sources))
        tools[-1].run(None, "source", "fetch", args.element)
        text = report(tools, measure(tools, top, args))
        subprocess.run(["chmod", "-R", "u+rwX", top], check=False)
    if args.write:
        text = (f"# One large tree in and out\n\n`bench/trees.py BUILD_DIR --project DIR --element {args.element}`: {common.machine()}.\n"
                "Medians, least and most; both tools in turn, memory warmed before each run (the script says why).\n\n" + text + "\n")
        common.write_result(args.write, text)
    print(text)


main()
