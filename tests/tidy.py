#!/usr/bin/env python3
"""The tree keeps its own rules: includes point down, each room has one door, no banned calls, no dead files.

usage: tidy.py SOURCE_ROOT.  Speaks TAP.
"""
import os
import re
import subprocess
import sys

ROOT = sys.argv[1]
# A room may include the doors of the rooms in its list, of base, and its own files.
BELOW = {
    "base": [],
    "yaml": [], "graph": [], "wire": [], "loop": [], "sched": [],
    "cas": ["yaml", "graph"],
    "state": ["graph", "wire"],
    "kinds": ["yaml", "graph", "cas"],
    "keys": ["yaml", "graph", "kinds", "cas"],
    "project": ["yaml", "graph", "kinds", "keys", "cas"],
    "sandbox": ["cas", "graph"],
    "workers": ["wire", "graph", "state", "loop"],
    "remote": ["cas", "wire"],
    "artifacts": ["yaml", "graph", "cas", "state", "keys", "kinds"],
    "sources": ["yaml", "graph", "kinds", "cas", "artifacts", "sandbox", "remote"],
    "elements": ["yaml", "graph", "kinds", "cas", "artifacts", "sandbox", "state", "keys"],
    "jobs": ["yaml", "graph", "wire", "cas", "state", "kinds", "keys", "sandbox", "workers", "remote", "artifacts",
             "sources", "elements", "project"],
    "session": ["yaml", "graph", "wire", "loop", "sched", "cas", "state", "kinds", "keys", "project", "sandbox",
                "workers", "remote", "artifacts", "sources", "elements", "jobs"],
    "cli": ["yaml", "graph", "session", "project", "kinds"],
}
# Doors: room.h, and those the design names besides.
DOORS = {
    "base": None,  # every header is one
    "yaml": {"yaml.h", "cache.h", "expr.h", "vars.h"},
    "sched": {"sched.h", "budget.h"},
    "workers": {"pool.h", "worker.h"},
    "kinds": None,
    "cas": None,
    "artifacts": {"artifacts.h", "care.h"},
    "session": {"session.h", "request.h", "frontend.h"},
    "sources": None,
}
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|system|popen|tmpnam|mktemp|tempnam|strtok|alloca|atoi|atol)\s*\(")
MACHINE = re.compile(r"/work/|/root/|deb\.debian\.org|pypi\.org/simple|\b(TODO|FIXME|XXX)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def files(*endings):
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    names = out.stdout.split("\n") if out.returncode == 0 else [
        os.path.relpath(os.path.join(d, f), ROOT) for d, _, fs in os.walk(ROOT) for f in fs]
    return [n for n in names if n.endswith(endings) and not n.startswith("build") and os.path.isfile(os.path.join(ROOT, n))]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def arrows():
    for name in files(".c", ".h"):
        parts = name.split("/")
        if parts[0] != "src" or len(parts) < 3:
            continue
        room, test = parts[1], parts[-1].startswith("test_")
        for target in INCLUDE.findall(read(name)):
            if "/" not in target:
                continue  # generated, or a system header in quotes
            other, header = target.split("/", 1)
            if other not in BELOW or other in (room, "base") or test:
                continue
            if other not in BELOW[room]:
                yield f"{name} includes {target}: room {room} may not use room {other}"
            doors = DOORS.get(other, {other + ".h"})
            if header.endswith("_internal.h") or (doors is not None and header not in doors):
                yield f"{name} includes {target}, which is not a door of {other}"


def banned():
    for name in files(".c", ".h"):
        text = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", "", read(name), flags=re.S)
        for found in BANNED.findall(text):
            yield f"{name} calls {found}"


def paths():
    for name in files(".c", ".h", ".py", ".sh", ".md", ".build", ".txt", ".conf", ".test") + ["check", "demo", ".ci/run"]:
        if name == "tests/tidy.py" or not os.path.exists(os.path.join(ROOT, name)):
            continue
        for number, line in enumerate(read(name).split("\n"), 1):
            found = MACHINE.search(line)
            if found:
                yield f"{name}:{number} says {found.group(0)!r}"


def dead():
    builds = "\n".join(read(n) for n in files("meson.build"))
    for name in files(".c"):
        base = os.path.basename(name)[:-2]
        if name.startswith("tests/fuzz/fuzz_"):
            base = f"'{base[5:]}'"  # a row of fuzz_targets
        if name.startswith(("src/", "tests/", "bench/", "tools/")) and base not in builds:
            yield f"{name} is in no meson.build"


def heads():
    for name in files(".c", ".h"):
        if not read(name).lstrip().startswith("/*"):
            yield f"{name} does not open with what it is for"


def long_files():
    for name in files(".c", ".h"):
        lines = read(name).count("\n")
        if lines > 1000:
            yield f"{name} has {lines} lines: is it two things?"


CHECKS = {"includes point down, through doors": arrows, "no banned calls": banned, "no machine's paths, no loose ends": paths,
          "no dead files": dead, "every file opens with its purpose": heads, "no endless files": long_files}


def main():
    print(f"1..{len(CHECKS)}")
    bad = False
    for number, (what, check) in enumerate(CHECKS.items(), 1):
        found = list(check())
        for line in found:
            print("#", line)
        print("not ok" if found else "ok", number, "-", what)
        bad = bad or bool(found)
    sys.exit(bad)


main()
