"""Run the notebooks from top to bottom and store them with what they show.

    python notebooks/store.py             all, on the simulation, in place
    python notebooks/store.py 03 05       some
    python notebooks/store.py --to FOLDER copies, on real EEG where P300_DATA_ROOT is set

Needs the extra "notebooks". A notebook that warns or fails is not stored. What differs from run
to run without meaning anything (times of execution, versions, colours of a picture beyond 256)
is left out, so that a changed output is a changed result.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the notebooks named on the command line."""
    parser = argparse.ArgumentParser(description="Run the notebooks and store their outputs.")
    parser.add_argument("names", nargs="*", help="beginnings of file names; none for all")
    parser.add_argument("--to", type=Path, help="folder for copies; none to store in place")
    given = parser.parse_args()
    if given.to is None:
        os.environ.pop("P300_DATA_ROOT", None)  # stored outputs can be had by anybody
    os.environ["OMP_NUM_THREADS"] = "1"
    for path in sorted(HERE.glob("*.ipynb")):
        if not given.names or path.name.startswith(tuple(given.names)):
            book = run(nbformat.read(path, as_version=4), path.name)
            target = (given.to or HERE) / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(book, target)
            print(f"{target.name}: {target.stat().st_size / 1024:.0f} kB")


def run(book: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Execute a notebook in an empty folder and tidy what it gives."""
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        client = NotebookClient(book, timeout=600, resources=where, record_timing=False)
        client.coalesce_streams = True
        client.execute()
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for k, cell in enumerate(book.cells):
        cell.id, cell.metadata = f"cell-{k}", {}
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise SystemExit(f"{name}, cell {k}: {output['text']}")
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = smaller(output["data"]["image/png"])
                output["metadata"] = {}
    return book


def smaller(png: str) -> str:
    """Give a picture 256 colours, a third of its size and no visible difference."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    main()
