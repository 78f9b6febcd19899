#!/usr/bin/env python3
"""imports.py BUILD_DIR [--count N] [--bst PATH] [--rounds N]: first build, nothing-to-do build and show of N imports.

Millrace and bst 2.8.1 in one run, each with a cache of its own, beside the floor: a bare two-process loop in C that
creates the same files.  Prints a table of ratios.  Without bst the ratios to it are left out.
"""
import argparse
import os
import subprocess
import tempfile

import common


def config(path, cache):
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"cachedir: {cache}\n")
    return path


class Tool:
    def __init__(self, name, program, top, project):
        self.name, self.program, self.project = name, program, project
        self.cache = f"{top}/cache-{name}"
        self.config = config(f"{top}/{name}.conf", self.cache)

    def run(self, *words):
        return common.Run([self.program, "-c", self.config, "--no-interactive", *words], cwd=self.project).must()

    def measure(self, rounds):
        first = []
        for _ in range(1 if self.name == "bst" else rounds):
            common.drop(self.cache)
            first.append(self.run("build", "all.bst"))
        again = [self.run("build", "all.bst") for _ in range(2 if self.name == "bst" else 2 * rounds + 1)]
        show = [self.run("show", "--deps", "all", "--format", "%{name} %{full-key}", "all.bst")
                for _ in range(2 if self.name == "bst" else 2 * rounds + 1)]
        state = [self.run("show", "--deps", "all", "--format", "%{name} %{state}", "all.bst")
                 for _ in range(1 if self.name == "bst" else rounds)]
        return {"first build": first, "build, nothing to do": again, "show with keys": show, "show with states": state}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bst")
    args = parser.parse_args()
    bst = common.find_bst(args.bst)
    build = os.path.abspath(args.build)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as top:
        project = f"{top}/project"
        subprocess.run([f"{common.HERE}/gen-imports.py", project, str(args.count)], check=True)
        ours = Tool("millrace", f"{build}/src/millrace", top, project)
        mine = ours.measure(args.rounds)
        floor = []
        for i in range(args.rounds):
            out = subprocess.run([f"{build}/bench/floor_files", ours.cache, f"{top}/floor"], check=True, capture_output=True)
            floor.append(int(out.stdout.split()[2]) / 1e6)
            files = out.stdout.split()[0].decode()
            common.drop(f"{top}/floor")
        floor_s = sorted(floor)[len(floor) // 2]
        theirs = Tool("bst", bst, top, project).measure(args.rounds) if bst else {}
        rows = []
        for what, runs in mine.items():
            us = common.median(runs)
            peer = common.median(theirs[what]) if theirs else None
            rows.append([what, common.seconds(us), common.seconds(peer) if peer else "-",
                         f"{peer / us:.0f}x" if peer else "-", f"{max(r.peak_kib for r in runs) / 1024:.0f} MB",
                         f"{max(r.peak_kib for r in theirs[what]) / 1024:.0f} MB" if peer else "-"])
        print(f"{args.count} imports; the same {files} files made by a bare two-process loop: {floor_s:.3f} s; "
              f"first build is {common.median(mine['first build']) / floor_s:.2f}x that\n")
        print(common.table(["what", "Millrace", "bst 2.8.1", "faster", "memory", "bst's"], rows))


main()
