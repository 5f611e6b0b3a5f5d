#!/usr/bin/env python3
"""Prints how much of the native sources the test programs have run: coverage.py <folder of .gcda files> <native>.

Lines of every file in queue, frame, dispatch and process; branches of the files named below, and what of them never ran.
A line of a header counts as run when any program ran it.
"""

import collections
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

FOLDERS = ("queue", "frame", "dispatch", "process")
BRANCHES = {f"dispatch/{name}.cc" for name in ("attempts", "foreign", "receive", "dispatcher", "turn")}


def reports(folder):
    """What gcov says of each object."""
    notes = [str(path.resolve()) for path in pathlib.Path(folder).rglob("*.gcda")]
    with tempfile.TemporaryDirectory() as work:
        for note in notes:
            subprocess.run(["gcov", "--json-format", "--branch-probabilities", note], cwd=work, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for path in pathlib.Path(work).glob("*.gcov.json.gz"):
                with gzip.open(path) as file:
                    yield json.load(file)
                path.unlink()


def main():
    folder, native = sys.argv[1], os.path.realpath(sys.argv[2])
    lines = collections.defaultdict(collections.Counter)
    branches = collections.defaultdict(collections.Counter)
    for report in reports(folder):
        for file in report["files"]:
            path = os.path.realpath(os.path.join(report["current_working_directory"], file["file"]))
            name = os.path.relpath(path, native)
            if name.split("/")[0] not in FOLDERS:
                continue
            for line in file["lines"]:
                number = line["line_number"]
                lines[name][number] += line["count"]
                for index, branch in enumerate(line["branches"]):
                    if not branch["throw"]:
                        branches[name][number, index] += branch["count"]
    print(f"{'lines':>14}  {'branches':>14}")
    for name in sorted(lines):
        ran = sum(count > 0 for count in lines[name].values())
        text = share(ran, len(lines[name]))
        if name in BRANCHES:
            text += "  " + share(sum(count > 0 for count in branches[name].values()), len(branches[name]))
        else:
            text += " " * 16
        print(f"{text}  {name}")
    for name in sorted(lines):
        never = sorted(number for number, count in lines[name].items() if count == 0)
        if never:
            print(f"never run: {name}:{','.join(map(str, never))}")
        halves = sorted({at[0] for at, count in branches[name].items() if count == 0} - set(never))
        if halves and name in BRANCHES:
            print(f"one way only: {name}:{','.join(map(str, halves))}")


def share(part, whole):
    return f"{part:>4}/{whole:<4}{100 * part / max(whole, 1):5.1f}%"


main()
