#!/usr/bin/env python3
"""kinds.py MILLRACE VENV_DIR SCENARIO.test...: elements of plugin kinds, built by Millrace and by bst 2.8.1.  Speaks TAP.

The projects are those of the scenarios, with the real plugins in place of the names that stand for them there.  Both tools
build what the scenario asks digests of; keys, digests, states and what sources tell must be the same.  The digests that
stand in the scenarios were bst's in such a run.  Skips where bst cannot be had.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "tests", "scenario"))
sys.path.insert(1, os.path.join(TOP, "tests", "chaos"))
import run as scenarios  # noqa: E402
from common import can_stage_with_bst  # noqa: E402

MILLRACE, VENV, FILES = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:]
FORMAT = "%{name} %{full-key} %{artifact-cas-digest} %{state}"
ASKED = re.compile(r"millrace show --deps none --format '%\{name\} %\{artifact-cas-digest\}' (.*)")


def prepare(path, top):
    """The scenario's project below top, as it stands before the first command, and the elements it asks digests of."""
    sections = scenarios.parse(path)[1]
    scenario = scenarios.Scenario(MILLRACE, path)
    targets = next(found.group(1).split() for _, word, rest, _ in sections
                   if word == "run" and (found := ASKED.match(rest)))
    for _, word, rest, body in sections:
        if word == "run":
            break
        scenario.do(word, rest, body)
    return scenario, targets


def put_plugins(directory, venv):
    """Real plugins for those in the directory.  Helpers of both packages have one name: what both have in them is joined."""
    site = glob.glob(os.path.join(venv, "lib", "python3*", "site-packages"))[0]
    packages = [os.path.join(site, "buildstream_plugins_community"), os.path.join(site, "buildstream_plugins")]
    kinds = [os.path.basename(path) for path in glob.glob(os.path.join(directory, "*.py"))]
    with open(os.path.join(directory, "..", "project.conf"), encoding="utf-8") as f:
        sources = re.findall(r"\w+", "".join(re.findall(r"^ *sources: \[(.*)\]", f.read(), re.M)))
    for package in packages:
        for path in glob.glob(os.path.join(package, "*", "*.py")):
            name = os.path.basename(path)
            where = "sources" if name[:-3] in sources else "elements"
            if name in kinds and os.path.basename(os.path.dirname(path)) == where:
                shutil.copy(path, os.path.join(directory, name))
            elif name not in kinds and name.startswith("_") and name != "__init__.py" or name == "git_tag.py":
                with open(path, encoding="utf-8") as source, open(os.path.join(directory, name), "a", encoding="utf-8") as to:
                    to.write(source.read() + "\n")


class Tool:
    def __init__(self, program, scenario, name):
        self.program, self.scenario = program, scenario
        self.config = os.path.join(scenario.top, name + ".conf")
        user = os.path.join(scenario.dir, "user.conf")
        text = open(user, encoding="utf-8").read() if os.path.exists(user) else ""
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"cachedir: {scenario.top}/{name}\nlogdir: {scenario.top}/{name}/logs\n"
                    f"sourcedir: {scenario.top}/sources\n{text}")

    def run(self, *words):
        done = subprocess.run([self.program, "-c", self.config, "--no-interactive", *words], cwd=self.scenario.dir,
                              env=self.scenario.env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise AssertionError(f"{os.path.basename(self.program)} {' '.join(words)} ended with {done.returncode}\n"
                                 f"{done.stderr[-4000:]}")
        return done.stdout

    def results(self, targets):
        self.run("build", *targets)
        return (sorted(self.run("show", "--deps", "none", "--format", FORMAT, *targets).split("\n")),
                self.run("show", "--deps", "all", "--format", "%{name}\n%{source-info}", *targets))


def compare(path, bst, top):
    scenario, targets = prepare(path, top)
    try:
        put_plugins(os.path.join(scenario.dir, "plugins"), os.path.dirname(os.path.dirname(bst)))
        # bst second: its git sources cannot be fetched from files with every release of dulwich, but are taken from here
        ours, our_infos = Tool(MILLRACE, scenario, "millrace").results(targets)
        theirs, their_infos = Tool(bst, scenario, "bst").results(targets)
        differ = [f"{a}\nbst: {b}" for a, b in zip(ours, theirs) if a != b]
        if differ:
            raise AssertionError("\n".join(differ))
        if our_infos != their_infos:
            raise AssertionError(f"sources:\n{our_infos}\nbst:\n{their_infos}")
    finally:
        scenario.close()


def main():
    made = subprocess.run([os.path.join(TOP, "tools", "peer-venv"), VENV], capture_output=True, text=True)
    works = scenarios.has("bwrap") and scenarios.has("busybox")
    missing = ("bst 2.8.1, bubblewrap or busybox cannot be had here" if made.returncode or not works else
               "bst cannot stage here: /dev/fuse is not open to this user" if not can_stage_with_bst() else None)
    bad = False
    print(f"1..{len(FILES)}")
    with tempfile.TemporaryDirectory(prefix="millrace-peer-") as top:
        for number, path in enumerate(FILES, 1):
            name = os.path.basename(path)[:-len(".test")]
            if missing:
                print(f"ok {number} - {name} # SKIP {missing}")
                continue
            try:
                compare(path, made.stdout.strip(), top)
                print(f"ok {number} - {name}")
            except AssertionError as failure:
                bad = True
                print(f"not ok {number} - {name}")
                scenarios.comment(str(failure))
            sys.stdout.flush()
    sys.exit(bad)


main()
