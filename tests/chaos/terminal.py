#!/usr/bin/env python3
"""terminal.py MILLRACE: what a person meets at a terminal: the questions after ^C and after a failure with every answer to them,
a second ^C, ^Z and fg, a hang-up; with commands running in sandboxes.  Speaks TAP.

After each: the exit code is right, no process is left after a second, and nothing is mounted or left in the cache.
"""
import argparse
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import common

BASE = """kind: import
sources: [{kind: local, path: base}]
"""
MANUAL = """kind: manual
build-depends: [base.bst]
variables: {strip-binaries: ""}
sources: [{kind: local, path: files}]
config:
  build-commands:
  - %s
  install-commands: ["mkdir -p %%{install-root}", "echo done > %%{install-root}/%s"]
"""
TOOLS = ["sh", "sleep", "mkdir", "echo", "cat", "test", "touch", "setsid", "env", "pwd", "ls"]


def make_project(top):
    os.makedirs(f"{top}/project/base/bin")
    os.makedirs(f"{top}/project/elements")
    os.makedirs(f"{top}/project/files")
    shutil.copy(shutil.which("busybox"), f"{top}/project/base/bin/busybox")
    for name in TOOLS:
        os.symlink("busybox", f"{top}/project/base/bin/{name}")
    files = {"project.conf": "name: t\nmin-version: 2.0\nelement-path: elements\n", "elements/base.bst": BASE,
             "files/text": "text\n", "elements/fails.bst": MANUAL % ("echo said before; exit 7", "fails")}
    for name in "abcdef":  # one of the processes goes into a session of its own
        files[f"elements/{name}.bst"] = MANUAL % (f"setsid sleep 1.5 & sleep 1.5; echo {name}", name)
    files["elements/all.bst"] = "kind: stack\ndepends: [a.bst, b.bst, c.bst, d.bst, e.bst, f.bst]\n"
    files["elements/some.bst"] = "kind: stack\ndepends: [fails.bst, a.bst]\n"
    for name, text in files.items():
        with open(f"{top}/project/{name}", "w", encoding="utf-8") as f:
            f.write(text)
    with open(f"{top}/conf", "w", encoding="utf-8") as f:
        f.write(f"cachedir: {top}/cache\nscheduler: {{builders: 2}}\n")


class Terminal:
    """A session on a terminal of its own."""

    def __init__(self, program, top, *words):
        self.top, self.seen, self.status = top, "", None
        shutil.rmtree(f"{top}/cache/artifacts", ignore_errors=True)
        env = dict(os.environ, HOME=f"{top}/home", PAGER="cat", TERM="xterm")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(f"{top}/project")
            os.execve(program, [program, "-c", f"{top}/conf", "--no-colors", *words], env)

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return None
        self.seen += data.decode(errors="replace")
        return bool(data) or None

    def wait_for(self, pattern, seconds=20.0):
        """Reads until the pattern is seen; what stood before it is then forgotten."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return
            if self.read(0.1) is None:
                break
        found = re.search(pattern, self.seen)
        if not found:
            raise AssertionError(f"{pattern!r} was not seen, but:\n{self.seen[-1500:]}")
        self.seen = self.seen[found.end():]

    def send(self, text):
        os.write(self.fd, text.encode())

    def end(self, seconds=20.0):
        """The exit code (negative: of a signal), and how long it took."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0.05):
                    pass
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status), time.monotonic() - start
            self.read(0.02)
        raise AssertionError(f"did not end within {seconds} s; last:\n{self.seen[-1500:]}")

    def sleepers(self):
        """Processes in sandboxes that sleep."""
        found = []
        for pid in common.descendants(self.pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if f.read().startswith(b"sleep\0"):
                        found.append(pid)
            except OSError:
                pass
        return found

    def wait_for_sleepers(self, count):
        end = time.monotonic() + 20
        while len(self.sleepers()) < count:
            self.read(0.02)
            if time.monotonic() > end:
                raise AssertionError(f"{len(self.sleepers())} commands run instead of {count}; last:\n{self.seen[-1500:]}")


def states(pids):
    found = set()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
                found.add(f.read().rpartition(b")")[2].split()[0].decode())
        except OSError:
            found.add("gone")
    return found


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r} instead of {wanted!r}")


def interrupted(program, top, *words):
    t = Terminal(program, top, *words, "build", "all.bst")
    t.wait_for_sleepers(2)
    t.send("\x03")
    t.wait_for("User interrupted with \\^C")
    t.wait_for("Choice:.*: ")
    return t


def ends_at_once(t):
    code, took = t.end()
    expect("exit code", code, 255)
    if took > 1.0:
        raise AssertionError(f"took {took:.2f} s")


def interrupt_continue(program, top):
    t = interrupted(program, top)
    sleepers = t.sleepers()
    expect("what runs while a person is asked", states(sleepers), {"T"})
    t.send("c\n")
    t.wait_for("Continuing")
    code, _ = t.end(40)
    expect("exit code", code, 0)


def interrupt_quit(program, top):
    t = interrupted(program, top)
    t.send("q\n")
    t.wait_for("Completing ongoing tasks before quitting")
    t.wait_for("Build Queue: +processed [1-9]")
    t.end()
    built = sorted(set(os.listdir(f"{top}/cache/artifacts/refs/t")) & set("abcdef"))
    if len(built) > 2:  # what was running, whichever they were
        raise AssertionError(f"built after quit: {built}")


def interrupt_terminate(program, top):
    t = interrupted(program, top)
    t.send("terminate\n")
    ends_at_once(t)


def interrupt_twice(program, top):
    t = interrupted(program, top)
    t.send("\x03")
    ends_at_once(t)


def odd_answers(program, top):
    t = interrupted(program, top)
    t.send("nonsense\n")
    t.wait_for("Expected one of")
    t.send("\n")
    t.wait_for("Continuing")
    expect("exit code", t.end(40)[0], 0)


def stopped(program, top, *words):
    """^Z and fg; what the shell would do is done by us."""
    t = Terminal(program, top, *words, "build", "all.bst")
    t.wait_for_sleepers(2)
    t.send("\x1a")
    end = time.monotonic() + 5
    while states([t.pid]) != {"T"}:
        t.read(0.02)
        if time.monotonic() > end:
            raise AssertionError(f"it did not stop: {states([t.pid])}")
    everybody = common.descendants(t.pid)
    while states(everybody) - {"Z"} != {"T"} and time.monotonic() < end:
        time.sleep(0.01)  # a signal that was sent is not yet one that was taken
        everybody = common.descendants(t.pid)
    expect("what runs while it is stopped", states(everybody) - {"Z"}, {"T"})
    time.sleep(0.5)
    expect("what runs a little later", states(everybody) - {"Z"}, {"T"})
    os.kill(t.pid, signal.SIGCONT)
    code, _ = t.end(40)
    expect("exit code", code, 0)


def stopped_inline(program, top):
    stopped(program, top, "--scheduler=inline")


def stopped_fork(program, top):
    stopped(program, top, "--scheduler=fork")


def hung_up(program, top):
    t = Terminal(program, top, "build", "all.bst")
    t.wait_for_sleepers(2)
    os.close(t.fd)
    start = time.monotonic()
    while os.waitpid(t.pid, os.WNOHANG)[0] == 0:
        if time.monotonic() - start > 1.5:
            raise AssertionError("a closed terminal did not end it")
        time.sleep(0.01)


def failing(program, top):
    t = Terminal(program, top, "build", "some.bst")
    t.wait_for("Build failure on element: fails.bst")
    return t


def failed(program, top):
    t = failing(program, top)
    for line in ("\\(c\\)ontinue", "\\(q\\)uit", "\\(t\\)erminate", "\\(r\\)etry", "\\(l\\)og", "\\(s\\)hell"):
        t.wait_for(line)
    t.wait_for("Choice:.*: ")
    return t


def failure_log(program, top):
    t = failed(program, top)
    t.send("l\n")
    t.wait_for("said before")
    t.wait_for("Choice:.*: ")
    t.send("c\n")
    t.wait_for("Continuing with other non failing elements")
    expect("exit code", t.end(40)[0], 255)


def failure_shell(program, top):
    t = failed(program, top)
    t.send("s\n")
    t.wait_for("Dropping into an interactive shell in the failed build sandbox")
    t.wait_for("fails.bst:/buildstream/t/fails.bst\\]\\$ ")
    t.send("cat text; echo answer is $((6 * 7)); exit\n")
    t.wait_for("answer is 42")
    t.wait_for("Build failure on element: fails.bst")
    t.wait_for("Choice:.*: ")
    t.send("q\n")
    t.wait_for("Completing ongoing tasks before quitting")
    expect("exit code", t.end(40)[0], 255)


def failure_retry(program, top):
    t = failed(program, top)
    t.send("r\n")
    t.wait_for("Retrying failed job")
    t.wait_for("Build failure on element: fails.bst")
    t.wait_for("Choice:.*: ")
    t.send("t\n")
    t.wait_for("Terminating all jobs")
    ends_at_once(t)


def failure_interrupt(program, top):
    t = failed(program, top)
    t.send("\x03")
    ends_at_once(t)


def failure_interrupt_early(program, top):
    """^C while the question is still being written."""
    t = failing(program, top)
    t.wait_for("\\(c\\)ontinue")
    t.send("\x03")
    ends_at_once(t)


CASES = [interrupt_continue, interrupt_quit, interrupt_terminate, interrupt_twice, odd_answers, stopped, stopped_fork,
         stopped_inline, hung_up, failure_log, failure_shell, failure_retry, failure_interrupt,
         failure_interrupt_early]


def run_case(case, program, top):
    try:
        case(program, top)
    except AssertionError as e:
        for pid in common.descendants():
            common.kill(pid)
        common.nobody_left()
        return str(e)
    wrong = common.nobody_left(1.0)
    if not wrong and common.mounts_below(top):
        wrong = f"still mounted: {common.mounts_below(top)}"
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    if not shutil.which("busybox") or not common.can_sandbox():
        common.skip_all("needs busybox and bubblewrap")
    common.become_subreaper()
    tap = common.Tap()
    with tempfile.TemporaryDirectory(prefix="millrace-terminal-") as top:
        make_project(top)
        warm = subprocess.run([os.path.abspath(args.program), "-c", f"{top}/conf", "--no-interactive", "build", "base.bst"],
                              cwd=f"{top}/project", capture_output=True, text=True, check=False)
        tap.case("the base is built", warm.stderr[-500:] if warm.returncode else None)
        for case in CASES:
            if args.cases and case.__name__ not in args.cases:
                continue
            tap.case(case.__name__.replace("_", " "), run_case(case, os.path.abspath(args.program), top))
        wrong = common.nobody_left(10.0)  # the sync at the end of a session goes on in the background
        left = common.leftovers(f"{top}/cache")
        tap.case("nothing is left in the cache", wrong or (f"left: {left}" if left else None))
    return tap.end()


sys.exit(main())
