"""Count the small faults in source files that the tests notice.

python tests/benchmarks/mutate.py p300/metrics/measures.py --tests tests/metrics/test_measures.py
    [--share 1.0] [--seed 0] [--minutes 60] [--keep mutants.json] [--again]
    [--write tests/benchmarks/mutants.md] [--deselect TEST ...]

Every mutant changes one place of one function or constant. The tests are collected once, slow
ones included. Each mutant is a forked process: its functions get the changed code, and it runs
the tests that reach the changed lines until the first fails. Doctests of the sources count as
tests.

Not mutated: docstrings, annotations, imports, decorators, the text of a ``raise`` or a warning,
and the plain text in f-strings.

``--share`` is the fraction of the mutants to run, drawn at random. ``--keep`` writes each result
as it comes; ``--again`` runs only the survivors of that file. ``--write`` updates the rows and
the survivors of the sources on a Markdown page.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import resource
import select
import signal
import sys
import threading
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # a forked process lacks the threads of its parent

import pytest
from mutants import Mutants, put_into
from mutants_page import Result, update_page


def imported(source):
    """Import a source file by the name of its module."""
    return importlib.import_module(os.path.relpath(source)[:-3].replace("/", "."))


class Hunt:
    """Plugin of pytest that replaces its loop over the tests."""

    def __init__(self, args):
        self.args, self.results, self.failed = args, [], False

    def pytest_configure(self):
        from hypothesis import Phase, settings  # pytest must have seen it first

        phases = Phase.explicit, Phase.generate  # a found failure need not be made small
        kind = {"database": None, "derandomize": True, "deadline": None, "phases": phases}
        settings.register_profile("mutants", **kind)
        settings.load_profile("mutants")
        # before pytest, which would import a module a second time beside that of its package
        self.modules = {str(Path(p).resolve()): imported(p) for p in self.args.sources}

    def pytest_runtest_logreport(self, report):
        self.failed |= report.failed

    def pytest_runtestloop(self, session):
        self.items = session.items
        self.sources = {str(Path(p).resolve()): p for p in self.args.sources}
        self.reach, self.names = {}, {}  # (path, line) -> tests; doctest -> its namespace
        for k in range(len(self.items)):
            self._watch(k)
        self.seconds = [self._time(k) for k in range(len(self.items))]
        self.kills = [1e-3] * len(self.items)
        print(f"{len(self.items)} tests in {sum(self.seconds):.1f} s", flush=True)
        stop = time.monotonic() + 60 * self.args.minutes
        kept = Path(self.args.keep)
        if self.args.again:
            done = json.loads(kept.read_text())
            self.results = [r for r in done if r["outcome"] != "survived"]
            again = {(r["path"], *r["place"]) for r in done if r["outcome"] == "survived"}
        for resolved, path in self.sources.items():
            found = Mutants(resolved).found
            unchanged = self._fork(Mutants(resolved), None, range(len(self.items)))
            if unchanged != "survived":
                pytest.exit(f"{path} recompiled without any change: {unchanged}", returncode=1)
            chosen = random.Random(self.args.seed).sample(
                range(len(found)), round(self.args.share * len(found))
            )
            if self.args.again:
                chosen = [k for k, m in enumerate(found) if (path, *m.place) in again]
            for k in sorted(chosen) if self.args.share == 1 else chosen:
                if time.monotonic() > stop:
                    break
                self.results.append({"path": path} | self._try(resolved, k))
                kept.write_text(json.dumps(self.results, indent=1))
            self._report(path, len(found))
        return True

    def _watch(self, k) -> None:
        """Run one test without any change and record the lines that it reaches."""

        def enter(frame, event, arg):
            path = frame.f_code.co_filename
            if path not in self.sources:
                return None
            if frame.f_globals is not vars(self.modules[path]):
                pytest.exit(f"{path} is imported twice; its mutants would not be run", 1)

            def line(frame, event, arg):
                self.reach.setdefault((path, frame.f_lineno), set()).add(k)
                return line

            return line(frame, event, arg)

        threading.settrace(enter)
        sys.settrace(enter)
        self._run(k)
        sys.settrace(None)
        threading.settrace(None)
        if self.failed:
            pytest.exit(f"{self.items[k].nodeid} fails without any change", returncode=1)

    def _time(self, k) -> float:
        started = time.perf_counter()
        self._run(k)
        return time.perf_counter() - started

    def _run(self, k) -> None:
        item = self.items[k]
        if hasattr(item, "dtest"):  # a doctest empties its namespace when it is done
            names = self.names.setdefault(k, dict(item.dtest.globs))
            item.dtest.globs = dict(names)
        # only the fixtures of the session stay set up
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=item.session)

    def _try(self, path, k) -> dict:
        mutants = Mutants(path)
        lines = mutants.found[k].reached_by
        tests = range(len(self.items))
        if lines is not None:
            tests = set().union(*(self.reach.get((path, n), ()) for n in lines))
        tests = sorted(tests, key=lambda t: self.seconds[t] / self.kills[t])
        started = time.monotonic()
        outcome = self._fork(mutants, k, tests) if tests else "survived"
        if outcome.isdigit():
            self.kills[int(outcome)] += 1
            outcome = f"killed by {self.items[int(outcome)].name}"
        took = round(time.monotonic() - started, 2)
        return {
            "place": mutants.found[k].place,
            "outcome": outcome,
            "tests": len(tests),
            "s": took,
        }

    def _fork(self, mutants, k, tests) -> str:
        """Run tests on a mutant in a process of its own until one fails."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            outcome = "broken"
            try:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 1), os.dup2(nowhere, 2)
                resource.setrlimit(resource.RLIMIT_DATA, (12 * 2**30,) * 2)
                for module in [m for n, m in sys.modules.items() if n.startswith("p300")]:
                    for value in vars(module).values():
                        getattr(value, "cache_clear", int)()
                mutant = None if k is None else mutants.found[k]
                put_into(self.modules[mutants.path], mutants.compile(mutant))
                outcome = self._first_failing(tests)
            finally:
                os.write(writing, outcome.encode())
                os._exit(0)
        os.close(writing)
        limit = 10 + 5 * sum(self.seconds[t] for t in tests)
        heard = select.select([reading], [], [], limit)[0]
        outcome = os.read(reading, 99).decode() if heard else "timeout"
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return outcome or "crashed"

    def _first_failing(self, tests) -> str:
        for t in tests:
            self._run(t)
            if self.failed:
                return str(t)
        return "survived"

    def _report(self, path, n_all) -> None:
        own = [r for r in self.results if r["path"] == path]
        alive = sorted((r for r in own if r["outcome"] == "survived"), key=lambda r: r["place"][0])
        result = Result(len(own), n_all, [tuple(r["place"]) for r in alive])
        print(f"{path}: {result.cells.replace(' |', ',')} killed")
        for r in alive:
            print(f"  {path}:{r['place'][0]}  {r['place'][1]}  ({r['tests']} tests reach it)")
        sys.stdout.flush()
        if self.args.write:
            update_page(Path(self.args.write), {path: result})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--tests", nargs="+", required=True)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--keep", default=os.devnull)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--deselect", nargs="*", default=[])
    args = parser.parse_args()
    options = ["-q", "-s", "-p", "no:cacheprovider", "-o", "tmp_path_retention_policy=none"]
    options += ["-m", ""]
    options += [f"--deselect={name}" for name in args.deselect]
    sys.exit(pytest.main([*options, *args.sources, *args.tests], plugins=[Hunt(args)]))


if __name__ == "__main__":
    main()
