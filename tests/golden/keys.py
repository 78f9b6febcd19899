#!/usr/bin/env python3
"""keys.py MILLRACE: cache keys against lists that bst 2.8.1 printed.  Speaks TAP.

The lists are in the shared material: the peer's own tests/cachekey/project with its .expected files, freedesktop-sdk, and
the small project.  What is not there is skipped.
"""
import glob
import os
import subprocess
import sys
import tempfile

MILLRACE = os.path.abspath(sys.argv[1])
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get("MILLRACE_SHARED", os.path.join(TOP, "..", "shared"))


class Skip(Exception):
    pass


def need(path):
    path = os.path.join(SHARED, path)
    if not os.path.exists(path):
        raise Skip(f"{os.path.basename(path)} is not here")
    return path


def unpack(archive, directory):
    subprocess.run(["tar", "--zstd", "-xf", archive, "-C", directory], check=True)


def show(project, targets, home, options=()):
    env = dict(os.environ, HOME=home, XDG_CACHE_HOME=home + "/cache", XDG_CONFIG_HOME=home + "/config")
    done = subprocess.run([MILLRACE, *options, "show", "--deps", "all", "--format", "%{name} %{full-key}", *targets],
                          cwd=project, env=env, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"show ended with {done.returncode}\n{done.stderr[-3000:]}")
    return dict(line.split(" ") for line in done.stdout.splitlines())


def compare(got, expected):
    wrong = [f"{name}: {got.get(name)} instead of {key}" for name, key in sorted(expected.items()) if got.get(name) != key]
    if wrong or not expected:
        raise AssertionError(f"{len(wrong)} of {len(expected)} keys differ\n" + "\n".join(wrong[:20]))
    return len(expected)


def cachekey_project(top):
    unpack(need("peer-suite/suite.tar.zst"), top)
    project = f"{top}/buildstream/tests/cachekey/project"
    expected = {}
    for path in glob.glob(f"{project}/**/*.expected", recursive=True):
        name = os.path.relpath(path, project)[: -len(".expected")] + ".bst"
        with open(path, encoding="utf-8") as f:
            expected[name] = f.read().strip()
    return compare(show(project, ["target.bst"], top), expected)


def freedesktop_sdk(top):
    unpack(need("realworld/freedesktop-sdk.tar.zst"), top)
    with open(need("realworld/freedesktop-sdk.targets"), encoding="utf-8") as f:
        targets = f.read().split()
    with open(need("realworld/freedesktop-sdk.keys"), encoding="utf-8") as f:
        expected = dict(line.split() for line in f)
    options = ("-o", "target_arch", "x86_64", "-o", "bootstrap_build_arch", "x86_64")
    for _ in range(2):  # the second time from what the first has cached about files
        count = compare(show(f"{top}/fdsdk", targets, top, options), expected)
    return count


CASES = {"the peer's tests/cachekey/project": cachekey_project, "freedesktop-sdk": freedesktop_sdk}


def main():
    print(f"1..{len(CASES)}")
    bad = False
    for number, (name, case) in enumerate(CASES.items(), 1):
        with tempfile.TemporaryDirectory(prefix="millrace-golden-") as top:
            try:
                print(f"ok {number} - {name}: {case(top)} keys equal")
            except Skip as why:
                print(f"ok {number} - {name} # SKIP {why}")
            except AssertionError as failure:
                bad = True
                print(f"not ok {number} - {name}")
                for line in str(failure).split("\n"):
                    print("#   " + line)
    sys.exit(bad)


main()
