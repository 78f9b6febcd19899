#!/usr/bin/env python3
"""stack.py BUILD_DIR --project DIR [--element NAME] [--bst PATH] [--rounds N] [--builders N] [--max-jobs N] [--sources DIR]
         [--settle SECONDS] [--write FILE]

A whole clean build of a real software stack by Millrace and by bst 2.8.1, in turn, each first as often as the other, each
time with an empty cache (no artifacts, no layers, no history of durations), the same builders and max-jobs and without Millrace's
budget of compilers; sources are fetched before the measuring begins.  After each pair keys and digests of all elements are compared,
and a build with nothing to do is timed.

Nothing is deleted before the end, and between two builds there is a pause: ext4 looks at each inode that was deleted within the
last five minutes before it makes a file beside it, and builds delete what they had staged.
"""
import os
import re
import statistics
import sys
import time

import common

IDLE_RUNS = 9


class Runs:
    """What was found about one tool."""

    def __init__(self, tool, args):
        self.tool, self.args = tool, args
        self.builds, self.idle, self.rest, self.own = [], [], [], []

    def build(self):
        self.tool.new_cache()
        os.sync()
        time.sleep(self.args.settle)
        run = self.tool.run(*(["--jobs", "0", "--stats"] if self.tool.name == "millrace" else []), "build", self.args.element)
        self.builds.append(run.seconds)
        text = run.stderr.decode(errors="replace")
        for into, pattern in ((self.rest, r"builds: ([\d.]+) % of their time"), (self.own, r"([\d.]+) s of processor time in this process")):
            into += [float(found) for found in re.findall(pattern, text)]
        print(f"{self.tool.name}: {run.seconds:.1f} s", file=sys.stderr, flush=True)

    def do_nothing(self):
        self.idle += [self.tool.run("build", self.args.element).seconds for _ in range(IDLE_RUNS)]

    def show(self):
        run = self.tool.run("show", "--deps", "all", "--format", "%{name} %{full-key} %{artifact-cas-digest} %{state}",
                            self.args.element, keep_output=True)
        return sorted(run.stdout.decode().splitlines())


def measure(tools, args):
    """Returns how many elements there were, all of the same keys and digests."""
    for i in range(args.rounds):
        for tool in tools if i % 2 == 0 else tools[::-1]:
            tool.build()
        shown = [tool.show() for tool in tools]
        if any(other != shown[0] for other in shown):
            raise SystemExit("stack.py: keys or digests differ:\n" + "\n".join(sorted(set(shown[0]) ^ set(shown[-1]))))
        for tool in tools:
            tool.do_nothing()
    return len(shown[0])


def row(what, ours, peer):
    def text(values):
        return f"{common.seconds(statistics.median(values))} ({', '.join(f'{v:.3g}' for v in sorted(values))})" if values else "-"

    ratio = statistics.median(ours) / statistics.median(peer) if peer else None
    return [what, text(ours), text(peer), "-" if ratio is None else f"{ratio:.2f}x" if ratio > 0.1 else f"1/{1 / ratio:.0f}"]


def report(tools, count):
    ours, peer = tools[0], tools[1] if len(tools) > 1 else None
    rows = [row("whole build", ours.builds, peer.builds if peer else []),
            row("nothing to do", ours.idle, peer.idle if peer else [])]
    rows[1][1:3] = [re.sub(r" \(.*", "", cell) for cell in rows[1][1:3]]
    text = common.table(["what", "Millrace", "bst 2.8.1", "Millrace by bst"], rows) + "\n\n"
    if peer:
        text += f"All {count} elements have the same keys and artifact digests.\n"
    if ours.rest:
        text += (f"Of the time of Millrace's builds {statistics.median(ours.rest):.2f} % was not their commands' "
                 f"({', '.join(f'{v:.2f}' for v in sorted(ours.rest))}); the parent took {statistics.median(ours.own):.2f} s of "
                 f"processor time, {100 * statistics.median(ours.own) / statistics.median(ours.builds):.2f} % of the whole.\n")
    return text


def main():
    parser = common.tool_arguments("all.bst", rounds=3, settle=60)
    parser.add_argument("--builders", type=int, default=2)
    parser.add_argument("--max-jobs", type=int, default=2)
    args = parser.parse_args()
    note = common.machine()
    settings = f"scheduler:\n  builders: {args.builders}\nbuild:\n  max-jobs: {args.max_jobs}\n"
    with common.tools(args, settings, deps=["--deps", "all"]) as tools:
        found = [Runs(tool, args) for tool in tools]
        text = report(found, measure(found, args))
    if args.write:
        common.write_result(args.write, f"# A whole software stack\n\n`bench/stack.py BUILD_DIR --project DIR --element {args.element} --builders "
                            f"{args.builders} --max-jobs {args.max_jobs}`: {note}.\nMedians; in brackets every run.\n\n{text}")
    print(text)


main()
