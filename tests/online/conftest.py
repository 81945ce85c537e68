"""Lab Streaming Layer on this machine alone, for the tests of live spelling."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from simulated_session import DETECTOR

SENDER = Path(__file__).parents[1] / "lsl_sender.py"

LOOPBACK = """
[ports]
IPv6 = disable
[multicast]
AddressesOverride = {127.0.0.1}
[lab]
KnownPeers = {127.0.0.1}
[log]
level = -2
"""


@pytest.fixture(scope="session")
def lsl(tmp_path_factory):
    """The library, told to stay on this machine."""
    pytest.importorskip("mne_lsl", reason="mne-lsl is not installed (extra realtime)")
    path = tmp_path_factory.mktemp("lsl") / "lsl_api.cfg"
    path.write_text(LOOPBACK, "utf-8")
    os.environ["LSLAPICFG"] = str(path)
    from p300.online.streams import lsl

    lsl.library()
    yield lsl
    del os.environ["LSLAPICFG"]


class Sender:
    """A running ``lsl_sender.py``: forked, which is fast, or started with a prefix."""

    def __init__(self, spec, *prefix):
        self.is_forked = not prefix
        if self.is_forked:
            fork = multiprocessing.get_context("forkserver")
            fork.set_forkserver_preload(["lsl_sender"])
            self.pipe, theirs = fork.Pipe()
            from lsl_sender import run_forked

            self.process = fork.Process(target=run_forked, args=(spec, theirs), daemon=True)
            self.process.start()
            return
        self.process = subprocess.Popen(
            [*prefix, sys.executable, str(SENDER), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self):
        """Wait until its streams are there."""
        said = self.pipe.recv() if self.is_forked else self.process.stdout.readline().strip()
        assert said == "ready"
        return self

    def send(self, marker):
        """Send a marker."""
        if self.is_forked:
            self.pipe.send(marker)
        else:
            self.process.stdin.write(f"{marker}\n")
            self.process.stdin.flush()

    def kill(self):
        """End it as a crash does."""
        self.process.kill()
        if self.is_forked:
            self.process.join()
        else:
            self.process.communicate()


@pytest.fixture
def start_sender(lsl):
    """Start senders, each with a prefix of its command; all are killed at the end."""
    started = []

    def start(spec, *prefix):
        started.append(Sender(spec, *prefix))
        return started[-1]

    yield start
    for sender in started:
        sender.kill()


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The template of the other tests as files of `p300 export`."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
    import hashlib

    from onnx import TensorProto, helper, numpy_helper

    from p300.export.onnx_detector import FORMAT, INPUT, OUTPUT

    n_chans, n_times = DETECTOR.template.shape
    weights = DETECTOR.template.astype(np.float64).reshape(-1)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", [INPUT], ["flat"]),
            helper.make_node("Cast", ["flat"], ["wide"], to=TensorProto.DOUBLE),
            helper.make_node("MatMul", ["wide", "weights"], [OUTPUT]),
        ],
        "template",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", n_chans, n_times])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, ["n"])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    names = json.dumps(list(DETECTOR.preprocessor.ch_names_))
    helper.set_model_props(model, {"ch_names": names})
    folder = tmp_path_factory.mktemp("model")
    onnx.save(model, folder / "detector.onnx")
    content = {
        "format": FORMAT,
        "info": {},
        "preprocessing": DETECTOR.preprocessor.get_state(),
        "alignment": None,
        "speller": DETECTOR.speller.to_dict(),
        "likelihood": DETECTOR.likelihood.to_dict(),
        "stopping": {name: rule.to_dict() for name, rule in DETECTOR.stopping.items()},
        "sha256": hashlib.sha256((folder / "detector.onnx").read_bytes()).hexdigest(),
    }
    (folder / "detector.json").write_text(json.dumps(content), "utf-8")
    return folder
