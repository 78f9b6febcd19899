#!/usr/bin/env python3
"""gen-graph.py DIR COUNT [SEED]: a BuildStream project of COUNT elements with edges in every direction.

Elements stand in files like those of real projects: variables, an environment, commands, a source with a ref, public data.
Each has at most 8 dependencies, and the build scope (what must be staged to build it) stays at 64 elements or less,
so that the text hashed for a key does not grow with the graph: every 32 elements form a group; each is a build
dependency of one of the three after it, and may runtime-depend on one before it; the first of each group build-depends on the last of a group
before.  Target: all.bst, over the last of each group through collecting elements that have 8 dependencies each.
"""
import os
import random
import sys

GROUP = 32
CONF = """name: graph
min-version: 2.0
element-path: elements
aliases:
  upstream: https://example.org/
variables:
  build-dir: "%{build-root}/_build"
  common: "--host=%{host} --libdir=%{libdir}"
  host: x86_64-unknown-linux-gnu
environment:
  PATH: /usr/bin:/bin
  MAXJOBS: "%{max-jobs}"
"""


def edges_of_group(first, size, rng):
    """Lists of build dependencies and of runtime dependencies, by place in the group."""
    build, runtime = [[] for _ in range(size)], [[] for _ in range(size)]
    for i in range(size - 1):
        build[min(i + rng.randrange(1, 4), size - 1)].append(first + i)
    for i in range(1, size):
        d = first + rng.randrange(i)
        if d not in build[i] and rng.random() < 0.5:
            runtime[i].append(d)
    if first:
        # the way to other groups: only built with, so that closures of groups do not add up
        build[0].append(rng.randrange(first // GROUP) * GROUP + GROUP - 1)
    return build, runtime


def element(i, rng, name_of, build, runtime):
    text = [f"kind: manual\ndescription: Element number {i}\n"]
    if build:
        text.append("build-depends:\n" + "".join(f"- {name_of(d)}\n" for d in build))
    if runtime:
        text.append("runtime-depends:\n" + "".join(f"- {name_of(d)}\n" for d in runtime))
    text.append(f"""variables:
  conf-local: "--with-number={i} %{{common}}"
  prefix: /usr
environment:
  NUMBER: "{i}"
config:
  configure-commands:
  - ./configure --prefix=%{{prefix}} %{{conf-local}}
  build-commands:
  - make -j%{{max-jobs}} -C %{{build-dir}}
  install-commands:
  - make DESTDIR=%{{install-root}} install
public:
  bst:
    split-rules:
      extra:
      - "%{{libdir}}/extra-{i}/**"
sources:
- kind: remote
  url: upstream:packages/number-{i}.tar.gz
  ref: {rng.getrandbits(256):064x}
""")
    return "".join(text)


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def collect(top, names):
    """Elements over 8 names each, and over 8 of those, until one is left: all.bst."""
    level = 0
    os.makedirs(f"{top}/elements/over", exist_ok=True)
    while True:
        rows = [names[i:i + 8] for i in range(0, len(names), 8)]
        texts = ["kind: manual\nbuild-depends:\n" + "".join(f"- {name}\n" for name in row) for row in rows]
        if len(rows) == 1:
            return write(f"{top}/elements/all.bst", texts[0])
        names = [f"over/{level}-{k:06}.bst" for k in range(len(rows))]
        for name, text in zip(names, texts):
            write(f"{top}/elements/{name}", text)
        level += 1


def main():
    top, count = sys.argv[1], int(sys.argv[2])
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)

    def name_of(i):
        return f"d{i // 1000:04}/e{i:07}.bst"

    for i in range(0, count, 1000):
        os.makedirs(f"{top}/elements/d{i // 1000:04}", exist_ok=True)
    write(f"{top}/project.conf", CONF)
    for first in range(0, count, GROUP):
        size = min(GROUP, count - first)
        build, runtime = edges_of_group(first, size, rng)
        for k in range(size):
            write(f"{top}/elements/{name_of(first + k)}", element(first + k, rng, name_of, build[k], runtime[k]))
    collect(top, [name_of(min(i + GROUP, count) - 1) for i in range(0, count, GROUP)])


main()
