#!/usr/bin/env python3
"""gen-imports.py DIR [COUNT]: a BuildStream project of COUNT (3,000) imports and a stack over all of them.

Each import brings one file of its own from a local source; nothing is compiled and no sandbox is needed, so what a
build of it costs is the tool's own work.  Target: all.bst.
"""
import os
import sys


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    if not 2 <= len(sys.argv) <= 3 or any(word.startswith("-") for word in sys.argv[1:]):
        raise SystemExit("usage: gen-imports.py DIR [COUNT]")
    top, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    write(f"{top}/project.conf", "name: imports\nmin-version: 2.0\nelement-path: elements\n")
    names = []
    for i in range(count):
        name = f"group{i // 100:03}/import{i:06}"
        names.append(name + ".bst")
        write(f"{top}/files/{name}/usr/share/{i:06}.txt", f"file number {i}\n")
        write(f"{top}/elements/{name}.bst", f"kind: import\nsources:\n- kind: local\n  path: files/{name}\n")
    write(f"{top}/elements/all.bst", "kind: stack\ndepends:\n" + "".join(f"- {name}\n" for name in names))


main()
