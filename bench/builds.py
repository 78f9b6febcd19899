#!/usr/bin/env python3
"""builds.py BUILD_DIR [--quick] [--bst PATH]: small real builds under pool, fork per job and inline, and by bst 2.8.1.

Two projects.  Scripts: elements that each run one shell command in a sandbox of busybox.  Imports: elements that each
bring one file, without a sandbox, in projects of growing size, whose graph makes the parent's memory grow.  Writes docs/results/builds.md and a chart beside it.
"""
import argparse
import collections
import json
import os
import re
import shlex
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


# --- a compiler's work ---

def copy_program(top, path, place=None):
    """A program of this machine below top, at the same place if no other is named, with the libraries it needs."""
    libraries = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    for source, where in [(path, place or os.path.abspath(path))] + [(lib, lib) for lib in re.findall(r"/\S+", libraries)]:
        target = top + where
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(os.path.realpath(source), target)


def compile_base(top):
    for tool in ["gcc", "sh", "mkdir", "cp"]:
        copy_program(top, shutil.which(tool))
    for tool in ["cc1", "as"]:
        path = subprocess.run(["gcc", f"-print-prog-name={tool}"], capture_output=True, text=True, check=True).stdout.strip()
        copy_program(top, shutil.which(path))


def compile_project(top, build, most):
    """Millrace's own sources, preprocessed on this machine, one element for each directory of them; at most so many files.
    The number of elements; 0 if there is no gcc."""
    if not shutil.which("gcc"):
        return 0
    with open(f"{build}/compile_commands.json", encoding="utf-8") as f:
        commands = [c for c in json.load(f) if re.match(r"^\.\./src/\w+/(?!test_)\w+\.c$", c["file"])]
    rooms = set()
    for command in commands[::max(1, len(commands) // most)][:most]:
        room, name = command["file"].split("/")[-2:]
        rooms.add(room)
        os.makedirs(f"{top}/files/{room}", exist_ok=True)
        flags = [word for word in shlex.split(command["command"]) if re.match(r"-I|-D|-std", word)]
        subprocess.run(["gcc", *flags, "-E", command["file"], "-o", f"{top}/files/{room}/{name[:-2]}.i"],
                       cwd=command["directory"], check=True)
    compile_base(f"{top}/base")
    write(f"{top}/project.conf", "name: compile\nmin-version: 2.0\nelement-path: elements\n")
    write(f"{top}/elements/base.bst", "kind: import\nsources: [{kind: local, path: base}]\n")
    for room in rooms:
        write(f"{top}/elements/{room}-objects.bst", f"""kind: manual
build-depends: [base.bst]
sources: [{{kind: local, path: files/{room}}}]
variables: {{strip-binaries: ""}}
config:
  build-commands: ['for f in *.i; do gcc -O2 -w -c $f; done']
  install-commands: ['mkdir -p %{{install-root}}', 'cp *.o %{{install-root}}']
""")
    write(f"{top}/elements/all.bst", f"kind: stack\ndepends: [{', '.join(f'{room}-objects.bst' for room in sorted(rooms))}]\n")
    return len(rooms)


def projects(top, build, scale):
    """Yields (name, directory, elements): the real builds that can be made anywhere."""
    for count in [200 if scale > 0.5 else 60]:
        scripts_project(f"{top}/scripts", count)
        yield f"{count} scripts of one shell command", f"{top}/scripts", count
    for count in [1000, 4000] if scale > 0.5 else [1000]:
        imports_project(f"{top}/imports-{count}", count)
        yield f"{count:,} imports of one file", f"{top}/imports-{count}", count
    count = compile_project(f"{top}/compile", build, int(max(20, min(120, 120 * scale))))
    if count:
        yield f"{count} elements that compile C", f"{top}/compile", count


# Of one run, mostly from --stats: seconds of the whole, of the parent's processor time in all and while jobs ran, in fork; jobs; seconds
# of processor time of all processes.
Build = collections.namedtuple("Build", "wall whole parent fork jobs cpu")


def parse_stats(run):
    text = run.stderr.decode(errors="replace") + run.stdout.decode(errors="replace")
    fork, jobs = re.search(r"processes forked in ([\d.]+) ms, (\d+) jobs", text).groups()
    whole, parent = re.search(r"([\d.]+) s of processor time in this process, of that ([\d.]+) s", text).groups()
    return Build(run.seconds, float(whole), float(parent), float(fork) / 1000, int(jobs), run.cpu)


def compare(program, top, project, modes, builders, rounds):
    """{mode: the fastest of its runs}; the modes take turns."""
    tools = {mode: Tool(program, top, project, ["--stats", "--scheduler=" + mode]) for mode in modes}
    found = {}
    for _ in range(rounds):
        for mode in modes:
            build = parse_stats(tools[mode].build(builders))
            found[mode] = min(build, found.get(mode, build))
    return found


def real(program, top, project, target, sourcedir):
    """A project built once, with sources that are there already."""
    conf = f"{top}/real.conf"
    write(conf, f"cachedir: {top}/real\nlogdir: {top}/real-logs\nsourcedir: {sourcedir}\n")
    return parse_stats(common.Run([program, "-c", conf, "--no-interactive", "--stats", "--builders", str(os.cpu_count()), "build",
                                   target], cwd=project).must())


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
