#!/usr/bin/env python3
"""run.py MILLRACE FILE.test...: runs scenarios against the built program and speaks TAP.

A scenario is a text file: first lines say what it shows (each with '# '), then sections that start with '-- ':

    -- file PATH [executable]     the lines up to the next section become a file of the project
    -- link PATH TARGET           a symbolic link
    -- dir PATH                   an empty directory
    -- sh                         a shell script, run now in the project; must succeed
    -- run COMMAND                shell text; `millrace` is the program under test
    -- exit N                     expected exit code of the last run (0 if not given)
    -- stdout                     the exact standard output expected
    -- stdout-has / stderr-has    each line must be found in it (as text)
    -- stdout-lacks / stderr-lacks
    -- stdout-match / stderr-match  each line is a regular expression that must be found
    -- error DOMAIN REASON        what BST_ERROR_FILE must hold for the last run
    -- needs WORD                 skip unless: root | user | user-switch | a program's name | bwrap | overlay | shared | busybox

`$DIR` in COMMAND and expectations is the project's directory; each scenario has a home and a cache of its own, so
several may run at once and none touches the user's.  With KEEP=1 the directories stay.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 300


def parse(path):
    title, sections, body = [], [], None
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("-- "):
                words = line[3:].rstrip("\n").split(" ", 1)
                body = []
                sections.append((number, words[0], words[1] if len(words) > 1 else "", body))
            elif body is None:
                title.append(line.lstrip("# ").strip())
            else:
                body.append(line)
    return " ".join(title), sections


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def has(word):
    if word == "root":
        return os.getuid() == 0
    if word == "user":
        return os.getuid() != 0
    if word == "user-switch":
        return os.getuid() == 0 and shutil.which("setpriv")
    if word == "bwrap":
        return shutil.which("bwrap") and subprocess.run(
            ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"], capture_output=True).returncode == 0
    if word == "busybox":
        return os.path.exists("/bin/busybox") or os.path.exists("/usr/bin/busybox")
    if word == "shared":
        return os.path.isdir(os.environ.get("MILLRACE_SHARED", ""))
    return shutil.which(word)


class Scenario:
    def __init__(self, program, path):
        self.program, self.path = os.path.abspath(program), path
        self.top = tempfile.mkdtemp(prefix="millrace-scenario-")
        self.dir = os.path.join(self.top, "project")
        os.mkdir(self.dir)
        self.result, self.expected_exit, self.checked = None, 0, True
        bin_dir = os.path.join(self.top, "bin")
        os.mkdir(bin_dir)
        os.symlink(self.program, os.path.join(bin_dir, "millrace"))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "BST_"))}
        self.env.update(HOME=os.path.join(self.top, "home"), PATH=bin_dir + ":" + os.environ["PATH"], DIR=self.dir,
                        LC_ALL="C.UTF-8", BST_ERROR_FILE=os.path.join(self.top, "errors"), TOP=self.top,
                        SCENARIOS=os.path.dirname(os.path.abspath(path)))
        os.mkdir(self.env["HOME"])

    def text(self, body):
        return "".join(body).replace("$DIR", self.dir)

    def settle(self):
        if self.result is not None and not self.checked and self.result.returncode != self.expected_exit:
            raise Failed(f"exit code {self.result.returncode}, expected {self.expected_exit}")
        self.checked = True

    def shell(self, command):
        return subprocess.run(["sh", "-c", command], cwd=self.dir, env=self.env, capture_output=True, text=True,
                              errors="surrogateescape", timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)

    def do(self, word, rest, body):
        text = self.text(body)
        if word == "needs":
            if not has(rest):
                raise Skipped(f"needs {rest}")
        elif word in ("file", "link", "dir"):
            name, _, rest = rest.partition(" ")
            where = os.path.join(self.dir, name)
            os.makedirs(where if word == "dir" else os.path.dirname(where), exist_ok=True)
            if word == "link":
                os.symlink(rest, where)
            elif word == "file":
                with open(where, "w", encoding="utf-8", errors="surrogateescape") as f:
                    f.write("".join(body))
                os.chmod(where, 0o755 if rest == "executable" else 0o644)
        elif word == "sh":
            done = self.shell(text)
            if done.returncode:
                raise Failed(f"set-up failed with {done.returncode}: {done.stdout}{done.stderr}")
        elif word == "run":
            self.settle()
            open(self.env["BST_ERROR_FILE"], "w").close()
            self.result, self.expected_exit, self.checked = self.shell(rest + "\n" + text), 0, False
        elif word == "exit":
            self.expected_exit = int(rest)
        elif word == "stdout":
            if self.result.stdout != text:
                raise Failed(f"standard output differs, expected:\n{text}")
        elif word == "error":
            self.error(rest.split())
        else:
            self.compare(word, text)

    def compare(self, word, text):
        stream, _, how = word.partition("-")
        if stream not in ("stdout", "stderr") or how not in ("has", "lacks", "match"):
            raise Failed(f"unknown section '{word}'")
        got = getattr(self.result, stream)
        for line in filter(None, text.split("\n")):
            found = re.search(line, got, re.M) if how == "match" else line in got
            if bool(found) == (how == "lacks"):
                raise Failed(f"{stream} {how}: {line}")

    def error(self, wanted):
        with open(self.env["BST_ERROR_FILE"], encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        got = [[line["domain"], line.get("reason") or ""][:len(wanted)] for line in lines]
        if wanted not in got:
            raise Failed(f"error file has {got}, expected {wanted}")

    def run(self, sections):
        for number, word, rest, body in sections:
            try:
                self.do(word, rest, body)
            except (Failed, subprocess.TimeoutExpired) as failure:
                raise Failed(f"line {number}: {failure}") from None
        self.settle()

    def close(self):
        if not os.environ.get("KEEP"):
            subprocess.run(["chmod", "-R", "u+rwX", self.top], capture_output=True)
            shutil.rmtree(self.top, ignore_errors=True)


def comment(text):
    for line in text.rstrip("\n").split("\n")[-80:]:
        print("#   " + line.encode("utf-8", "backslashreplace").decode())


def main():
    program, paths = sys.argv[1], sys.argv[2:]
    print(f"1..{len(paths)}")
    bad = False
    for number, path in enumerate(paths, 1):
        title, sections = parse(path)
        name = os.path.basename(path)[:-5] + ": " + title
        scenario = Scenario(program, path)
        try:
            scenario.run(sections)
            print(f"ok {number} - {name}")
        except Skipped as why:
            print(f"ok {number} - {name} # SKIP {why}")
        except Failed as failure:
            bad = True
            print(f"not ok {number} - {name}")
            comment(str(failure))
            if scenario.result is not None:
                comment("stdout:\n" + scenario.result.stdout)
                comment("stderr:\n" + scenario.result.stderr)
        finally:
            scenario.close()
        sys.stdout.flush()
    sys.exit(bad)


if __name__ == "__main__":
    main()
