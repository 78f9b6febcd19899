#!/usr/bin/env python3
"""interchange.py MILLRACE VENV_DIR: one cache, two tools.  Speaks TAP.

Builds the small project of the shared material with Millrace and with bst 2.8.1, each way round, on the same cache
directory, and compares keys, digests, states and checkouts.  Skips where the project or bst cannot be had.
"""
import os
import re
import subprocess
import sys
import tempfile

MILLRACE, VENV = os.path.abspath(sys.argv[1]), sys.argv[2]
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.setdefault("MILLRACE_SHARED", os.path.join(TOP, "..", "shared"))
sys.path.insert(0, os.path.join(TOP, "tests", "chaos"))
from common import can_stage_with_bst, small_project  # noqa: E402
FORMAT = "%{name} %{full-key} %{artifact-cas-digest}"
TARGET = "all.bst"
cases = []


def case(function):
    cases.append(function)
    return function


def must(condition, text):
    if not condition:
        raise AssertionError(text)


class Tool:
    def __init__(self, program, project, top, cache):
        self.program, self.project = program, project
        self.config = os.path.join(top, os.path.basename(program) + "-" + cache + ".conf")
        self.cache = os.path.join(top, cache)
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"cachedir: {self.cache}\nlogdir: {self.cache}/logs\nsourcedir: {self.cache}/sources\n")

    def run(self, *words, code=0, options=()):
        done = subprocess.run([self.program, "-c", self.config, "--no-interactive", *options, *words], cwd=self.project,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        must(code is None or done.returncode == code,
             f"{os.path.basename(self.program)} {' '.join(words)} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done

    def show(self, form=FORMAT, target=TARGET, options=()):
        return self.run("show", "--deps", "all", "--format", form, target, options=options).stdout

    def queue(self, done, name):
        found = re.search(name + r" Queue: processed (\d+), skipped (\d+), failed (\d+)", done.stdout + done.stderr)
        must(found, f"no {name} Queue in the summary of {self.program}:\n{done.stderr[-2000:]}")
        return tuple(map(int, found.groups()))


def tree(path):
    """Every name below path with its type, mode and content."""
    out = {}
    for directory, names, files in os.walk(path):
        for name in names + files:
            full = os.path.join(directory, name)
            if os.path.islink(full):
                what = ("link", os.readlink(full))
            elif os.path.isdir(full):
                what = ("dir", os.stat(full).st_mode & 0o7777)
            else:
                with open(full, "rb") as f:
                    what = ("file", os.stat(full).st_mode & 0o7777, hash(f.read()))
            out[os.path.relpath(full, path)] = what
    return out


class World:
    def __init__(self, top, bst):
        self.top, self.bst_program = top, bst
        self.project = os.path.join(top, "small")
        must(not (why := small_project(self.project)), why)

    def millrace(self, cache):
        return Tool(MILLRACE, self.project, self.top, cache)

    def bst(self, cache):
        return Tool(self.bst_program, self.project, self.top, cache)


@case
def keys_and_digests_are_the_peers(world):
    for options in ((), ("-o", "loud", "True", "-o", "colour", "green")):
        ours, theirs = world.millrace("one"), world.bst("two")
        ours.run("build", TARGET, options=options)
        theirs.run("build", TARGET, options=options)
        mine, peers = ours.show(options=options), theirs.show(options=options)
        must(mine == peers, f"with {options}:\n{mine}\nbst:\n{peers}")


@case
def bst_finds_all_that_millrace_built(world):
    states = world.bst("one").show("%{name} %{state}")
    must(all(line.endswith(" cached") for line in states.splitlines()) and len(states.splitlines()) == 18, states)
    world.bst("one").run("artifact", "checkout", "image.bst", "--directory", f"{world.top}/out-bst")
    world.millrace("one").run("artifact", "checkout", "image.bst", "--directory", f"{world.top}/out-millrace")
    must(tree(f"{world.top}/out-bst") == tree(f"{world.top}/out-millrace"), "checkouts differ")
    done = world.bst("one").run("build", TARGET)
    ours = world.millrace("one").run("build", TARGET)
    for queue in ("Fetch", "Build"):
        counts = world.bst("one").queue(done, queue)
        must(counts[0] == 0, "bst built something again")
        must(world.millrace("one").queue(ours, queue) == counts, f"another summary of the {queue} queue than bst's {counts}")


@case
def millrace_finds_all_that_bst_built(world):
    ours = world.millrace("two")
    done = ours.run("build", TARGET)
    must(ours.queue(done, "Build")[0] == 0, "something was built again")
    states = ours.show("%{name} %{state}")
    must(all(line.endswith(" cached") for line in states.splitlines()), states)
    log = ours.run("artifact", "log", "hello.bst").stdout
    must("Build environment for element hello.bst" in log, log)


@case
def each_scheduler_builds_the_same(world):
    shown = set()
    for scheduler in ("pool", "fork", "inline"):
        tool = world.millrace("by-" + scheduler)
        tool.run("build", TARGET, options=("--scheduler=" + scheduler,))
        shown.add(tool.show())
    must(len(shown) == 1, "\n".join(shown))


@case
def a_failure_is_shown_and_the_rest_is_built(world):
    for policy, code in (("continue", 255), ("quit", 255)):
        tool = world.millrace("fail-" + policy)
        done = tool.run("build", "fail.bst", "after-fail.bst", TARGET, code=code, options=("--on-error", policy))
        must("about to fail" in done.stderr, done.stderr[-3000:])
        if policy == "continue":
            states = dict(line.split(" ", 1) for line in tool.show("%{name} %{state}").splitlines())
            must(set(states.values()) == {"cached"}, str(states))
        failed = tool.show("%{name} %{state}", "fail.bst")
        must("fail.bst failed" in failed, failed)
        must("fail.bst failed" in world.bst("fail-" + policy).show("%{name} %{state}", "fail.bst"), "bst sees no failure")


@case
def a_failure_of_bst_is_replayed(world):
    world.bst("failed").run("build", "fail.bst", code=255)
    done = world.millrace("failed").run("build", "fail.bst", code=255)
    must("about to fail" in done.stderr, done.stderr[-3000:])


def skip_all(why):
    print(f"1..{len(cases)}")
    for number, function in enumerate(cases, 1):
        print(f"ok {number} - {function.__name__} # SKIP {why}")
    sys.exit(0)


def main():
    if not os.path.exists(os.path.join(SHARED, "realstack", "make-small.sh")):
        skip_all("the shared test material is not here")
    made = subprocess.run([os.path.join(TOP, "tools", "peer-venv"), VENV], capture_output=True, text=True)
    if made.returncode:
        skip_all("bst 2.8.1 cannot be installed here")
    if not can_stage_with_bst():
        skip_all("bst cannot stage here: /dev/fuse is not open to this user")
    bad = False
    print(f"1..{len(cases)}")
    with tempfile.TemporaryDirectory(prefix="millrace-peer-") as top:
        world = World(top, made.stdout.strip())
        for number, function in enumerate(cases, 1):
            try:
                function(world)
                print(f"ok {number} - {function.__name__}")
            except AssertionError as failure:
                bad = True
                print(f"not ok {number} - {function.__name__}")
                for line in str(failure).split("\n"):
                    print("#   " + line)
            sys.stdout.flush()
    sys.exit(bad)


main()
