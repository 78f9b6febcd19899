#!/usr/bin/env python3
"""chaos.py MILLRACE_CHAOS GEN_IMPORTS [--times N] [--rounds N] [--jobs N] [--seed N] [--only WORD]... [--patience SECONDS]
                 [--top DIR] [--add FILE] [--report FILE]: breaks real processes and looks at what is left.  Speaks TAP.

Workers die at each named message boundary, --times times each, by several signals; they stop there and do not answer, babble,
or close their socket; workers, sandboxed processes and the parent are killed at random times; the session is told to end;
a build of --jobs elements loses a worker many times a second.

Each time: exit code and message are right, nothing ended well twice, nothing was begun again without a death, no process,
mount or named memory stays behind, `cache fsck` finds nothing wrong, the next run completes and every element is cached, and
the cache holds no name of a session that is over.  The long storm also looks at the parent's descriptors.

--only takes part of a case's name; --add adds the counts to those in FILE (a long run in portions), --report writes them as
docs/results/chaos.md has them (what stands there under a heading of its own is kept).
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

import common

SIGNALS = [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGSTOP]
WAYS = {**{int(s): s.name for s in SIGNALS}, 100: "babbles", 101: "closes its socket"}  # see workers/seam.c
# What the session says of a worker that ended so.  SIGTERM: it takes its process group along, itself included.
SAID = {"SIGKILL": "was killed by signal 9", "SIGSEGV": "was killed by signal 11", "SIGTERM": "was killed by signal 9",
        "SIGSTOP": "did not answer and was killed", "babbles": "sent a malformed message and was killed",
        "closes its socket": "closed its socket and was killed"}
IMPORTS = ["start", "ready", "dispatch", "begin", "message", "messaged", "return", "result"]  # what jobs without sandbox pass
SANDBOXED = ["wait", "ping", "cancel"]
ELEMENTS, BUILDS = 60, 4
SYNCFS = {"306", "267"}  # number of the system call on x86-64 and on arm64


class Chaos:
    def __init__(self, program, top, patience):
        self.program, self.top, self.patience = program, top, patience
        self.mark = f"MILLRACE_CHAOS_MARK={uuid.uuid4()}"
        self.counts = collections.Counter()
        self.longest = {"background sync, seconds": 0.0, "told to end, seconds": 0.0}

    def project(self, name, make):
        return Project(self, name, make)

    def noted(self, what, value):
        self.longest[what] = max(self.longest[what], round(value, 2))

    def survivors(self):
        """Processes that carry the mark in their environment; zombies have none."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/environ", "rb") as f:
                        if self.mark.encode() in f.read():
                            found.append(int(name))
                except OSError:
                    pass
        return found

    def nobody_left(self):
        """Within the time allowed nobody is left but the sync at the end of a session, and only while it is in that call."""
        start = time.monotonic()
        syncing = set()
        while True:
            left = self.survivors()
            syncing |= {pid for pid in left if in_sync(pid)}
            waited = time.monotonic() - start
            if not left:
                if syncing:
                    self.noted("background sync, seconds", waited)
                return None
            others = [pid for pid in left if pid not in syncing]
            if (others and waited > self.patience) or waited > 120:
                return f"still there after {waited:.1f} s: {[describe(pid) for pid in left]}"
            time.sleep(0.01)


def in_sync(pid):
    """Leader of a session of its own, in syncfs: cas_session_end's child."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
            return os.getsid(pid) == pid and f.read().split()[0] in SYNCFS
    except (OSError, IndexError):
        return False


def describe(pid):
    """For a process that should not be there: what it is, whose, and in which system call."""
    words = [str(pid)]
    for name in ("cmdline", "stat", "syscall", "wchan"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as f:
                words.append(f.read().replace(b"\0", b" ").decode(errors="replace")[:120].strip())
        except OSError as error:
            words.append(str(error))
    return " | ".join(words)


class Project:
    def __init__(self, chaos, name, make):
        self.chaos, self.dir, self.cache = chaos, f"{chaos.top}/{name}", f"{chaos.top}/{name}-cache"
        self.conf = f"{chaos.top}/{name}.conf"
        self.elements = make(self.dir)
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(f"cachedir: {self.cache}\nlogdir: {self.cache}/logs\nscheduler:\n  builders: 4\n")

    def clean(self):
        shutil.rmtree(self.cache, ignore_errors=True)

    def start(self, *words, **env):
        full = dict(os.environ, **common.sanitizer_environment(), **env)
        full.update([self.chaos.mark.split("=")])
        return subprocess.Popen([self.chaos.program, "-c", self.conf, "--no-interactive", *words], cwd=self.dir, env=full,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, child):
        out, err = child.communicate(timeout=600)
        return child.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def run(self, *words, **env):
        return self.finish(self.start(*words, **env))

    def all_well(self):
        """After whatever happened: None, or what is wrong."""
        wrong = self.chaos.nobody_left()
        if wrong:
            return wrong
        code, _, err = self.run("build", "--retry-failed", "all.bst")
        if code:
            return f"the next run ended with {code}: {err[-800:]}"
        code, out, err = self.run("show", "--deps", "all", "--format", "%{state}", "all.bst")
        if code or out.split().count("cached") != self.elements:
            return f"not all is cached: {collections.Counter(out.split())} {err[-500:]}"
        code, out, err = self.run("cache", "fsck")
        if code:
            return f"fsck ended with {code}: {out[-500:]} {err[-500:]}"
        wrong = self.chaos.nobody_left()  # fsck syncs in the background, too, and has a marker until then
        found = common.mounts_below(self.chaos.top) + common.leftovers(self.cache)
        found += [name for name in os.listdir("/dev/shm") if name.startswith("millrace")]
        return wrong or (f"left: {found}" if found else None)


def make_imports(generator, count):
    def make(path):
        subprocess.run([sys.executable, generator, path, str(count)], check=True)
        return count + 1
    return make


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def make_builds(seconds):
    """Elements that are built in a sandbox, whose only program is busybox, and last a while."""
    def make(path):
        os.makedirs(f"{path}/base/bin")
        shutil.copy(shutil.which("busybox"), f"{path}/base/bin/busybox")
        for name in ("sh", "sleep", "mkdir", "true"):
            os.symlink("busybox", f"{path}/base/bin/{name}")
        write(f"{path}/project.conf", "name: builds\nmin-version: 2.0\nelement-path: elements\n")
        write(f"{path}/elements/base.bst", "kind: import\nsources:\n- kind: local\n  path: base\n")
        for i in range(BUILDS):
            write(f"{path}/elements/b{i}.bst", "kind: manual\nbuild-depends:\n- base.bst\nconfig:\n  install-commands:\n"
                  f"  - mkdir -p %{{install-root}}; sleep {seconds}; echo {i} > %{{install-root}}/{i}\n")
        write(f"{path}/elements/all.bst", "kind: stack\ndepends:\n" + "".join(f"- b{i}.bst\n" for i in range(BUILDS)))
        return BUILDS + 2
    return make


LINE = re.compile(r"\[ *(fetch|build):(\S+) *\] (START|SUCCESS|FAILURE) +\S+/[0-9a-f]{8}-(?:fetch|build)\.\d")


def twice(err, deaths):
    """Nothing may end well twice; what is begun again was begun by a worker that died."""
    begun, done = collections.Counter(), collections.Counter()
    for queue, name, what in LINE.findall(err):
        begun[queue, name] += what == "START"
        done[queue, name] += what == "SUCCESS"
    again = sum(count - 1 for count in begun.values() if count > 1)
    if any(count > 1 for count in done.values()):
        return f"ended well twice: {[key for key, count in done.items() if count > 1]}"
    return f"{again} begun again after {deaths} deaths" if again > deaths else None


def log_size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def at_boundary(project, boundary, number):
    """The first worker dies, and each thousandth: one death, and a job that is retried once survives it."""
    chaos, way = project.chaos, WAYS[number]
    log = f"{chaos.top}/deaths"
    # A busy worker that does not answer is given a second here, a minute in the program.
    after, deadline = 20 if boundary == "ping" else 1000, 1000 if way == "SIGSTOP" else 60000
    project.clean()
    if os.path.exists(log):
        os.unlink(log)
    child = project.start("build", "all.bst", MILLRACE_TEST_DIE=f"{boundary}:{number}:1000", MILLRACE_TEST_DIE_LOG=log,
                          MILLRACE_TEST_PING_MS=f"{after}:{deadline}")
    if boundary == "cancel":
        return at_cancel(project, child, log, way)
    code, _, err = project.finish(child)
    chaos.counts[f"{boundary}|{way}"] += log_size(log)
    if log_size(log) != 1:
        return f"{log_size(log)} workers died: {err[-800:]}"
    if code:
        return f"ended with {code}: {err[-800:]}"
    # One that had no job is not spoken of; whether it had one yet, or any more, is a race at these.
    if boundary not in ("start", "ready", "result") and err.count(SAID[way]) != 1:
        return f"does not say that it {SAID[way]}: {err[-800:]}"
    return twice(err, 1) or project.all_well()


def sandboxed(child):
    """Processes below a session that are none of its workers' own: bwrap and what runs in it."""
    workers = children(child.pid)
    return [pid for pid in common.descendants(child.pid) if pid not in workers]


def until_sandboxed(child):
    end = time.monotonic() + 30
    while child.poll() is None and time.monotonic() < end:
        found = sandboxed(child)
        if len(found) >= 2:
            return found
        time.sleep(0.005)
    return []


def at_cancel(project, child, log, way):
    chaos = project.chaos
    until_sandboxed(child)
    start = time.monotonic()
    child.send_signal(signal.SIGTERM)
    code, _, err = project.finish(child)
    took = time.monotonic() - start
    chaos.counts[f"cancel|{way}"] += log_size(log)
    chaos.noted("told to end, seconds", took)
    if log_size(log) != 1:
        return f"{log_size(log)} workers died: {err[-800:]}"
    if code not in (255,):
        return f"ended with {code}: {err[-800:]}"
    if took > chaos.patience + 0.5:
        return f"took {took:.2f} s to end"
    return twice(err, 1) or project.all_well()


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def random_worker(project, dice, number):
    project.clean()
    child = project.start("--on-error", "continue", "build", "all.bst")
    time.sleep(dice.uniform(0.002, 0.25))
    workers = children(child.pid)
    killed = bool(workers) and common.kill(dice.choice(workers), number)
    project.chaos.counts[f"at random|{number.name}"] += killed
    code, _, err = project.finish(child)
    if code:
        return f"ended with {code}: {err[-800:]}"
    return twice(err, killed) or project.all_well()


def sandbox_killed(project, dice):
    """Its build fails and says so; the others are not touched."""
    project.clean()
    child = project.start("--on-error", "continue", "build", "all.bst")
    found = until_sandboxed(child)
    killed = bool(found) and common.kill(dice.choice(found))
    project.chaos.counts["at random|a sandboxed process"] += killed
    code, _, err = project.finish(child)
    if (code != 255 or "FAILURE" not in err) if killed else code:
        return f"ended with {code}: {err[-800:]}"
    return twice(err, 0) or project.all_well()


def parent_killed(project, dice):
    project.clean()
    child = project.start("build", "all.bst")
    time.sleep(dice.uniform(0.002, 0.25))
    child.kill()
    project.chaos.counts["at random|the parent"] += 1
    project.finish(child)
    return project.all_well()


def told_to_end(project, dice, number):
    project.clean()
    child = project.start("build", "all.bst")
    time.sleep(dice.uniform(0.02, 0.2))
    child.send_signal(number)
    start = time.monotonic()
    code, _, err = project.finish(child)
    took = time.monotonic() - start
    project.chaos.counts[f"told to end|{number.name}"] += 1
    project.chaos.noted("told to end, seconds", took)
    if code not in (0, 255, -number):  # 0: it had just finished; -number: it had not begun to listen
        return f"ended with {code}: {err[-800:]}"
    if took > project.chaos.patience + 0.5:
        return f"took {took:.2f} s to end"
    return project.all_well()


def storm(project, dice):
    """A long build that loses a worker many times a second: what is lost twice fails, the rest is built, nothing is lost."""
    project.clean()
    counts = project.chaos.counts
    child = project.start("--on-error", "continue", "build", "all.bst")
    child.stdout.close()
    text, killed, fds = [], 0, []
    os.set_blocking(child.stderr.fileno(), False)
    while child.poll() is None:
        time.sleep(dice.uniform(0.01, 0.06))
        text.append(child.stderr.read() or b"")
        workers = children(child.pid)
        if workers and common.kill(dice.choice(workers), dice.choice(SIGNALS[:3])):
            killed += 1
        try:
            fds.append(len(os.listdir(f"/proc/{child.pid}/fd")))
        except OSError:
            pass
    text.append(child.stderr.read() or b"")
    err = b"".join(text).decode(errors="replace")
    counts["at random|in a storm"] += killed
    counts["jobs in storms"] += sum(what == "SUCCESS" for _, _, what in LINE.findall(err))
    counts["jobs that lost two workers in storms"] += sum(what == "FAILURE" for _, _, what in LINE.findall(err))
    half = len(fds) // 2
    if half > 10 and max(fds[half:]) > max(fds[:half]) + 2:
        return f"descriptors of the parent: {max(fds[:half])} at first, {max(fds[half:])} later"
    if child.returncode not in (0, 255):
        return f"ended with {child.returncode}: {err[-800:]}"
    return twice(err, killed) or project.all_well()


def often(times, test):
    for i in range(times):
        wrong = test()
        if wrong:
            return f"time {i + 1} of {times}: {wrong}"
    return None


def tests(chaos, dice, args):
    imports = chaos.project("imports", make_imports(args.generator, ELEMENTS))
    for boundary in IMPORTS:
        for number, way in WAYS.items():
            yield f"worker at {boundary}: {way}", lambda b=boundary, n=number: often(args.times, lambda: at_boundary(imports, b, n))
    if shutil.which("busybox") and common.can_sandbox():
        builds, slow = chaos.project("builds", make_builds("0.3")), chaos.project("slow", make_builds("0.6"))
        for boundary in SANDBOXED:
            for number, way in WAYS.items():
                yield (f"worker at {boundary}: {way}",
                       lambda b=boundary, n=number: often(args.times, lambda: at_boundary(slow if b == "cancel" else builds, b, n)))
        for _ in range(args.rounds):
            yield "a sandboxed process is killed", lambda: sandbox_killed(builds, dice)
    for i in range(args.rounds):
        yield f"a worker dies at random: {SIGNALS[i % 3].name}", lambda n=SIGNALS[i % 3]: random_worker(imports, dice, n)
        yield "the parent is killed", lambda: parent_killed(imports, dice)
        for number in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP][:3 if i == 0 else 1]:
            yield f"told to end by {number.name}", lambda n=number: told_to_end(imports, dice, n)
    if args.jobs:
        yield (f"a storm over {args.jobs} elements",
               lambda: storm(chaos.project("many", make_imports(args.generator, args.jobs)), dice))


def report(path, counts, longest, command):
    ways = list(WAYS.values())
    lines = ["# Chaos: what real processes went through", "", f"`{command}`", "",
             "(in portions: `--only` and `--add`). How often a worker met its end, or worse, at each boundary of its messages, in sessions of",
             "their own; after each of them everything was looked at that the head of `tests/chaos/chaos.py` lists.", "",
             f"**{counts['failed']} failed.**", "",
             "| boundary | " + " | ".join(ways) + " |", "|---|" + "---:|" * len(ways)]
    for boundary in IMPORTS + SANDBOXED:
        lines.append(f"| {boundary} | " + " | ".join(str(counts[f"{boundary}|{way}"]) for way in ways) + " |")
    lines += ["", "| at other times | |", "|---|---:|"]
    lines += [f"| {key.replace('|', ': ')} | {count} |" for key, count in sorted(counts.items())
              if key.split("|")[0] not in IMPORTS + SANDBOXED + ["failed"]]
    lines += [f"| longest: {what} | {value} |" for what, value in sorted(longest.items())]
    try:
        with open(path, encoding="utf-8") as f:
            by_hand = f.read().partition("\n## ")
    except FileNotFoundError:
        by_hand = ("", "", "")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n" + "".join(by_hand[1:]))


def add(path, chaos):
    try:
        with open(path, encoding="utf-8") as f:
            earlier = json.load(f)
    except FileNotFoundError:
        earlier = {"counts": {}, "longest": {}}
    chaos.counts.update(earlier["counts"])
    for what, value in earlier["longest"].items():
        chaos.longest[what] = max(value, chaos.longest.get(what, 0))
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"counts": chaos.counts, "longest": chaos.longest}, f, indent=1, sort_keys=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("generator")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", action="append")
    parser.add_argument("--patience", type=float, default=1.0)
    parser.add_argument("--top")
    parser.add_argument("--add")
    parser.add_argument("--report")
    args = parser.parse_args()
    dice = random.Random(args.seed)
    print(f"# seed {args.seed}", flush=True)
    tap = common.Tap()
    with tempfile.TemporaryDirectory(prefix="chaos-", dir=args.top) as top:
        chaos = Chaos(os.path.abspath(args.program), top, args.patience)
        for name, test in tests(chaos, dice, args):
            if not args.only or any(word in name for word in args.only):
                tap.case(name, test())
    chaos.counts["failed"] += tap.failed
    if args.add:
        add(args.add, chaos)
    for what, count in sorted(chaos.counts.items()):
        print(f"{count:5} {what.replace('|', ': ')}", file=sys.stderr)
    if args.report:
        report(args.report, chaos.counts, chaos.longest,
               f"tests/chaos/chaos.py b/tests/chaos/millrace-chaos bench/gen-imports.py --times {args.times} --rounds {args.rounds} --jobs {args.jobs}")
    return tap.end()


sys.exit(main())
