#!/usr/bin/env python3
"""jobs.py BUILD_DIR [--rounds N] [--real PROJECT SOURCEDIR TARGET...]: what one budget of processes (--jobs) does to builds side by
side.

Two measurements, each without a budget (every make for itself) and with one of as many tokens as there are processors, in
turns.  A made project: four builds, each a make of eight steps that keep a processor busy, and how many steps ran at a time.
Targets of a real project, whose sources are downloaded: with as many builders as processors and max-jobs alike, and with four
builders of four jobs.  Writes docs/results/jobs.md.  On a machine with other work to do, more processes get more of it: read
processor time and switches there, not wall time.
"""
import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import builds
import common

PROGRAMS = ["make", "sh", "date", "mkdir", "cat"]
ELEMENT = """kind: manual
build-depends: [base.bst]
environment: {MAKEFLAGS: "-j%{max-jobs}"}
environment-nocache: [MAKEFLAGS]
sources: [{kind: local, path: files}]
variables: {strip-binaries: ""}
config:
  build-commands: [make]
  install-commands: ["mkdir -p %{install-root}", "cat *.begun *.ended > %{install-root}/NAME"]
"""
MAKEFILE = """STEPS = %s
all: $(STEPS)
$(STEPS):
\t@date +'b %%s%%N' > $@.begun; i=0; while [ $$i -lt 200000 ]; do i=$$((i + 1)); done; date +'e %%s%%N' > $@.ended
"""


def make_project(top, count, steps):
    for name in PROGRAMS:
        builds.copy_program(f"{top}/base", shutil.which(name), f"/bin/{name}")
    builds.write(f"{top}/project.conf", "name: jobs\nmin-version: 2.0\nelement-path: elements\n")
    builds.write(f"{top}/elements/base.bst", "kind: import\nsources: [{kind: local, path: base}]\n")
    builds.write(f"{top}/files/Makefile", MAKEFILE % " ".join(str(i) for i in range(steps)))
    for i in range(count):
        builds.write(f"{top}/elements/b{i}.bst", ELEMENT.replace("NAME", f"b{i}"))
    builds.write(f"{top}/elements/all.bst", f"kind: stack\ndepends: [{', '.join(f'b{i}.bst' for i in range(count))}]\n")


def most_at_a_time(paths):
    events = []
    for path in paths:
        with open(path, encoding="ascii") as f:
            events += [(int(when), 1 if what == "b" else -1) for what, when in map(str.split, f)]
    now = most = 0
    for _, change in sorted(events):
        now += change
        most = max(most, now)
    return most


class Sample:
    """What a run took: seconds, processor time of all its processes, times one was put off its processor for another."""

    def __init__(self, argv, cwd):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"jobs.py: {' '.join(argv)}\n{done.stderr[-3000:]}")
        self.wall = time.monotonic() - start
        self.cpu = sum(after[:2]) - sum(before[:2])
        self.switches = after.ru_nivcsw - before.ru_nivcsw


class Project:
    def __init__(self, program, top, directory, sourcedir, targets):
        builds.write(f"{top}/conf", f"cachedir: {top}/cache\nlogdir: {top}/logs\nsourcedir: {sourcedir}\n")
        self.argv, self.directory, self.targets = [program, "-c", f"{top}/conf", "--no-interactive"], directory, targets

    def millrace(self, *args):
        return Sample([*self.argv, *args], self.directory)

    def prepare(self):
        """All that the targets need is built, and they are not."""
        self.millrace("build", *self.targets)

    def build(self, builders, max_jobs, jobs):
        self.millrace("artifact", "delete", *self.targets)
        return self.millrace("--builders", str(builders), "--max-jobs", str(max_jobs), "--jobs", str(jobs), "build", *self.targets)


def compare(project, builders, max_jobs, cpus, rounds):
    """Samples without a budget and with one, in turns; who begins changes."""
    found = {0: [], cpus: []}
    for number in range(rounds):
        for jobs in sorted(found, reverse=bool(number % 2)):
            found[jobs].append(project.build(builders, max_jobs, jobs))
            print(f"{builders} x {max_jobs}, --jobs {jobs}: {found[jobs][-1].wall:.1f} s", file=sys.stderr, flush=True)
    return found


def row(name, samples):
    middle = [statistics.median(getattr(sample, what) for sample in samples) for what in ("wall", "cpu", "switches")]
    return [name, f"{middle[0]:.1f} s", f"{min(sample.wall for sample in samples):.1f} s", f"{middle[1]:.1f} s", f"{middle[2]:,.0f}"]


def table(found, cpus, extra=None):
    rows = [row("each for itself", found[0]), row(f"one budget of {cpus}", found[cpus])]
    ratio = [f"{statistics.median(getattr(s, what) for s in found[cpus]) / statistics.median(getattr(s, what) for s in found[0]):.2f}x"
             for what in ("wall", "cpu", "switches")]
    least = min(s.wall for s in found[cpus]) / min(s.wall for s in found[0])
    rows.append(["ratio", ratio[0], f"{least:.2f}x", ratio[1], ratio[2]])
    head = ["", "wall, median", "wall, best", "processor time", "involuntary switches"]
    if extra:
        head.append("most steps at a time")
        rows = [line + [value] for line, value in zip(rows, [*extra, ""])]
    return common.table(head, rows)


def made(program, top, cpus, rounds):
    names = [f"b{i}.bst" for i in range(4)]
    make_project(f"{top}/project", 4, 8)
    project = Project(program, top, f"{top}/project", f"{top}/sources", names)
    project.prepare()
    most, found = [], compare(project, 4, 8, cpus, rounds)
    for jobs in (0, cpus):
        project.build(4, 8, jobs)
        common.drop(f"{top}/out")
        for name in names:
            project.millrace("artifact", "checkout", "--force", "--directory", f"{top}/out", name)
        most.append(most_at_a_time([f"{top}/out/b{i}" for i in range(4)]))
    return table(found, cpus, most)


def real(program, top, cpus, rounds, directory, sourcedir, *targets):
    project = Project(program, top, directory, sourcedir, list(targets))
    project.prepare()
    parts = [f"## {os.path.basename(os.path.abspath(directory))}: {', '.join(targets)}",
             "What they are built upon is in the cache, they are not."]
    for builders, max_jobs in [(cpus, cpus), (4, 4)]:
        parts += [f"{builders} builders, max-jobs {max_jobs}:", table(compare(project, builders, max_jobs, cpus, rounds), cpus)]
    return parts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--real", nargs="+", metavar="PROJECT SOURCEDIR TARGET")
    args = parser.parse_args()
    program, cpus = os.path.abspath(f"{args.build}/src/millrace"), len(os.sched_getaffinity(0))
    where, top = common.machine(), tempfile.mkdtemp(prefix="bench-jobs-")
    parts = ["# One budget of processes for all builds (`--jobs`)",
             f"Made by `bench/jobs.py BUILD_DIR --real PROJECT SOURCEDIR TARGET...` ({where}; load {os.getloadavg()[0]:.1f} at the beginning). Runs "
             f"without a budget (`--jobs 0`: every make for itself) and with one of as many as there are processors took turns, {args.rounds} each.",
             "What a budget can gain on few processors is what it costs to run more compilers than there are processors: switches, cold "
             "caches, memory; what it must not do is to leave a processor idle.  Processor time tells on a busy machine, too.",
             "## Four makes of eight steps", "Four builders, max-jobs 8; each step counts to 200,000 in a shell:",
             made(program, f"{top}/made", cpus, args.rounds)]
    if args.real:
        parts += real(program, f"{top}/real", cpus, args.rounds, *args.real)
    common.write_result("jobs.md", "\n\n".join(parts) + "\n")
    subprocess.Popen(["sh", "-c", 'chmod -R u+rwX "$0"; rm -rf "$0"', top], stderr=subprocess.DEVNULL, start_new_session=True)
    print("\n\n".join(parts))


main()
