"""Every notebook runs from top to bottom in a process of its own, and is stored as it should."""

import json
import re
import time
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

#: Runs the cells without Jupyter, whose magics are left out; any warning of a cell is an error.
#: Writes what each cell prints, and the value of its last line unless it is a figure, as JSON.
RUN = """
import ast, contextlib, io, json, pathlib, sys, warnings
warnings.filterwarnings("error", module="__main__$")
names, told = {"__name__": "__main__"}, []
for cell in json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        lines = "".join(cell["source"]).splitlines()
        body = ast.parse("\\n".join(line for line in lines if not line.startswith("%"))).body
        value = None
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
            exec(compile(ast.Module(body, []), "cell", "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        is_silent = lines[-1].endswith(";") or type(value).__name__ in ("Figure", "NoneType")
        told.append(printed.getvalue() + ("" if is_silent else repr(value)))
print(json.dumps(told))
"""

NUMBER = re.compile(r"[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")

#: What a stored notebook must not tell of the machine that it ran on.
PRIVATE = re.compile(r"(/home|/Users|/root|/tmp|/work|/private|site-packages|[A-Z]:\\\\)\b")


def read_cells(path):
    return json.loads(path.read_text("utf-8"))["cells"]


@pytest.fixture
def execute(forks, tmp_path, monkeypatch):
    """Run a notebook in an empty folder; give what its cells say."""

    def execute(path, **environment):
        monkeypatch.delenv("P300_DATA_ROOT", raising=False)
        environment = {"MPLBACKEND": "Agg", **environment}
        status, printed, errors = forks.run(["-c", RUN, path], tmp_path, environment)
        assert status == 0, errors
        assert not errors
        assert not list(tmp_path.iterdir())  # what it wrote, it wrote elsewhere
        return json.loads(printed.splitlines()[-1])

    return execute


def stored(path):
    """What each cell of a stored notebook says, without its figures."""
    told = []
    for cell in read_cells(path):
        if cell["cell_type"] == "code":
            texts = [
                "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
                for output in cell["outputs"]
            ]
            told.append("".join(text for text in texts if not text.startswith("<Figure size")))
    return told


def check_same(found, expected):
    """Check that texts have the same words, and numbers that agree but for their last digits."""
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (found, expected)]
    assert words[0] == words[1]
    numbers = (
        [float(n.replace(",", "").replace("−", "-")) for n in NUMBER.findall(text)]
        for text in (found, expected)
    )
    assert next(numbers) == pytest.approx(next(numbers), rel=0.02, abs=0.002)


def test_each_step_from_one_recording_to_ones_own_bci_has_its_notebook():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"0{k}" for k in range(1, 9)]


@EACH
def test_a_notebook_is_a_short_story_with_a_beginning_and_something_to_try(path):
    cells = read_cells(path)
    assert 3 <= len(cells) <= 10
    assert cells[0]["cell_type"] == cells[-1]["cell_type"] == "markdown"
    opening, end = ("".join(cells[k]["source"]) for k in (0, -1))
    assert opening.startswith("# ") and "seconds" in opening or "minute" in opening
    assert "**Try this.**" in end
    assert "P300_DATA_ROOT" in opening


@EACH
def test_a_stored_notebook_reads_well_unexecuted_and_tells_nothing_of_its_machine(path):
    assert path.stat().st_size < 400_000
    code = [cell for cell in read_cells(path) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs)
    assert not any(output["output_type"] == "error" for output in outputs)
    for output in outputs:
        output.get("data", {}).pop("image/png", None)
        assert not PRIVATE.search(json.dumps(output))
    assert not any(cell["metadata"] for cell in read_cells(path))  # such as times of execution


@EACH
def test_links_between_notebooks_and_to_files_lead_somewhere(path):
    for cell in read_cells(path):
        for target in re.findall(r"\]\(([^)#:]+)\)", "".join(cell["source"])):
            assert (path.parent / target).exists(), target


@pytest.mark.slow
@EACH
def test_a_notebook_runs_in_under_a_minute_and_says_what_is_stored(path, execute):
    started = time.perf_counter()
    told = execute(path)
    assert time.perf_counter() - started < 60
    for found, expected in zip(told, stored(path), strict=True):
        check_same(found, expected)


def test_a_notebook_that_says_something_else_than_is_stored_is_noticed():
    check_same("AUC 0.8911 of 1,248", "AUC  0.891\nof 1,248")
    for other in ("AUC 0.850 of 1,248", "AUC 0.891 of 1,000", "AUC of lda 0.891 of 1,248"):
        with pytest.raises(AssertionError):
            check_same("AUC 0.891 of 1,248", other)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem[:2] in ("01", "03", "06")])
def test_a_notebook_runs_on_real_eeg(path, execute, data_root):
    execute(path, P300_DATA_ROOT=str(data_root))
