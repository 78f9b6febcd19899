"""What the chaos tests share: whose processes are left, what a cache holds, TAP."""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests under nohup: hang-ups are among what is tested


def sanitizer_environment():
    """For a program that may be built with the address sanitizer and is about to be maltreated.

    A process would report its SIGSEGV and exit, instead of dying of it; and the check for leaks at its end forks a helper which looks
    like a worker, and waits for ever for one that was killed.  All other tests look for leaks."""
    given = os.environ.get("ASAN_OPTIONS")
    return {"ASAN_OPTIONS": ":".join(filter(None, [given, "handle_segv=0", "detect_leaks=0"]))}


def become_subreaper():
    """From now on every process that a session leaves behind becomes our child, whatever its environment."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _table():
    parents, zombies = {}, set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as f:
                    words = f.read().rpartition(b")")[2].split()
            except OSError:
                continue
            parents[int(name)] = int(words[1])
            if words[0] == b"Z":
                zombies.add(int(name))
    return parents, zombies


def descendants(root=None):
    """Pids of all living processes below root (ourselves)."""
    root = root or os.getpid()
    parents, zombies = _table()
    found = []
    for pid in parents:
        at = pid
        while at in parents and at != root:
            at = parents[at]
        if at == root and pid != root and pid not in zombies:
            found.append(pid)
    return found


def describe(pids):
    texts = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                texts.append(f"{pid} {f.read().replace(bytes(1), b' ').decode(errors='replace')[:80]}")
        except OSError:
            pass
    return "; ".join(texts)


def end_unborn():
    """Ends children of bubblewrap that wait for a parent which was killed before it let them go; returns how many.

    bubblewrap 0.8's child waits for its parent's word on an eventfd, which has no end of file, and asks to die with its parent only after
    that.  Millrace ends such children when it is there to do so, the next process above as well as the worker; when all of them are
    killed within that millisecond, nobody is."""
    count = 0
    for pid in descendants():
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                name = f.read().strip()
            with open(f"/proc/{pid}/syscall", encoding="utf-8") as f:
                call = f.read().split()
            if name == "bwrap" and call[0] == "0" and os.readlink(f"/proc/{pid}/fd/{int(call[1], 16)}") == "anon_inode:[eventfd]":
                count += kill(pid)
        except (OSError, IndexError, ValueError):
            pass
    return count


def nobody_left(seconds=1.0):
    """None, or what still lives that long from now."""
    end = time.monotonic() + seconds
    while True:
        left = descendants()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        if not left:
            return None
        if time.monotonic() > end:
            return f"still there after {seconds} s: {describe(left)}"
        time.sleep(0.01)


def mounts_below(path):
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return [line.split()[4] for line in f if line.split()[4].startswith(path)]


def leftovers(cache):
    """Names in the cache that belong to a session that is over."""
    found = []
    for place, prefix in (("millrace/sandboxes", ""), ("millrace/layers", "tmp."), ("millrace/tmp", ""), ("cas/tmp", ""),
                          ("millrace/cas", "session-"), ("build", ""), ("tmp", "")):
        try:
            found += [f"{place}/{name}" for name in os.listdir(f"{cache}/{place}") if name.startswith(prefix)]
        except FileNotFoundError:
            pass
    return found


def can_sandbox():
    return bool(shutil.which("bwrap")) and subprocess.run(
        ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"], capture_output=True, check=False).returncode == 0


def can_stage_with_bst():
    """bst stages through a FUSE file system.  Debian gives /dev/fuse to everybody, a container or a small system may not."""
    return os.access("/dev/fuse", os.R_OK | os.W_OK)


def small_project(path):
    """The small project of the shared material in path; None if it can be made, else why not."""
    script = os.environ.get("MILLRACE_SHARED", "") + "/realstack/make-small.sh"
    if not os.path.isfile(script):
        return "MILLRACE_SHARED does not lead to realstack/make-small.sh"
    if not can_sandbox():
        return "no sandbox here"
    # From a copy that may be written to: what the script copies keeps its modes, and only root can write to what is read-only.
    with tempfile.TemporaryDirectory() as top:
        subprocess.run(["cp", "-r", os.path.dirname(script), f"{top}/realstack"], check=True)
        subprocess.run(["chmod", "-R", "u+w", top], check=True)
        made = subprocess.run(["bash", f"{top}/realstack/make-small.sh", path], capture_output=True, text=True, check=False)
    return f"make-small.sh: {made.stderr[-300:]}" if made.returncode else None


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


class Tap:
    def __init__(self):
        self.number = self.failed = 0

    def case(self, name, wrong):
        self.number += 1
        self.failed += bool(wrong)
        if wrong:
            print("# " + wrong.replace("\n", "\n# "))
        print(f"{'not ok' if wrong else 'ok'} {self.number} - {name}", flush=True)

    def end(self):
        print(f"1..{self.number}")
        return bool(self.failed)


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False
