#!/usr/bin/env python3
"""chaos.py MILLRACE_CHAOS GEN_IMPORTS [--rounds N] [--times N] [--seed N]: kills real processes and looks at what is left.  Speaks TAP.

Workers die at each named message boundary, --times times, by several signals; they stop there and do not answer, babble, or close
their socket; workers and the parent are killed at random times; the
session is told to end.  Each time: exit code and message are right, no process stays behind, the next run completes
and every element is cached.  A histogram of the deaths goes to standard error.
"""
import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

import common

BOUNDARIES = ["start", "ready", "dispatch", "begin", "message", "messaged", "return", "result"]
SIGNALS = [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM]
OTHERWISE = {int(signal.SIGSTOP): "SIGSTOP", 100: "babbles", 101: "closes its socket"}  # see workers/seam.c
ELEMENTS = 60


class Chaos:
    def __init__(self, program, generator, top):
        self.program, self.top = program, top
        self.project = f"{top}/project"
        subprocess.run([sys.executable, generator, self.project, str(ELEMENTS)], check=True)
        self.mark = f"MILLRACE_CHAOS_MARK={uuid.uuid4()}"
        with open(f"{top}/conf", "w", encoding="utf-8") as f:
            f.write(f"cachedir: {top}/cache\n")
        self.deaths = collections.Counter()

    def clean(self):
        shutil.rmtree(f"{self.top}/cache", ignore_errors=True)

    def start(self, *words, **env):
        full = dict(os.environ, **env)
        full.update([self.mark.split("=")])
        return subprocess.Popen([self.program, "-c", f"{self.top}/conf", "--no-interactive", *words], cwd=self.project,
                                env=full, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, child):
        out, err = child.communicate(timeout=120)
        return child.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def run(self, *words, **env):
        return self.finish(self.start(*words, **env))

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

    def nobody_left(self, seconds=1.0):
        end = time.monotonic() + seconds
        while self.survivors():
            if time.monotonic() > end:
                return f"still there after {seconds} s: {self.survivors()}"
            time.sleep(0.01)
        return None

    def nothing_left(self):
        """Neither mounts nor memory with a name; what has none goes with its processes."""
        found = common.mounts_below(self.top) + [name for name in os.listdir("/dev/shm") if name.startswith("millrace")]
        return f"left: {found}" if found else None

    def all_cached(self):
        code, out, err = self.run("build", "all.bst")
        if code:
            return f"the next run ended with {code}: {err[-500:]}"
        code, out, err = self.run("show", "--deps", "all", "--format", "%{state}", "all.bst")
        states = out.split()
        if code or states.count("cached") != ELEMENTS + 1:
            return f"not all is cached: {collections.Counter(states)}"
        return None


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def at_boundary(chaos, boundary, number):
    chaos.clean()
    log = f"{chaos.top}/deaths"
    if os.path.exists(log):
        os.unlink(log)
    # The first worker, and each thousandth: one death, and a job that is retried once survives it.
    # One that does not answer is given a second here, a minute in the program.
    code, _, err = chaos.run("build", "all.bst", MILLRACE_TEST_DIE=f"{boundary}:{int(number)}:1000", MILLRACE_TEST_DIE_LOG=log,
                             MILLRACE_TEST_PING_MS="1000" if int(number) == signal.SIGSTOP else "60000")
    died = os.path.getsize(log) if os.path.exists(log) else 0
    chaos.deaths[f"{boundary} {OTHERWISE.get(int(number)) or signal.Signals(number).name}"] += died
    if died != 1:
        return f"{died} workers died"
    if code:
        return f"ended with {code}: {err[-800:]}"
    # The sync at the end of a session goes on in the background.
    return chaos.nobody_left(10.0) or chaos.nothing_left() or chaos.all_cached()


def random_worker(chaos, dice, number):
    chaos.clean()
    child = chaos.start("--on-error", "continue", "build", "all.bst")
    time.sleep(dice.uniform(0.002, 0.25))
    workers = children(child.pid)
    if workers:
        try:
            os.kill(dice.choice(workers), number)
            chaos.deaths[f"random {signal.Signals(number).name}"] += 1
        except ProcessLookupError:
            pass
    code, _, err = chaos.finish(child)
    if code:
        return f"ended with {code}: {err[-800:]}"
    return chaos.nobody_left() or chaos.all_cached()


def parent_killed(chaos, dice):
    chaos.clean()
    child = chaos.start("build", "all.bst")
    time.sleep(dice.uniform(0.002, 0.25))
    child.kill()
    chaos.deaths["parent SIGKILL"] += 1
    chaos.finish(child)
    return chaos.nobody_left() or chaos.all_cached()


def told_to_end(chaos, dice, number):
    chaos.clean()
    child = chaos.start("build", "all.bst")
    time.sleep(dice.uniform(0.02, 0.2))
    child.send_signal(number)
    start = time.monotonic()
    code, _, err = chaos.finish(child)
    took = time.monotonic() - start
    chaos.deaths[f"session {signal.Signals(number).name}"] += 1
    if code not in (0, 255, -number):  # 0: it had just finished; -number: it had not begun to listen
        return f"ended with {code}: {err[-800:]}"
    if took > 1.5:
        return f"took {took:.2f} s to end"
    return chaos.nobody_left() or chaos.all_cached()


def often(times, test):
    for _ in range(times):
        wrong = test()
        if wrong:
            return wrong
    return None


def tests(chaos, dice, rounds, times):
    for boundary in BOUNDARIES:
        for number in SIGNALS:
            yield (f"worker dies at {boundary} by {number.name}",
                   lambda b=boundary, n=number: often(times, lambda: at_boundary(chaos, b, n)))
        for number, name in OTHERWISE.items():
            yield f"worker {name} at {boundary}", lambda b=boundary, n=number: often(times, lambda: at_boundary(chaos, b, n))
    for i in range(rounds):
        number = [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM][i % 3]
        yield f"a worker dies at random, {number.name}", lambda n=number: random_worker(chaos, dice, n)
        yield "the parent is killed", lambda: parent_killed(chaos, dice)
    for number in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]:
        yield f"told to end by {number.name}", lambda n=number: told_to_end(chaos, dice, n)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("generator")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    dice = random.Random(args.seed)
    print(f"# seed {args.seed}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="millrace-chaos-") as top:
        chaos = Chaos(os.path.abspath(args.program), args.generator, top)
        for number, (name, test) in enumerate(tests(chaos, dice, args.rounds, args.times), 1):
            wrong = test()
            failed += bool(wrong)
            if wrong:
                print("# " + wrong.replace("\n", "\n# "))
            print(f"{'not ok' if wrong else 'ok'} {number} - {name}", flush=True)
        print(f"1..{number}")
    for what, count in sorted(chaos.deaths.items()):
        print(f"{count:5} {what}", file=sys.stderr)
    return bool(failed)


sys.exit(main())
