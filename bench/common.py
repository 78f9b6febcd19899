"""What the benchmarks share: running a program for its wall time and peak memory, finding bst, printing tables."""
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
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
