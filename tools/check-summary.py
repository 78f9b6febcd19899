#!/usr/bin/env python3
"""check-summary.py NAME=TESTLOG.json|ok|failed ...: counts what the test runs printed; the last line is the sum.

A test that speaks TAP counts once for each of its cases, any other test once.
"""
import json
import re
import sys

CASE = re.compile(r"^(ok|not ok)\b(.*)$", re.M)


def count(test):
    cases = CASE.findall(test.get("stdout") or "")
    result = test["result"]
    skipped = sum("# SKIP" in text.upper() for _, text in cases)
    failed = sum(word == "not ok" and "# SKIP" not in text.upper() for word, text in cases)  # cmocka skips with "not ok"
    passed = len(cases) - skipped - failed
    if result in ("OK", "EXPECTEDFAIL"):
        return (passed, failed, skipped) if cases else (1, 0, 0)
    if result == "SKIP":
        return 0, 0, max(skipped, 1)
    return passed, max(failed, 1), skipped


def reasons(test):
    for word, text in CASE.findall(test.get("stdout") or ""):
        if "# SKIP" in text.upper():
            yield text.strip()


def main():
    total = [0, 0, 0]
    for item in sys.argv[1:]:
        name, _, path = item.partition("=")
        if path in ("ok", "failed"):
            numbers = (1, 0, 0) if path == "ok" else (0, 1, 0)
        else:
            numbers = [0, 0, 0]
            with open(path, encoding="utf-8") as lines:
                for test in map(json.loads, lines):
                    got = count(test)
                    numbers = [a + b for a, b in zip(numbers, got)]
                    if got[1]:
                        print(f"-- {name}: {test['name']} failed\n{(test.get('stdout') or '')[-6000:]}\n{(test.get('stderr') or '')[-6000:]}")
                    for reason in reasons(test):
                        print(f"-- {name}: {test['name']}: skipped {reason}")
        print(f"{name}: {numbers[0]} passed, {numbers[1]} failed, {numbers[2]} skipped")
        total = [a + b for a, b in zip(total, numbers)]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    sys.exit(1 if total[1] or not total[0] else 0)


main()
