#!/usr/bin/env python3
"""plugin-digests.py DIR [KIND:TYPE=FILE=WHERE...] > src/kinds/known_plugins.h

Makes the table by which Millrace recognises plugins.  DIR/buildstream-plugins/VERSION and
DIR/buildstream-plugins-community/VERSION hold unpacked releases (wheel or source archive), for example from

    pip download --no-deps -d DIR/buildstream-plugins/2.7.0 buildstream-plugins==2.7.0

and unpacking it there.  Further arguments add single files that projects bring themselves; KIND may be KIND/BEHAVIOUR.  The
stand-ins of tests/scenario are added so too (cargo2:sources=tests/scenario/stand-ins/cargo2.py="Millrace's own tests"): the
versions of those plugins differ, so that no other file would be taken for them.
"""
import glob
import hashlib
import os
import re
import sys

PLUGIN = re.compile(r"buildstream_plugins(?:_community)?/(elements|sources)/([^_/][^/]*)\.py$")

# Where a kind's share of cache keys depends on the version: (type, kind) -> [(first version that no longer behaves so,
# behaviour)], in order; from the last on it is behaviour 0.  The names stand in src/kinds/kinds_internal.h.
BEHAVIOURS = {
    ("elements", "collect_manifest"): [("2.1.0", "KINDS_MANIFEST_PLAIN"), ("2.3.0", "KINDS_MANIFEST_BARE")],
    ("sources", "cargo2"): [("2.0.3", "KINDS_CARGO2_CRATES_X"), ("2.2.0", "KINDS_CARGO2_X")],
    ("sources", "go_module"): [("2.2.0", "KINDS_GO_BUGFIX_0"), ("2.4.0", "KINDS_GO_EXPLICIT")],
}


def number(version):
    return tuple(int(x) for x in version.split("."))


def behaviour(kind_type, kind, version):
    for before, name in BEHAVIOURS.get((kind_type, kind), []):
        if number(version) < number(before):
            return name
    return "0"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


def main():
    rows = {}
    for package in ("buildstream-plugins", "buildstream-plugins-community"):
        versions = sorted(os.listdir(os.path.join(sys.argv[1], package)), key=number)
        for version in versions:
            for path in glob.glob(os.path.join(sys.argv[1], package, version, "**", "*.py"), recursive=True):
                found = PLUGIN.search(path)
                if found:
                    kind_type, kind = found.groups()
                    row = (digest(path), kind_type, kind, package, behaviour(kind_type, kind, version))
                    rows.setdefault(row, []).append(version)
    for item in sys.argv[2:]:
        name, path, where = item.split("=")
        kind, kind_type = name.split(":")
        kind, _, how = kind.partition("/")
        rows[(digest(path), kind_type, kind, where, how or "0")] = [""]
    print("/* Made by tools/plugin-digests.py: the Python files of released plugins.  Sorted by digest. */")
    for (hexa, kind_type, kind, package, how), versions in sorted(rows.items()):
        first, last = versions[0], versions[-1]
        text = f"{package} {first}" if first == last else f"{package} {first} to {last}"
        source = "true" if kind_type == "sources" else "false"
        print(f'{{ 0x{hexa}u, {source}, "{kind}", "{text.strip()}", {how} }},')


main()
