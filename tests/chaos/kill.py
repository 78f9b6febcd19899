#!/usr/bin/env python3
"""kill.py MILLRACE [--rounds N] [--seed N] [--power]: SIGKILL at random moments of real builds.  Speaks TAP.

Each round builds the small project and kills the parent, a worker, a sandboxed process, or all of them at once, at a random
moment.  Then: no process is left, nothing is mounted, the next run completes, `cache fsck` finds nothing wrong, and every key
and digest is what it was after an undisturbed build.  With --power the machine goes down instead: all is killed at once, then of
the files written since the session began some are cut short (objects, records, layers, what Millrace remembers), as a file system
leaves them that had not written them yet, and the session's marker says that it was in another life of the machine.  200 rounds are the long form: test `kill-long` of suite `long`.  What a killed session leaves in the cache is gone after the next one, so nothing grows.
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
        self.hits = self.cut = self.unborn = 0
        with open(f"{top}/conf", "w", encoding="utf-8") as f:
            f.write(f"cachedir: {self.cache}\n")

    def start(self, *words):
        env = dict(os.environ, **common.sanitizer_environment(), HOME=f"{self.top}/home", XDG_CACHE_HOME=f"{self.top}/home/cache")
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
    if what in ("all", "power"):
        return [child.pid] + everyone
    return workers if what == "worker" else [pid for pid in everyone if pid not in workers]


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return int(f.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


WRITTEN = ["cas/objects", "cas/tmp", "artifacts/refs", "source_protos", "elementsources", "sources", "millrace"]


def cut_power(small, dice, since):
    """Cuts files that were written since then; returns how many.  Times stay what they were."""
    cut = 0
    for place in WRITTEN:
        for directory, _, names in os.walk(f"{small.cache}/{place}"):
            for name in names:
                path = os.path.join(directory, name)
                status = os.lstat(path)
                if name.startswith("session-") or not os.path.isfile(path) or os.path.islink(path):
                    continue
                if status.st_ctime < since or not status.st_size or dice.random() < 0.5:
                    continue
                os.chmod(path, 0o644)
                os.truncate(path, dice.choice([0, dice.randrange(status.st_size)]))
                os.chmod(path, status.st_mode & 0o7777)
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
                cut += 1
    return cut


def another_life(small):
    """The markers of sessions as another boot of the machine left them; how many there are."""
    directory, count = f"{small.cache}/millrace/cas", 0
    for name in os.listdir(directory) if os.path.isdir(directory) else []:
        if name.startswith("session-"):
            path = f"{directory}/{name}"
            status = os.stat(path)
            with open(path, "r+b") as f:
                f.write(b"00000000")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            count += 1
    return count


def one_round(small, dice, what, span_s, expected):
    small.forget(everything=dice.random() < 0.3)
    since = time.time()
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
    while what == "power" and any([common.kill(pid) for pid in common.descendants()]):
        pass  # a machine that goes down leaves nobody, whoever was forked while we looked
    wrong = common.nobody_left(5.0)  # a second, and what a busy machine adds
    if wrong and what == "all" and common.end_unborn():
        small.unborn += 1
        wrong = common.nobody_left(1.0)
    if not wrong and common.mounts_below(small.top):
        wrong = f"still mounted: {common.mounts_below(small.top)}"
    # A session without a marker has synced all it wrote, or has not begun.
    if what == "power" and another_life(small):
        small.cut += cut_power(small, dice, since)
    # A killed command is a failed build, which is cached as such.
    wrong = wrong or rebuild(small) or check(small)
    # what only builds needed may be gone, and nobody needs it now
    wrong = wrong or (rebuild(small, "--deps", "all") if what == "power" else None)
    if not wrong:
        got = small.results()
        wrong = None if got == expected else f"results differ:\n{got}\nexpected:\n{expected}"
    left = common.leftovers(small.cache)
    return wrong or (f"left in the cache: {left}" if left else None)


def rebuild(small, *options):
    code, out = small.run("build", "--retry-failed", *options, "all.bst")
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
    parser.add_argument("--power", action="store_true")
    args = parser.parse_args()
    kinds = ["power"] if args.power else VICTIMS
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
            what = kinds[i % len(kinds)]
            tap.case(f"round {i + 1}: {what} {'cut' if args.power else 'killed'}", one_round(small, dice, what, span_s, expected))
        print(f"# {small.hits} of {args.rounds} rounds hit a running process", flush=True)
        if args.power:
            print(f"# {small.cut} files cut short")
        if small.unborn:
            print(f"# {small.unborn} times bubblewrap's own child waited for a parent that was gone")
        print(f"# layers at the end: {len(os.listdir(small.cache + '/millrace/layers'))}")
    for what, count in sorted(small.kills.items()):
        print(f"{count:5} {what}", file=sys.stderr)
    return tap.end()


sys.exit(main())
