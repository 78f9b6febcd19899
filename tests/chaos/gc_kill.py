#!/usr/bin/env python3
"""gc_kill.py MILLRACE [--rounds N] [--seed N]: SIGKILL at random moments of `cache gc`.  Speaks TAP.

Each round makes a random part of a cache look old, lets gc come down to a random quota, and kills it at a random moment of
its run.  Whatever was removed by then, `cache fsck` finds nothing wrong, the next build completes, and digests are what they
were.
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import common

ELEMENTS, FILES = 24, 40


def make_project(path, dice):
    os.makedirs(f"{path}/elements")
    with open(f"{path}/project.conf", "w", encoding="utf-8") as f:
        f.write("name: gc\nmin-version: 2.0\nelement-path: elements\n")
    names = []
    for i in range(ELEMENTS):
        os.makedirs(f"{path}/files/{i}/sub")
        for j in range(FILES):
            with open(f"{path}/files/{i}/{'sub/' if j % 2 else ''}{j}", "wb") as f:
                # every fourth file is shared between elements
                f.write(random.Random(j if j % 4 == 0 else i * 1000 + j).randbytes(500 + 20 * j))
        with open(f"{path}/elements/e{i}.bst", "w", encoding="utf-8") as f:
            f.write(f"kind: import\nsources:\n- kind: local\n  path: files/{i}\n")
        names.append(f"e{i}.bst")
    with open(f"{path}/elements/all.bst", "w", encoding="utf-8") as f:
        f.write("kind: stack\ndepends:\n" + "".join(f"- {name}\n" for name in names))


class Cache:
    def __init__(self, program, top):
        self.program, self.top, self.cache = os.path.abspath(program), top, f"{top}/cache"
        self.project = f"{top}/project"
        self.env = dict(os.environ, HOME=f"{top}/home", XDG_CACHE_HOME=f"{top}/home/cache")

    def start(self, quota, *words):
        with open(f"{self.top}/conf", "w", encoding="utf-8") as f:
            f.write(f"cachedir: {self.cache}\ncache: {{quota: {quota}, reserved-disk-space: 0}}\n")
        return subprocess.Popen([self.program, "-c", f"{self.top}/conf", "--no-interactive", *words], cwd=self.project,
                                env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def run(self, *words):
        child = self.start("infinity", *words)
        out, _ = child.communicate(timeout=300)
        return child.returncode, out

    def files(self):
        for area in ("cas/objects", "artifacts/refs", "source_protos", "elementsources"):
            for folder, _, names in os.walk(f"{self.cache}/{area}"):
                for name in names:
                    yield f"{folder}/{name}"

    def age(self, dice):
        """All was used some days ago, in no order."""
        now = time.time()
        for path in self.files():
            used = now - dice.uniform(86400, 8 * 86400)
            os.utime(path, (used, used))


def one_round(cache, dice, span_s, expected):
    cache.age(dice)
    child = cache.start(str(int(dice.uniform(1000, 700000))), "cache", "gc")
    time.sleep(dice.uniform(0, span_s))
    hit = child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.communicate()
    code, out = cache.run("cache", "fsck")
    if code:
        return hit, f"fsck ended with {code}: {out[-1500:]}"
    code, out = cache.run("build", "all.bst")
    if code:
        return hit, f"the next build ended with {code}: {out[-1500:]}"
    code, out = cache.run("show", "--deps", "all", "--format", "%{name} %{state} %{artifact-cas-digest}", "all.bst")
    if out != expected:
        return hit, f"results differ:\n{out}\nexpected:\n{expected}"
    return hit, None if common.nobody_left(10.0) is None else "a process is left"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    dice = random.Random(args.seed)
    common.become_subreaper()
    tap, hits = common.Tap(), 0
    with tempfile.TemporaryDirectory(prefix="millrace-gc-kill-") as top:
        cache = Cache(args.program, top)
        make_project(cache.project, dice)
        print(f"# seed {args.seed}", flush=True)
        code, out = cache.run("build", "all.bst")
        tap.case("an undisturbed build", f"ended with {code}: {out[-1500:]}" if code else None)
        _, expected = cache.run("show", "--deps", "all", "--format", "%{name} %{state} %{artifact-cas-digest}", "all.bst")
        common.nobody_left(10.0)
        cache.age(dice)
        start = time.monotonic()
        cache.start("1000", "cache", "gc").communicate()
        span_s = time.monotonic() - start
        cache.run("build", "all.bst")
        common.nobody_left(10.0)
        for i in range(args.rounds):
            hit, wrong = one_round(cache, dice, span_s, expected)
            hits += hit
            tap.case(f"round {i + 1}: {'killed' if hit else 'was done'}", wrong)
    print(f"# {hits} of {args.rounds} kills hit a running gc", flush=True)
    return tap.end()


sys.exit(main())
