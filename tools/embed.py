#!/usr/bin/env python3
"""embed.py OUT NAME=FILE...: writes a C file with the text of each file as `const char NAME[]` and its length.

Lines become string literals, so the result can be read and compared.
"""
import sys


def literal(line):
    out = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return '\t"' + out.rstrip("\n") + ('\\n"' if line.endswith("\n") else '"')


def main():
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write("/* Made by tools/embed.py from data/. */\n#include <stddef.h>\n")
        for item in sys.argv[2:]:
            name, _, path = item.partition("=")
            with open(path, encoding="utf-8") as text:
                lines = text.readlines()
            out.write(f"extern const char {name}[];\nextern const size_t {name}_len;\n")
            out.write(f"const char {name}[] =\n" + "\n".join(map(literal, lines)) + ";\n")
            out.write(f"const size_t {name}_len = sizeof({name}) - 1;\n")


main()
