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
returns freed memory to its host, the first use of a page costs more than copying it.  Before a checkout the tool's objects
are read once, since a kernel that reclaims what lay idle may have dropped them during the pause.
"""
import os
import statistics
import time

import common

WARM_BYTES = 1500 << 20


def warm():
    """In a process of its own, so that all of it is given back."""
    pid = os.fork()
    if pid == 0:
        os._exit(not b"x" * WARM_BYTES)
    os.waitpid(pid, 0)


class Runs:
    """What was found about one tool."""

    def __init__(self, tool):
        self.tool = tool
        self.seconds = {}

    def run(self, what, *words):
        self.seconds.setdefault(what, []).append(self.tool.run(*words).seconds)

    def measured(self, what, *words):
        os.sync()
        warm()
        self.run(what, *words)

    def read_store(self):
        """What a tool reads comes from memory, however long ago it was written: this measures the tools, not the disk."""
        for where, _, names in os.walk(f"{self.tool.cache}/cas/objects"):
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


def measure(tools, args):
    floor = []
    orders = [tools if i % 2 == 0 else tools[::-1] for i in range(args.rounds)]
    for order in orders:
        for runs in order:
            runs.tool.new_cache()
            runs.measured("first build", "build", args.element)
    os.sync()
    time.sleep(args.settle)
    top = tools[0].tool.top
    for i, order in enumerate(orders):
        for runs in order:
            runs.read_store()
            runs.measured("checkout", "artifact", "checkout", "--directory", f"{top}/out-{runs.tool.name}-{i}", args.element)
        floor.append(cp(f"{top}/out-{tools[0].tool.name}-{i}", f"{top}/copy-{i}"))
    for _ in range(2 * args.rounds + 1):
        for runs in tools:
            runs.run("nothing to do", "build", args.element)
    return floor


def report(tools, floor):
    rows = []
    for what, ours in tools[0].seconds.items():
        peer = tools[1].seconds[what] if len(tools) > 1 else None
        ratio = f"{statistics.median(peer) / statistics.median(ours):.1f}x" if peer else "-"
        rows.append([what, spread(ours), spread(peer) if peer else "-", ratio])
    rows.append(["bare copy of the checkout (cp -r)", spread(floor), "-", "-"])
    return common.table(["what", "Millrace", "bst 2.8.1", "faster"], rows)


def main():
    args = common.tool_arguments("base/debian.bst", rounds=4, settle=330).parse_args()
    with common.tools(args) as tools:
        found = [Runs(tool) for tool in tools]
        text = report(found, measure(found, args))
    if args.write:
        text = (f"# One large tree in and out\n\n`bench/trees.py BUILD_DIR --project DIR --element {args.element}`: {common.machine()}.\n"
                "Medians, least and most; both tools in turn, objects read and memory warmed before each run (the script says why).\n\n"
                + text + "\n")
        common.write_result(args.write, text)
    print(text)


main()
