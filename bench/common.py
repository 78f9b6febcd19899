"""What the benchmarks share: running a program for its wall time and peak memory, finding bst, printing tables."""
import argparse
import contextlib
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)


class Run:
    """One finished run: seconds, peak memory in KiB and processor time of all its processes (unless output is kept), exit code,
    standard output."""

    def __init__(self, argv, cwd=None, env=None, keep_output=False):
        full = dict(os.environ)
        full.update(env or {})
        start = time.perf_counter()
        out = subprocess.PIPE if keep_output else subprocess.DEVNULL
        child = subprocess.Popen(argv, cwd=cwd, env=full, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        self.stdout, self.stderr = child.communicate() if keep_output else (b"", child.stderr.read())
        if keep_output:
            self.peak_kib = self.cpu = 0
            self.code = child.returncode
        else:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = self.code = os.waitstatus_to_exitcode(status)
            self.peak_kib, self.cpu = usage.ru_maxrss, usage.ru_utime + usage.ru_stime
        self.seconds = time.perf_counter() - start

    def must(self):
        if self.code:
            sys.stderr.write(self.stderr.decode(errors="replace")[-4000:])
            raise SystemExit(f"benchmark: a run ended with {self.code}")
        return self


class Tool:
    """One tool to be measured, with a cache of its own below top, or one after the other: Millrace or bst."""

    def __init__(self, name, program, top, project, sources=None, settings=""):
        self.name, self.program, self.top, self.project, self.sources, self.settings = name, program, top, project, sources, settings
        self.caches = 0
        self.new_cache()

    def new_cache(self):
        self.caches += 1
        self.cache = f"{self.top}/cache-{self.name}-{self.caches}"
        self.config = self.write_config(f"{self.top}/{self.name}.conf", self.settings)

    def write_config(self, path, settings):
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"cachedir: {self.cache}\nlogdir: {self.cache}/logs\nsourcedir: {self.sources or self.cache + '/sources'}\n{settings}")
        return path

    def run(self, *words, **options):
        return Run([self.program, "-c", self.config, "--no-interactive", *words], cwd=self.project, **options).must()

    def fetch(self, *words):
        """What is to be measured needs no network.  The cache that this fills is not used again."""
        self.run("source", "fetch", *words)
        self.new_cache()


def tool_arguments(element, rounds, settle):
    """The parser of a benchmark that compares the tools on a real project."""
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--project", required=True)
    parser.add_argument("--element", default=element)
    parser.add_argument("--bst")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--sources", help="directory of fetched sources, used by both; default: they are fetched")
    parser.add_argument("--settle", type=float, default=settle, help="seconds in which the disk comes to rest")
    parser.add_argument("--write", help="file below docs/results")
    return parser


@contextlib.contextmanager
def tools(args, settings="", deps=()):
    """Millrace and, if it is there, bst, in a directory that is removed in the end; sources are there already."""
    bst = find_bst(args.bst)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-", dir=os.environ.get("BENCH_TMP")) as top:
        sources = os.path.abspath(args.sources) if args.sources else f"{top}/sources"
        pair = [Tool(name, program, top, args.project, sources, settings)
                for name, program in (("millrace", os.path.abspath(f"{args.build}/src/millrace")), ("bst", bst)) if program]
        if not args.sources:
            pair[-1].fetch(*deps, args.element)
        yield pair
        drop(top)
        os.mkdir(top)


def median(runs):
    return statistics.median(run.seconds for run in runs)


def find_bst(given=None):
    """Path of bst 2.8.1: as given, from $BST, or from PATH; None if there is none."""
    return given or os.environ.get("BST") or shutil.which("bst")


def drop(path):
    subprocess.run(["chmod", "-R", "u+rwX", path], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(path, ignore_errors=True)


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head] + rows) for i in range(len(head))]
    lines = ["| " + " | ".join(str(cell).ljust(w) for cell, w in zip(row, widths)) + " |" for row in [head] + rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def seconds(value):
    return f"{value:.3f} s" if value < 10 else f"{value:.1f} s"


def machine():
    load = os.getloadavg()[0]
    note = "" if load < 1 else f"; the machine was busy (load {load:.1f}), so read ratios, not times"
    return f"{os.cpu_count()} processors, Linux {platform.release()}, {datetime.date.today()}{note}"


def write_result(name, text):
    """Writes docs/results/NAME."""
    where = os.path.join(TOP, "docs", "results")
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, name), "w", encoding="utf-8") as f:
        f.write(text)
