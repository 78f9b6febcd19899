#!/usr/bin/env python3
"""jobs.py BUILD_DIR [--builds N] [--steps N]: what one budget of processes (--jobs) does to builds side by side.

N builds, each a make of N steps that keep a processor busy, under `--builders N`: first each make with a -j of its own, then
all drawing on one budget of as many tokens as there are processors.  Prints the wall and processor time of each, and how many steps ran at a
time.  Only on a machine with nothing else to do does the wall time say anything: elsewhere more processes get more of it.  Needs make and busybox; sandboxes are made of the host's own programs.
"""
import argparse
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time

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


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def make_project(top, builds, steps):
    for name in PROGRAMS:
        program = os.path.realpath(shutil.which(name))
        libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        for source, target in [(program, f"/bin/{name}")] + [(lib, lib) for lib in re.findall(r"/\S+", libraries)]:
            where = f"{top}/base{target}"
            os.makedirs(os.path.dirname(where), exist_ok=True)
            shutil.copy(source, where)
    write(f"{top}/project.conf", "name: jobs\nmin-version: 2.0\nelement-path: elements\n")
    write(f"{top}/elements/base.bst", "kind: import\nsources: [{kind: local, path: base}]\n")
    write(f"{top}/files/Makefile", MAKEFILE % " ".join(str(i) for i in range(steps)))
    for i in range(builds):
        write(f"{top}/elements/b{i}.bst", ELEMENT.replace("NAME", f"b{i}"))
    write(f"{top}/elements/all.bst", f"kind: stack\ndepends: [{', '.join(f'b{i}.bst' for i in range(builds))}]\n")


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


def run(program, top, project, builds, jobs):
    shutil.rmtree(f"{top}/cache/artifacts", ignore_errors=True)
    shutil.rmtree(f"{top}/out", ignore_errors=True)
    common = [program, "-c", f"{top}/conf", "--no-interactive"]
    subprocess.run([*common, "build", "base.bst"], cwd=project, check=True, capture_output=True)
    start, before = time.monotonic(), sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    subprocess.run([*common, "--builders", str(builds), "--max-jobs", "8", *jobs, "build", "all.bst"], cwd=project, check=True,
                   capture_output=True)
    took = time.monotonic() - start
    used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    subprocess.run([*common, "artifact", "checkout", "--directory", f"{top}/out", "all.bst"], cwd=project, check=True,
                   capture_output=True)
    return took, used, most_at_a_time([f"{top}/out/b{i}" for i in range(builds)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--builds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8)
    args = parser.parse_args()
    program = os.path.abspath(f"{args.build}/src/millrace")
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as top:
        make_project(f"{top}/project", args.builds, args.steps)
        write(f"{top}/conf", f"cachedir: {top}/cache\n")
        for name, jobs in (("each for itself", ["--jobs", "0"]), ("one budget", [])):
            took, used, most = run(program, top, f"{top}/project", args.builds, jobs)
            print(f"{name:16} {took:6.2f} s, {used:6.2f} s of processor, at most {most} steps at a time", flush=True)


main()
