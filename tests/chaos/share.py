#!/usr/bin/env python3
"""share.py MILLRACE [--seconds N] [--seed N] [--bst BST]: several sessions on one cache that is too small for them.  Speaks TAP.

Two Millraces (and one bst, if given) build random elements again and again, each with the same small quota, while a third runs
`cache gc`.  A build may fail for want of room, never for anything else; when all have ended, `cache fsck` finds nothing
wrong, and what is built then is what it should be.
"""
import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

import common

ELEMENTS, BYTES = 12, 60000


def make_project(path):
    os.makedirs(f"{path}/elements")
    with open(f"{path}/project.conf", "w", encoding="utf-8") as f:
        f.write("name: share\nmin-version: 2.0\nelement-path: elements\n")
    for i in range(ELEMENTS):
        os.makedirs(f"{path}/files/{i}/sub")
        for j in range(4):
            with open(f"{path}/files/{i}/sub/{j}", "wb") as f:
                f.write(random.Random(i * 10 + j if j else 7).randbytes(BYTES // 4))
        with open(f"{path}/elements/e{i}.bst", "w", encoding="utf-8") as f:
            f.write(f"kind: import\nsources:\n- kind: local\n  path: files/{i}\n")
            if i % 3 == 2:
                f.write(f"depends: [e{i - 1}.bst]\n")


class Share:
    def __init__(self, program, top):
        self.program, self.top = os.path.abspath(program), top
        self.wrong, self.full, self.good = [], 0, 0
        self.write_conf("conf", "450K")
        self.write_conf("roomy", "infinity")

    def write_conf(self, name, quota):
        with open(f"{self.top}/{name}", "w", encoding="utf-8") as f:
            f.write(f"cachedir: {self.top}/cache\nlogdir: {self.top}/logs\n"
                    f"cache: {{quota: {quota}, reserved-disk-space: 0, low-watermark: 70%}}\n")

    def run(self, program, conf, *words):
        env = dict(os.environ, HOME=f"{self.top}/home", XDG_CACHE_HOME=f"{self.top}/home/cache")
        if os.path.isabs(program):
            env["PATH"] = os.path.dirname(program) + ":" + env["PATH"]
        done = subprocess.run([program, "-c", f"{self.top}/{conf}", *words], cwd=f"{self.top}/project", env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def builder(self, program, dice, until):
        while time.monotonic() < until:
            names = [f"e{dice.randrange(ELEMENTS)}.bst" for _ in range(dice.randint(1, 3))]
            code, out = self.run(program, "conf", "--no-interactive", "build", *names)
            if code and "too full" not in out.lower():
                self.wrong.append(f"{program} build {names} ended with {code}: {out[-3000:]}")
            self.full += bool(code)
            self.good += not code

    def collector(self, dice, until):
        while time.monotonic() < until:
            code, out = self.run(self.program, "conf", "cache", "gc")
            if code:
                self.wrong.append(f"gc ended with {code}: {out[-1500:]}")
            time.sleep(dice.uniform(0, 0.2))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--bst")
    args = parser.parse_args()
    tap = common.Tap()
    print(f"# seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="millrace-share-") as top:
        make_project(f"{top}/project")
        share = Share(args.program, top)
        everything = [f"e{i}.bst" for i in range(ELEMENTS)]
        show = ["show", "--deps", "none", "--format", "%{name} %{state} %{artifact-cas-digest}", *everything]
        code, out = share.run(share.program, "roomy", "build", *everything)
        tap.case("an undisturbed build", out[-1500:] if code else None)
        _, expected = share.run(share.program, "roomy", *show)
        until = time.monotonic() + args.seconds
        programs = [share.program, share.program] + ([args.bst] if args.bst else [])
        threads = [threading.Thread(target=share.builder, args=(program, random.Random(args.seed + i), until))
                   for i, program in enumerate(programs)]
        threads.append(threading.Thread(target=share.collector, args=(random.Random(args.seed), until)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"# {share.good} builds succeeded, {share.full} found the cache too full", flush=True)
        tap.case("no session fails for another reason than room", share.wrong[0] if share.wrong else None)
        tap.case("most find room", None if share.good > share.full else "they do not")
        code, out = share.run(share.program, "roomy", "cache", "fsck")
        tap.case("nothing is broken", out[-1500:] if code else None)
        code, out = share.run(share.program, "roomy", "build", *everything)
        tap.case("all builds when there is room", out[-1500:] if code else None)
        _, out = share.run(share.program, "roomy", *show)
        tap.case("and is what it was", None if out == expected else f"{out}\nexpected:\n{expected}")
    return tap.end()


sys.exit(main())
