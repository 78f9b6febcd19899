#!/usr/bin/env python3
"""builds.py BUILD_DIR [--quick] [--bst PATH]: small real builds under pool, fork per job and inline, and by bst 2.8.1.

Two projects.  Scripts: elements that each run one shell command in a sandbox of busybox.  Imports: elements that each
bring one file, without a sandbox, in projects of growing size, whose graph makes the parent's memory grow.  Writes docs/results/builds.md and a chart beside it.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import chart
import common

MODES = ["pool", "fork", "inline"]
BUILDERS = [1, 2, 4, 8]
IMPORTS = [1000, 4000]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def scripts_project(top, count):
    """COUNT scripts over a base of busybox; the target is all.bst."""
    busybox = shutil.which("busybox")
    if not busybox:
        raise SystemExit("builds.py: busybox is needed (Debian: busybox-static)")
    write(f"{top}/project.conf", "name: scripts\nmin-version: 2.0\nelement-path: elements\n")
    os.makedirs(f"{top}/base/bin")
    shutil.copy(busybox, f"{top}/base/bin/busybox")
    for name in ["sh", "mkdir", "cp", "echo"]:
        os.symlink("busybox", f"{top}/base/bin/{name}")
    write(f"{top}/elements/base.bst", "kind: import\nsources:\n- kind: local\n  path: base\n")
    for i in range(count):
        write(f"{top}/elements/s{i:04}.bst", "kind: script\nbuild-depends:\n- base.bst\nconfig:\n  commands:\n  - |\n"
              f"    mkdir -p %{{install-root}}/usr/share && echo {i} > %{{install-root}}/usr/share/{i}\n")
    write(f"{top}/elements/all.bst", "kind: stack\ndepends:\n" + "".join(f"- s{i:04}.bst\n" for i in range(count)))


def imports_project(top, count):
    subprocess.run([sys.executable, os.path.join(common.HERE, "gen-imports.py"), top, str(count)], check=True)


class Tool:
    """One program on one project; each run gets a cache of its own, since a deleted one slows the next (see imports.py)."""

    def __init__(self, program, top, project, extra=()):
        self.program, self.top, self.project, self.extra, self.runs = program, top, project, list(extra), 0

    def build(self, builders):
        self.runs += 1
        cache = os.path.join(self.top, f"cache-{os.path.basename(self.program)}-{'-'.join(self.extra)}-{self.runs}"
                             f"-{os.path.basename(self.project)}")
        write(cache + ".conf", f"cachedir: {cache}\nlogdir: {cache}/logs\nsourcedir: {cache}/sources\n")
        os.sync()
        return common.Run([self.program, "-c", cache + ".conf", "--no-interactive", "--builders", str(builders), *self.extra,
                           "build", "all.bst"], cwd=self.project).must()


def modes_of(program, top, project):
    return {mode: Tool(program, top, project, ["--scheduler=" + mode]) for mode in MODES}


def best(tool, builders, rounds):
    return min((tool.build(builders) for _ in range(rounds)), key=lambda run: run.seconds)


def each(run, count):
    return f"{run.seconds / count * 1000:.2f}"


def scripts_table(program, bst, top, count, rounds):
    project = os.path.join(top, "scripts")
    scripts_project(project, count)
    tools = modes_of(program, top, project)
    cells = {(mode, n): best(tools[mode], n, rounds) for n in BUILDERS for mode in MODES}
    rows = [[mode] + [each(cells[mode, n], count) for n in BUILDERS] for mode in MODES]
    rows.append(["fork against pool"] + [f"{cells['fork', n].seconds / cells['pool', n].seconds:.2f}x" for n in BUILDERS])
    if bst:
        tool = Tool(bst, top, project)
        runs = [best(tool, n, 1) for n in BUILDERS]
        rows.append(["bst 2.8.1"] + [each(run, count) for run in runs])
        rows.append(["bst against pool"] + [f"{run.seconds / cells['pool', n].seconds:.1f}x" for run, n in zip(runs, BUILDERS)])
    text = common.table([f"ms per element, {count} scripts"] + [f"{n} builder{'s' * (n > 1)}" for n in BUILDERS], rows)
    picture = chart.lines("What one small build costs", f"milliseconds for each of {count} scripts of one command", "builders",
                          BUILDERS, [(mode, [cells[mode, n].seconds / count * 1000 for n in BUILDERS], i)
                                     for i, mode in enumerate(MODES)])
    return text, picture


def imports_table(program, top, sizes, rounds):
    rows = []
    for count in sizes:
        project = os.path.join(top, f"imports-{count}")
        imports_project(project, count)
        tools = modes_of(program, top, project)
        runs = {mode: best(tools[mode], 4, rounds) for mode in MODES}
        rows.append([f"{count:,}", f"{runs['pool'].peak_kib / 1024:.0f} MB"] + [each(runs[mode], count) for mode in MODES] +
                    [f"{runs['fork'].seconds / runs['pool'].seconds:.2f}x"])
    return common.table(["imports", "memory of the parent"] + [f"{mode}, ms each" for mode in MODES] + ["fork against pool"], rows)


def report(build, quick=False, bst=None):
    """Runs everything and writes docs/results/builds.md and builds.svg; returns the text."""
    program = os.path.join(os.path.abspath(build), "src", "millrace")
    where, count, rounds = common.machine(), 60 if quick else 200, 1 if quick else 2
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as top:
        scripts, picture = scripts_table(program, bst, top, count, rounds)
        imports = imports_table(program, top, IMPORTS[:1] if quick else IMPORTS, rounds)
    text = "\n\n".join([
        "# Small real builds: pool, fork per job, inline",
        f"Made by `bench/builds.py BUILD_DIR` ({where}).  Whole runs from start to exit, first build with an empty cache, "
        "divided by the number of elements; best of several (bst once).  A script is one shell command in a sandbox of its own; "
        "an import is two jobs, fetch and build, that only write files.",
        scripts, "![what one small build costs](builds.svg)",
        "With four builders, projects of growing size:", imports]) + "\n"
    common.write_result("builds.svg", picture)
    common.write_result("builds.md", text)
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bst")
    args = parser.parse_args()
    print(report(args.build, args.quick, common.find_bst(args.bst)))


if __name__ == "__main__":
    main()
