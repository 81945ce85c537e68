import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import SMALL
from hydra import compose, initialize_config_dir
from jinja2.exceptions import UndefinedError
from omegaconf import OmegaConf, open_dict

from p300.commands import parse
from p300.errors import InputError
from p300.experiments.configuration import conf_dir
from p300.experiments.finished import overrides_of
from p300.experiments.results import read_scores
from p300.experiments.run import Request
from p300.experiments.train import train_one
from p300.metrics import auc_interval
from p300.report.page import Section, Text, without_paths, write_page
from p300.report.repeat import public
from p300.report.sweep import collect_sweep
from p300.report.write import USAGE, kind_of, write_report


def train(folder, *overrides):
    """Train a small detector on the simulation into a folder."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", overrides=[*SMALL, *overrides], return_hydra_config=True)
    choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    folder.mkdir(parents=True)
    train_one(Request(cfg, folder, choices))
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Give the folder of a trained CNN-1, for reading only."""
    return train(tmp_path_factory.mktemp("runs") / "cnn1", "experiment=cnn1")


@pytest.fixture(scope="module")
def written(kept, tmp_path_factory):
    """Give the page of that run, for reading only."""
    return write_report(kept, tmp_path_factory.mktemp("pages") / "cnn1.html")


@pytest.fixture
def run(kept, tmp_path):
    """Give a copy of the folder of a trained CNN-1."""
    return Path(shutil.copytree(kept, tmp_path / "run"))


@pytest.fixture
def lost(run):
    """Give such a copy whose recording is not there any more."""
    gone = {"_target_": "p300.readers.bci2_iib.read", "root": "/home/ada/eeg/bci2_iib"}
    edit(run / "config.yaml", lambda config: config["data"].update(read=gone))
    return run


class Page(HTMLParser):
    """What a page holds, as a reader and a browser would find it."""

    def __init__(self, path):
        super().__init__()
        self.html = path.read_text("utf-8")
        self.text, self.tags, self.headings = "", [], []
        self.feed(self.html)
        self.text = " ".join(self.text.split()).replace("\xa0", " ")

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))

    def handle_data(self, data):
        inline = self.tags and self.tags[-1][0] == "mark"
        self.text += data if inline else f"{data} "

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def edit(path, change):
    """Change a JSON or YAML file."""
    text = path.read_text("utf-8")
    content = yaml.safe_load(text)  # JSON is YAML
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def check_page(page):
    """Check what must hold for every page: complete in itself, and readable by ear."""
    loads = [a.get(k, "") for _, a in page.tags for k in ("src", "href", "srcset", "data")]
    assert all(not load or load.startswith(("data:image/", "#")) for load in loads)
    assert not page.all("script") and not page.all("link") and "url(" not in page.html
    assert not [v for _, attrs in page.tags for v in attrs.values() if "://" in str(v)]
    anchors = {a["id"] for _, a in page.tags if "id" in a}
    assert {a["href"][1:] for a in page.all("a")} <= anchors
    assert page.all("img") and all(len(image["alt"]) > 30 for image in page.all("img"))
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.tags}
    assert page.all("html") == [{"lang": "en"}]


@pytest.mark.slow
def test_the_page_of_a_run_holds_the_numbers_of_its_results(kept, written):
    page = Page(written)
    check_page(page)
    results = json.loads((kept / "results.json").read_text())
    for part in ("test", "validation"):
        for name in ("auc", "balanced_accuracy", "recall", "precision"):
            value = results[part]["detection"][name]
            assert value is None or f"{value:.3f}" in page.text
        for row in results[part]["spelling"]:
            told = f"{row['n_repetitions']} {row['n_right']}/{row['n_characters']} "
            told += f"{100 * row['accuracy']:.0f} % "
            told += "–" if row["low"] is None else f"{100 * row['low']:.0f} to"
            assert told in page.text and f"{row['bits_per_minute']:.1f}" in page.text
    assert f"{results['n_parameters']:,} parameters" in page.text
    assert results["split"] in page.text
    for said in ("optimizer:", "torch", "P300_DATA_ROOT", "flashes in 3 segments"):
        assert said in page.text
    for said in ("This page was written on 20", "Finished on 20", "SHA-256 of samples, channels"):
        assert said in page.text
    assert "Cite for the recording" not in page.text  # it is simulated
    assert "95 %: – (fewer than 5 characters)" in page.text and not re.search(
        r"\bnan\b", page.text
    )
    assert written.stat().st_size < 5e6
    assert not list(written.parent.glob("*.partial"))


@pytest.mark.slow
def test_what_a_network_learned_is_drawn(written):
    page = Page(written)
    alt = " ".join(image["alt"] for image in page.all("img"))
    for said in ("Power of 8 electrodes", "temporal kernels", "spatial filters", "AUC lost"):
        assert said in alt
    assert "Average EEG of simulation" in alt and "Scalp maps of the average" in alt
    assert "not drawn" not in page.text


@pytest.mark.slow
def test_one_auc_has_one_interval_on_its_page_with_the_number_of_characters(tmp_path):
    folder = train(tmp_path / "lda", "experiment=lda", "data.read.test_text=WAVES")
    page = Page(write_report(folder))
    interval = auc_interval(read_scores(folder, "test"))
    ends = f"{interval.low:.3f} to {interval.high:.3f}"
    assert f"95 %: {ends} (5 characters)" in page.text and f"{ends} 5 " in page.text
    curve = next(image["alt"] for image in page.all("img") if "ROC" in image["alt"])
    assert f"[{interval.low:.3f}, {interval.high:.3f}; n = 5]" in curve


@pytest.mark.slow
def test_a_detector_without_filters_says_so(tmp_path):
    page = Page(write_report(train(tmp_path / "lda", "experiment=lda")))
    check_page(page)
    assert "There are no spatial filters and no temporal kernels to draw" in page.text
    assert "AUC lost" in " ".join(image["alt"] for image in page.all("img"))
    assert "not drawn" not in page.text


@pytest.mark.slow
def test_a_hostile_name_is_text_and_nothing_else(lost):
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'

    def rename(content):
        content["choices"] |= {"data": evil, "experiment": evil}

    edit(lost / "results.json", rename)
    edit(lost / "config.yaml", rename)
    scores = pd.read_csv(lost / "scores.csv")
    scores.assign(subject=evil).to_csv(lost / "scores.csv", index=False)
    integrity = (lost / "integrity.txt").read_text("utf-8")
    (lost / "integrity.txt").write_text(integrity + f"warn  {evil}  1  {evil}\n", "utf-8")
    page = Page(write_report(lost))
    check_page(page)
    assert evil in page.text and "<script" not in page.html
    assert all("onerror" not in attrs for _, attrs in page.tags)


@pytest.mark.slow
def test_a_recording_that_is_gone_is_told_and_its_path_is_not(lost):
    page = Page(write_report(lost))
    check_page(page)
    assert "The recording could not be read again" in page.text
    assert "Patterns, occlusion and attribution need the recording" in page.text
    assert "Power of 8 electrodes" in " ".join(image["alt"] for image in page.all("img"))
    assert "…/bci2_iib" in page.text and "/home" not in page.text


@pytest.mark.slow
def test_another_recording_than_the_run_read_is_not_shown(run):
    edit(run / "config.yaml", lambda c: c["data"]["read"].update(train_text="ABC"))
    page = Page(write_report(run))
    assert "flashes that the run scored" in page.text
    assert "Average EEG" not in page.html


@pytest.mark.slow
def test_nothing_private_stands_on_a_page(lost):
    def confide(config):
        config["logger"]["wandb"] = {"entity": "ada", "api_key": "0123", "dir": "/home/ada/w"}
        config["cache"]["folder"] = "~/ada-cache/epochs"

    edit(lost / "config.yaml", confide)
    text = Page(write_report(lost)).text
    assert "(left out)" in text and "0123" not in text and "entity: ada" not in text
    assert "/home" not in text and str(lost) not in text and "~/" not in text
    assert public({"n_tokens": 3, "user": None}) == {"n_tokens": 3, "user": None}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("data.root=/data/eeg/bnci", "data.root=…/bnci"),
        (r"C:\Users\Ada\eeg.mat: no such file", "…/eeg.mat: no such file"),
        ("3/6 right, 20 bits/min, row/column", "3/6 right, 20 bits/min, row/column"),
        ("doi 10.1109/TPAMI.2010.125", "doi 10.1109/TPAMI.2010.125"),
    ],
)
def test_only_paths_are_shortened(text, shown):
    assert without_paths(text) == shown


def test_the_command_that_is_told_composes_the_same_configuration(run):
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    config["protocol"]["optimizer"]["lr"] = 0.005
    overrides = overrides_of(config)
    assert overrides[:2] == ["data=simulation", "experiment=cnn1"]
    assert "protocol.optimizer.lr=0.005" in overrides and "seed=0" not in overrides
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        again = OmegaConf.to_container(compose("train", overrides=overrides), resolve=True)
    for group in ("data", "preprocessing", "split", "model", "protocol", "seed"):
        assert again[group] == config[group]


def test_an_unfinished_run_and_an_unknown_folder_are_refused(run, p300, tmp_path):
    (run / "results.json").unlink()
    (tmp_path / "empty").mkdir()
    for folder, said in (
        (run, "not a finished run, results.json is missing"),
        (tmp_path / "empty", "no finished run, sweep or benchmark in it"),
        (tmp_path / "nowhere", "no such folder"),
    ):
        status, _, errors = p300("report", str(folder))
        assert status == 1 and said in errors and len(errors.strip().splitlines()) == 1
        assert not list(tmp_path.rglob("report.html"))
    (tmp_path / "empty" / "benchmark.log").touch()
    with pytest.raises(InputError, match="not a finished benchmark"):
        kind_of(tmp_path / "empty")
    (tmp_path / "empty" / "results.json").write_text('{"run": "x"}')
    with pytest.raises(InputError, match="not written by `p300 train`"):
        kind_of(tmp_path / "empty")


def test_the_file_can_be_named(lost, p300, tmp_path):
    status, printed, errors = p300("report", str(lost), "out=page.html")
    assert status == 0, errors
    assert printed.startswith("page.html") and (tmp_path / "page.html").exists()
    assert not (lost / "report.html").exists()
    for wrong in ([], ["a", "b"], ["a", "out="]):
        with pytest.raises(InputError, match="expected `p300 report"):
            parse(wrong, USAGE)
    with pytest.raises(InputError, match="got out=.*page.html; expected a file in an existing"):
        write_report(lost, tmp_path / "no" / "page.html")


@pytest.mark.slow
def test_the_page_of_a_sweep_holds_every_run_and_chooses_by_held_out_scores_alone(tmp_path, p300):
    arguments = ["experiment=cnn1,lda", "seed=0,1", "hydra.sweep.dir=sweep"]
    status, _, errors = p300("train", "-m", *SMALL, *arguments)
    assert status == 0, errors
    (tmp_path / "sweep" / "9").mkdir()
    (tmp_path / "sweep" / "9" / "config.yaml").write_text("seed: 3")
    page = Page(write_report(tmp_path / "sweep"))
    check_page(page)
    runs = collect_sweep(tmp_path / "sweep")
    assert sorted(set(runs["configuration"])) == ["cnn1", "lda"] and len(runs) == 4
    for value in (*runs["auc"], *runs["held_out_auc"]):
        assert f"{value:.3f}" in page.text
    best = runs.groupby("configuration")["held_out_auc"].mean().idxmax()
    assert f"Held-out AUC alone chooses {best} for simulation." in page.text
    assert "Measured on their validation part: cnn1." in page.text
    assert "Measured on training flashes that were left out in turn: lda." in page.text
    assert runs["n_held_out"].nunique() == 1  # on the same flashes
    assert "1 unfinished run left out: 9." in page.text
    assert "p300 train -m" in page.text and "experiment=cnn1,lda seed=0,1" in page.text


@pytest.mark.slow
def test_the_page_of_a_benchmark_holds_its_tables_and_sentences(tmp_path, p300):
    overrides = ",".join(repr(o) for o in SMALL)
    status, _, errors = p300(
        "benchmark", "only=[own]", "experiments=[lda,cnn3]", "seeds=[0]", "reference=lda",
        "folder=out", f"overrides=[{overrides}]",
    )  # fmt: skip
    assert status == 0, errors
    out = tmp_path / "out"
    page = Page(write_report(out))
    check_page(page)
    for row in pd.read_csv(out / "summary.csv").to_dict("records"):
        assert f"{row['auc']:.3f} [–]" in page.text  # two characters
    for line in (out / "summary.md").read_text("utf-8").splitlines():
        if line and not line.startswith(("#", "|")):
            assert " ".join(line.split()) in page.text
    assert "p300 benchmark only=[own] experiments=[lda,cnn3]" in page.text
    assert str(tmp_path) not in page.html


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("before")
    with pytest.raises(UndefinedError):
        write_page(path, "T", "L", [Section("S", [Text(3)])])
    assert path.read_text() == "before"


class Browser:
    """Headless Chromium, spoken to through a pipe (DevTools protocol, NUL after each message)."""

    def __init__(self, process, read, write):
        self.process, self._read, self._write = process, read, write
        self._n, self._rest, self._session, self.events = 0, b"", None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def call(self, method, **params):
        self._n += 1
        message = {"id": self._n, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._n:
            self.events.append(answer)
        return answer["result"]

    def open(self, path, *, width, dark=False):
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not self.seen("Page.loadEventFired"):
            self.events.append(self._next())

    def seen(self, *methods):
        return [event["params"] for event in self.events if event.get("method") in methods]

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"]["value"]

    def _next(self):
        while b"\0" not in self._rest:
            part = os.read(self._read, 1 << 20)
            assert part, "chromium ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def chromium(profile):
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None or sys.platform == "win32":
        pytest.skip("no chromium on this machine; it opens the page and measures it")
    (its_in, write), (read, its_out) = os.pipe(), os.pipe()
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
    flags += [f"--user-data-dir={profile}", "about:blank"]
    start = (
        "import fcntl, os, sys\n"
        "its_in, its_out = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 9) for fd in sys.argv[1:3])\n"
        "os.dup2(its_in, 3), os.dup2(its_out, 4)  # where chromium reads and writes\n"
        "os.execv(sys.argv[3], sys.argv[3:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start, str(its_in), str(its_out), program, *flags],
        pass_fds=(its_in, its_out),
        stderr=subprocess.DEVNULL,
    )
    os.close(its_in)
    os.close(its_out)
    try:
        yield Browser(process, read, write)
    finally:
        process.terminate()
        process.wait(timeout=20)
        os.close(read)
        os.close(write)


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_opens_the_page_without_errors_and_without_sideways_scrolling(
    written, tmp_path, dark
):
    with chromium(tmp_path / "profile") as browser:
        for width in (400, 1280):
            browser.open(written, width=width, dark=dark)
            assert browser.value("document.documentElement.scrollWidth") <= width
            assert not browser.seen("Log.entryAdded", "Runtime.exceptionThrown")
            assert not browser.seen("Runtime.consoleAPICalled")
            asked = [e["request"]["url"] for e in browser.seen("Network.requestWillBeSent")]
            assert all(url.startswith(("file:", "data:image/")) for url in asked)
            drawn = "[...document.images].every(image => image.complete && image.naturalWidth)"
            assert browser.value(drawn)
            cards = "[...document.querySelectorAll('.card')]"
            cut = f"{cards}.filter(c => c.scrollWidth > c.clientWidth)"
            sign = "getComputedStyle(c.nextElementSibling, '::before').content"
            signed = f"{cut}.every(c => {sign}.includes('Scroll the figure sideways'))"
            assert browser.value(signed)
            if width == 1280:
                assert browser.value(f"{cut}.length") == 0
        card = browser.value("getComputedStyle(document.querySelector('.card')).backgroundColor")
        paper = browser.value("getComputedStyle(document.body).backgroundColor")
        assert card == "rgb(255, 255, 255)"
        assert (paper == "rgb(22, 24, 27)") == dark
