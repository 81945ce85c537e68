"""Write constraints-hashes.txt: the tested set with everything it needs, each with its SHA-256.

Run after a change of constraints.txt, on the system that is tested (CPython 3.11, Linux, x86-64),
with the package index of PyTorch's builds for a CPU:

    pip install --dry-run --ignore-installed -c constraints.txt --report report.json \\
        '.[test,moabb]' joblib threadpoolctl
    python tests/benchmarks/hash_constraints.py report.json > constraints-hashes.txt
"""

import json
import re
import sys

HEAD = """\
# The tested set with all that it needs, and the SHA-256 of each file (CPython 3.11, Linux x86-64).
# What was changed on its way, or in a package index, is then not installed:
#   pip install --require-hashes --no-deps -r constraints-hashes.txt \\
#       --extra-index-url https://download.pytorch.org/whl/cpu
#   pip install --no-deps -e .
# Made by tests/benchmarks/hash_constraints.py, which says how."""


def main() -> None:
    """Print the file from a report of pip."""
    with open(sys.argv[1], encoding="utf-8") as file:
        found = json.load(file)["install"]
    print(HEAD)
    rows = []
    for item in found:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        if name != "p300":
            sha256 = item["download_info"]["archive_info"]["hashes"]["sha256"]
            rows.append(f"{name}=={item['metadata']['version']} \\\n    --hash=sha256:{sha256}")
    print("\n".join(sorted(rows)))


if __name__ == "__main__":
    main()
