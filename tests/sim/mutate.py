#!/usr/bin/env python3
"""Does the simulation notice when the scheduler or the journal is wrong?  Breaks them mechanically, one small change at a
time, and counts how many of the broken ones are caught.

usage: mutate.py [--mutants N] [--seed N] [--count SCHEDULES] [--jobs N] [--only FILE] [--again FILE] [--report FILE] [--not-in SEED:COUNT]

Each mutant differs from the tree in one place: a comparison flipped or off by one, an increment, decrement, assignment or
call left out, a condition negated, `and` for `or`.  It is compiled, then judged by the unit tests of its room and by the
simulator, both with the address and undefined behaviour sanitizers, as ./check has them.  A mutant that does not end within a minute is caught too; one that does not compile is not counted.
"""
import argparse
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHED = ["budget", "heap", "jobs", "next", "plan", "resources", "sched", "slots", "weigh", "workers"]
FIXED = ["src/sched/check.c", "src/state/state.c", "src/state/record.c"]
MUTATED = [f"src/sched/{name}.c" for name in SCHED] + ["src/state/journal.c"]
SIM = [f"tests/sim/{name}.c" for name in ("main", "world", "model", "graph", "twin", "tokens")]
BASE = [f"src/base/{name}.c" for name in ("arena", "buf", "diag", "digest", "fs", "map", "util")]
UNITS = {"sched": ["src/sched/test_sched.c", "src/sched/test_parts.c", "src/sched/test_budget.c"], "state": ["src/state/test_state.c"]}
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
SKIP = re.compile(r"^\s*(/?\*|//|#|assert|static |struct |typedef |\}|$)|.*\b(bug|_Static_assert)\(")


def candidates(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        lines = f.read().split("\n")
    in_comment = False
    for i, line in enumerate(lines):
        start = line.find("/*")
        if in_comment or (start == 0):
            in_comment = "*/" not in line
            continue
        table = re.match(r"\t\[(SCHED|JOB|WORKER)_\w+\] *= \{", line)
        if SKIP.match(line) and not table:
            continue
        code = line if start < 0 else line[:start]
        in_comment = start >= 0 and "*/" not in line
        for what, pattern, replacement in OPERATORS:
            if what.startswith("cell") != bool(table):
                continue
            for m in re.finditer(pattern, code):
                new = line[:m.start()] + replacement + line[m.end():]
                yield name, i, what, line.strip(), "\n".join(lines[:i] + [new] + lines[i + 1:])



def run(args, seconds=120):
    try:
        return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        return -1


def compile_to(source, target):
    return run(["gcc", *FLAGS, "-c", "-o", target, source]) == 0


def object_of(work, name):
    return os.path.join(work, name.replace("/", "_") + ".o")


def link(work, target, objects):
    return run(["gcc", "-fsanitize=address,undefined", "-o", target, *objects, "-lcrypto", "-lcmocka"]) == 0


def build_all(work):
    for name in MUTATED + FIXED + SIM + BASE + UNITS["sched"] + UNITS["state"]:
        if os.path.exists(os.path.join(ROOT, name)) and not compile_to(os.path.join(ROOT, name), object_of(work, name)):
            sys.exit(f"mutate: {name} does not compile as it is")
    objects = [object_of(work, n) for n in MUTATED + FIXED + BASE + SIM]
    if not link(work, os.path.join(work, "sim"), objects) or run([os.path.join(work, "sim"), "--count", "20"]) != 0:
        sys.exit("mutate: the simulation does not link, or fails, as it is")


def judge(work, number, mutant, count):
    name, line, what, before, text = mutant
    place = os.path.join(work, str(number))
    os.makedirs(place)
    source, obj = os.path.join(place, "m.c"), os.path.join(place, "m.o")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    try:
        if not compile_to(source, obj):
            return None
        rest = [object_of(work, n) for n in MUTATED + FIXED + BASE if n != name and os.path.exists(object_of(work, n))]
        sim, unit = os.path.join(place, "sim"), os.path.join(place, "unit")
        if not link(place, sim, [obj, *rest] + [object_of(work, n) for n in SIM]):
            return None
        caught = {"sim": run([sim, "--count", str(count), "--state", "2", "--quick"], 60) != 0, "unit": False}
        for test in UNITS[name.split("/")[1]]:
            caught["unit"] |= not link(place, unit, [obj, *rest, object_of(work, test)]) or run([unit], 60) != 0
        return caught
    finally:
        shutil.rmtree(place)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--not-in", action="append", default=[], help="leave out those of the sample that this seed:count gives")
    p.add_argument("--mutants", type=int, default=150)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=2000)
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--only")
    p.add_argument("--again", help="only those that survived, from an earlier report")
    p.add_argument("--report")
    a = p.parse_args()
    pool = [m for name in MUTATED if not a.only or a.only in name for m in candidates(name)]
    if a.again:
        with open(a.again, encoding="utf-8") as f:
            known = {tuple(part.strip() for part in (re.sub(r":\d+$", "", line.split(": ", 1)[0]), line.split(": ", 1)[1]))
                     for line in f.read().replace("survived ", "").splitlines() if line.startswith("src/")}
        pool = [m for m in pool if (m[0], f"{m[2]}: {m[3]}") in known]
    for earlier in a.not_in:
        seed, count = map(int, earlier.split(":"))
        known = {m[:4] for m in random.Random(seed).sample(pool, min(count, len(pool)))}
        pool = [m for m in pool if m[:4] not in known]
    chosen = random.Random(a.seed).sample(pool, min(a.mutants, len(pool)))
    work = tempfile.mkdtemp(prefix="mutate-")
    counts = {"sim": 0, "unit": 0, "either": 0, "all": 0}
    survivors = []
    try:
        build_all(work)
        with concurrent.futures.ThreadPoolExecutor(a.jobs) as threads:
            results = threads.map(lambda it: (it[1], judge(work, it[0], it[1], a.count)), enumerate(chosen))
            for mutant, caught in results:
                if caught is None:
                    continue
                counts["all"] += 1
                counts["sim"] += caught["sim"]
                counts["unit"] += caught["unit"]
                counts["either"] += caught["sim"] or caught["unit"]
                if not caught["sim"] and not caught["unit"]:
                    survivors.append(f"{mutant[0]}:{mutant[1] + 1}: {mutant[2]}: {mutant[3]}")
                    print("survived", survivors[-1], flush=True)
    finally:
        shutil.rmtree(work)
    line = (f"{counts['all']} mutants of {len(pool)} possible: caught by the simulation {counts['sim']}, by the unit tests "
            f"{counts['unit']}, by either {counts['either']} ({100 * counts['either'] / max(1, counts['all']):.1f} %)")
    print(line)
    if a.report:
        with open(a.report, "w", encoding="utf-8") as f:
            f.write("\n".join([line, *survivors]) + "\n")


main()
