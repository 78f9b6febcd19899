#!/usr/bin/env python3
"""kill.py MILLRACE [--rounds N] [--seed N] [--keep DIR]: SIGKILL at random moments of real builds.  Speaks TAP.

Each round builds the small project and kills the parent, a worker, a sandboxed process, or all of them at once, at a random
moment.  Then: no process is left, nothing is mounted, the next run completes, `cache fsck` finds nothing wrong, and every key
and digest is what it was after an undisturbed build.  200 rounds are the long form: test `kill-long` of suite `long`.  What a killed session leaves in the cache is gone after the next one, so nothing grows.
"""
import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import common

VICTIMS = ["parent", "worker", "sandbox", "all"]


class Small:
    def __init__(self, program, top):
        self.program, self.top = os.path.abspath(program), top
        self.project, self.cache = f"{top}/project", f"{top}/cache"
        self.kills = collections.Counter()
        self.hits = 0
        with open(f"{top}/conf", "w", encoding="utf-8") as f:
            f.write(f"cachedir: {self.cache}\n")

    def start(self, *words):
        env = dict(os.environ, HOME=f"{self.top}/home", XDG_CACHE_HOME=f"{self.top}/home/cache")
        return subprocess.Popen([self.program, "-c", f"{self.top}/conf", "--no-interactive", *words], cwd=self.project,
                                env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                errors="replace")

    def run(self, *words):
        child = self.start(*words)
        out, _ = child.communicate(timeout=300)
        return child.returncode, out

    def results(self):
        code, out = self.run("show", "--deps", "all", "--format", "%{name} %{full-key} %{state} %{artifact-cas-digest}", "all.bst")
        return out if code == 0 else f"show ended with {code}: {out}"

    def build(self):
        """None, or what is wrong with an undisturbed build."""
        code, out = self.run("build", "all.bst")
        return f"build ended with {code}: {out[-1500:]}" if code else None

    def forget(self, everything):
        """So that there is something to build: all, or only which artifacts there are."""
        shutil.rmtree(self.cache if everything else f"{self.cache}/artifacts", ignore_errors=True)


def victims(what, child):
    everyone = common.descendants(child.pid)
    workers = [pid for pid in everyone if parent_of(pid) == child.pid]
    if what == "parent":
        return [child.pid]
    if what == "all":
        return [child.pid] + everyone
    return workers if what == "worker" else [pid for pid in everyone if pid not in workers]


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return int(f.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def one_round(small, dice, what, span_s, expected):
    small.forget(everything=dice.random() < 0.3)
    child = small.start("--on-error", "continue", "build", "all.bst")
    time.sleep(dice.uniform(0.0, span_s))
    chosen = victims(what, child)
    if what in ("worker", "sandbox") and chosen:
        chosen = [dice.choice(chosen)]
    killed = sum(common.kill(pid) for pid in chosen)
    small.kills[what] += killed
    small.hits += killed > 0
    out, _ = child.communicate(timeout=300)
    if what in ("worker",) and child.returncode:
        return f"a worker was killed, and the session ended with {child.returncode}: {out[-1500:]}"
    wrong = common.nobody_left()
    if not wrong and common.mounts_below(small.top):
        wrong = f"still mounted: {common.mounts_below(small.top)}"
    # A killed command is a failed build, which is cached as such.
    wrong = wrong or rebuild(small) or check(small)
    if not wrong:
        got = small.results()
        wrong = None if got == expected else f"results differ:\n{got}\nexpected:\n{expected}"
    left = common.leftovers(small.cache)
    return wrong or (f"left in the cache: {left}" if left else None)


def rebuild(small):
    code, out = small.run("build", "--retry-failed", "all.bst")
    if code:
        return f"the next run ended with {code}: {out[-1500:]}"
    return common.nobody_left(5.0)  # the sync at the end goes on in the background


def check(small):
    """Nothing that is referenced may be broken or missing."""
    code, out = small.run("cache", "fsck")
    if code:
        return f"fsck ended with {code}: {out[-1500:]}"
    return common.nobody_left(10.0)  # it syncs, too


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    dice = random.Random(args.seed)
    common.become_subreaper()
    tap = common.Tap()
    with tempfile.TemporaryDirectory(prefix="millrace-kill-") as top:
        small = Small(args.program, top)
        why = common.small_project(small.project)
        if why:
            common.skip_all(why)
        print(f"# seed {args.seed}", flush=True)
        start = time.monotonic()
        wrong = small.build()
        span_s = time.monotonic() - start
        expected = small.results()
        tap.case("an undisturbed build", wrong)
        for i in range(args.rounds):
            what = VICTIMS[i % len(VICTIMS)]
            tap.case(f"round {i + 1}: {what} killed", one_round(small, dice, what, span_s, expected))
        print(f"# {small.hits} of {args.rounds} rounds hit a running process", flush=True)
        print(f"# layers at the end: {len(os.listdir(small.cache + '/millrace/layers'))}")
    for what, count in sorted(small.kills.items()):
        print(f"{count:5} {what}", file=sys.stderr)
    return tap.end()


sys.exit(main())
