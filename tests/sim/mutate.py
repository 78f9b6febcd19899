#!/usr/bin/env python3
"""Does the simulation notice when the scheduler or the journal is wrong?  Breaks them mechanically, one small change at a
time, and counts how many of the broken ones are caught.

usage: mutate.py [--mutants N] [--seed N] [--count SCHEDULES] [--jobs N] [--only FILE] [--again FILE] [--report FILE]
                 [--judged FILE] [--not-in FILE]... [--fast] [--list]

Each mutant differs from the tree in one place: a comparison flipped or off by one, an increment, decrement, assignment or
call left out, a condition negated, `and` for `or`.  It is compiled, then judged by the unit tests of its room and by the
simulator, both with the address and undefined behaviour sanitizers, as ./check has them.  A mutant that does not end within
twenty seconds of processor time is caught too; one that does not compile is not counted.

  --judged FILE  add each mutant that was judged to FILE, with the verdict
  --not-in FILE  leave out those that FILE (of --judged) has: a sample that nobody has looked at
  --again FILE   only those that survived, according to FILE (of --judged)
  --fast         the simulation only for those that the unit tests do not catch
  --list         print the possible mutants and stop

Not mutated, by rule and not by outcome (see EXCLUDED and UNIQUE): what recounts or compares for tests only, words that only
people read, and whether two numbers may be equal that are handed out once.
"""
import argparse
import concurrent.futures
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHED = ["budget", "jobs", "next", "plan", "ready", "resources", "sched", "slots", "weigh", "workers"]
FIXED = ["src/sched/check.c", "src/state/state.c"]
MUTATED = [f"src/sched/{name}.c" for name in SCHED] + ["src/state/journal.c", "src/state/record.c"]
SIM = [f"tests/sim/{name}.c" for name in ("main", "world", "virtual", "people", "carry", "model", "views", "graph", "twin", "tokens")]
BASE = [f"src/base/{name}.c" for name in ("arena", "buf", "diag", "digest", "fs", "map", "util")]
SECONDS = 20  # of the processor: four times what the slowest of them takes
HELP = {"sched": "src/sched/test_fixture.c", "state": "src/state/test_help.c"}
UNITS = {"sched": [f"src/sched/test_{name}.c" for name in ("bounds", "plan", "workers", "limits", "parts", "budget")],
         "state": [f"src/state/test_{name}.c" for name in ("journal", "state", "laps")]}
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-O1", "-w", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-I" + os.path.join(ROOT, "src"), "-I" + os.path.join(ROOT, "tests/sim")]

# (what, pattern, replacement).  Patterns see one line, without its comment.
OPERATORS = [
    ("equal -> not equal", r"(?<![=!<>])==(?!=)", "!="),
    ("not equal -> equal", r"!=", "=="),
    ("less -> less or equal", r"(?<= )<(?= )", "<="),
    ("less or equal -> less", r"<=(?= )", "<"),
    ("greater -> greater or equal", r"(?<= )>(?= )", ">="),
    ("greater or equal -> greater", r">=(?= )", ">"),
    ("less -> greater", r"(?<= )<(?= )", ">"),
    ("and -> or", r"&&", "||"),
    ("or -> and", r"\|\|", "&&"),
    ("negation dropped", r"(?<=[( ])!(?=[a-z(])", ""),
    ("increment dropped", r"^\t+[\w>.\[\]-]+\+\+;", ";"),
    ("increment dropped", r"^\t+\+\+[^;]+;", ";"),
    ("decrement dropped", r"^\t+[\w>.\[\]-]+--;", ";"),
    ("decrement of a condition dropped", r"if \(--", "if ("),
    ("plus one dropped", r" \+ 1(?=[u\]);,])u?", ""),
    ("minus one dropped", r" - 1(?=[\]);,])", ""),
    ("addition -> subtraction", r"(?<=[\w\])]) \+= ", " -= "),
    ("flags not set", r"^\t+\S+ \|= [^;]+;", ";"),
    ("flags not cleared", r"^\t+\S+ &= [^;]+;", ";"),
    ("assignment dropped", r"^\t+(?!return)[\w>.\[\]\-]+ = [^;{]+;", ";"),
    ("call dropped", r"^\t+(?!return|if|for|while|assert|free|sizeof)[a-z_]+\([^;{]*\);", ";"),
    ("true -> false", r"\btrue\b", "false"),
    ("false -> true", r"\bfalse\b", "true"),
    ("early return dropped", r"^\t+return;", ";"),
    ("smaller -> larger of two", r"\bMIN\(", "MAX("),
    ("larger -> smaller of two", r"\bMAX\(", "MIN("),
    ("cell -> ignore", r"(?<=[{,] )(unblock|take|untake|pass|again|drop|due|retry_now|retry_later|want|start|give_back|died|retry_or_fail|cancel|begin)(?= *[,}])", "ignore"),
]
# Functions that are not the scheduler or the journal: the accounts' own checker, the lines of --debug.
EXCLUDED = re.compile(r"budget_check|describe_\w+|state_record_describe|trace_record")
# Numbers that are handed out once, so that `<` and `<=` are the same: turns of the budget.
UNIQUE = re.compile(r"\bturn <")
SKIP = re.compile(r"^\s*(/?\*|//|#|assert|static |struct |typedef |\}|$)|.*\b(bug|_Static_assert)\(")


class Mutant:
    def __init__(self, name, line, what, before, text, key):
        self.name, self.line, self.what, self.before, self.text, self.key = name, line, what, before, text, key

    def __str__(self):
        return f"{self.name}:{self.line + 1}: {self.what}: {self.before}"


def places(line, table):
    """Where in a line, what and by what."""
    for what, pattern, replacement in OPERATORS:
        if what.startswith("cell") == table and not (UNIQUE.search(line) and what.startswith("less") and "equal" in what):
            for m in re.finditer(pattern, line):
                yield what, m.start(), line[:m.start()] + replacement + line[m.end():]


def candidates(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        lines = f.read().split("\n")
    in_comment, function, seen = False, "", {}
    for i, line in enumerate(lines):
        start = line.find("/*")
        if in_comment or (start == 0):
            in_comment = "*/" not in line
            continue
        head = re.match(r"[a-z].*?(\w+)\(", line)
        function = head.group(1) if head else function
        table = re.match(r"\t\[(SCHED|JOB|WORKER)_\w+\] *= \{", line)
        if (SKIP.match(line) and not table) or EXCLUDED.fullmatch(function):
            continue
        code = line if start < 0 else line[:start]
        in_comment = start >= 0 and "*/" not in line
        for what, at, new in places(code, bool(table)):
            # What it is called must outlive changes elsewhere in the file: no line number, but the how-manieth of its kind.
            kind = f"{name}: {what} @{at}: {line.strip()}"
            seen[kind] = seen.get(kind, 0) + 1
            yield Mutant(name, i, what, line.strip(), "\n".join(lines[:i] + [new + line[len(code):]] + lines[i + 1:]),
                         f"{kind} #{seen[kind]}")


def run(args, seconds=120):
    """seconds: of the processor; a busy machine is no verdict."""
    try:
        return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=15 * seconds,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))).returncode
    except subprocess.TimeoutExpired:
        return -1


def compile_to(source, target):
    return run(["gcc", *FLAGS, "-c", "-o", target, source]) == 0


def object_of(work, name):
    return os.path.join(work, name.replace("/", "_") + ".o")


def link(work, target, objects):
    return run(["gcc", "-fsanitize=address,undefined", "-o", target, *objects, "-lcrypto", "-lcmocka"]) == 0


def build_all(work):
    for name in MUTATED + FIXED + SIM + BASE + [*HELP.values()] + UNITS["sched"] + UNITS["state"]:
        if os.path.exists(os.path.join(ROOT, name)) and not compile_to(os.path.join(ROOT, name), object_of(work, name)):
            sys.exit(f"mutate: {name} does not compile as it is")
    objects = [object_of(work, n) for n in MUTATED + FIXED + BASE + SIM]
    if not link(work, os.path.join(work, "sim"), objects) or run([os.path.join(work, "sim"), "--count", "20"]) != 0:
        sys.exit("mutate: the simulation does not link, or fails, as it is")
    for test in UNITS["sched"] + UNITS["state"]:
        unit = os.path.join(work, "unit")
        parts = [object_of(work, n) for n in MUTATED + FIXED + BASE + [HELP[test.split("/")[1]], test]]
        if not link(work, unit, parts) or run([unit], SECONDS) != 0:
            sys.exit(f"mutate: {test} does not link, or fails, as it is")


def judge(work, number, mutant, count, fast):
    place = os.path.join(work, str(number))
    os.makedirs(place)
    source, obj = os.path.join(place, "m.c"), os.path.join(place, "m.o")
    with open(source, "w", encoding="utf-8") as f:
        f.write(mutant.text)
    try:
        if not compile_to(source, obj):
            return None
        rest = [object_of(work, n) for n in MUTATED + FIXED + BASE if n != mutant.name and os.path.exists(object_of(work, n))]
        sim, unit = os.path.join(place, "sim"), os.path.join(place, "unit")
        caught = {"sim": False, "unit": False}
        room = mutant.name.split("/")[1]
        for test in UNITS[room]:
            if not (fast and caught["unit"]):
                caught["unit"] |= not link(place, unit, [obj, *rest, object_of(work, test), object_of(work, HELP[room])]) or run([unit], SECONDS) != 0
        if not (fast and caught["unit"]):
            if not link(place, sim, [obj, *rest] + [object_of(work, n) for n in SIM]):
                return None
            caught["sim"] = run([sim, "--count", str(count), "--state", "2", "--quick"], SECONDS) != 0
        return caught
    finally:
        shutil.rmtree(place)


def judged(path):
    """key -> survived."""
    with open(path, encoding="utf-8") as f:
        return {line[9:].rstrip("\n"): line.startswith("survived") for line in f}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--mutants", type=int, default=150)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=2000)
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--only")
    p.add_argument("--again")
    p.add_argument("--report")
    p.add_argument("--judged")
    p.add_argument("--not-in", action="append", default=[])
    p.add_argument("--fast", action="store_true")
    p.add_argument("--list", action="store_true")
    a = p.parse_args()
    possible = [m for name in MUTATED if not a.only or a.only in name for m in candidates(name)]
    pool = possible
    if a.again:
        known = judged(a.again)
        pool = [m for m in pool if known.get(m.key)]
    for earlier in a.not_in:
        known = judged(earlier)
        pool = [m for m in pool if m.key not in known]
    if a.list:
        print(*pool, sep="\n")
        return
    chosen = random.Random(a.seed).sample(pool, min(a.mutants, len(pool)))
    work = tempfile.mkdtemp(prefix="mutate-")
    counts = {"sim": 0, "unit": 0, "either": 0, "all": 0}
    survivors = []
    try:
        build_all(work)
        with concurrent.futures.ThreadPoolExecutor(a.jobs) as threads:
            results = threads.map(lambda it: (it[1], judge(work, it[0], it[1], a.count, a.fast)), enumerate(chosen))
            for mutant, caught in results:
                if caught is None:
                    continue
                either = caught["sim"] or caught["unit"]
                counts["all"] += 1
                counts["sim"] += caught["sim"]
                counts["unit"] += caught["unit"]
                counts["either"] += either
                if not either:
                    survivors.append(str(mutant))
                    print("survived", mutant, flush=True)
                if a.judged:
                    with open(a.judged, "a", encoding="utf-8") as f:
                        f.write(f"{'caught  ' if either else 'survived'} {mutant.key}\n")
    finally:
        shutil.rmtree(work)
    line = (f"{counts['all']} mutants of {len(possible)} possible: caught by the simulation {counts['sim']}, by the unit tests "
            f"{counts['unit']}, by either {counts['either']} ({100 * counts['either'] / max(1, counts['all']):.1f} %)")
    print(line)
    if a.report:
        with open(a.report, "w", encoding="utf-8") as f:
            f.write("\n".join([line, *survivors]) + "\n")


main()
