"""A machine of a laboratory in a process of its own: it sends streams as it is told.

It is run with a JSON mapping: ``eeg`` (name, source_id, ch_names, unit, sfreq), or ``markers``
(name, source_id), or both; ``is_deaf``: its UDP port is closed once somebody listens, as by a
firewall. Each line of standard input is sent as a marker, to its end. EEG is sent from the
start, a chunk every 20 ms: channel k holds 10 (k + 1) µV of noise.
"""

import json
import os
import socket
import sys
import threading
import time
from functools import partial

import numpy as np
from mne_lsl.lsl import StreamInfo, StreamOutlet, local_clock


def serve(spec, say, commands):
    """Send the streams of ``spec``, and markers as ``commands`` yields them."""
    outlets = {}
    if about := spec.get("markers"):
        info = StreamInfo(about["name"], "Markers", 1, 0.0, "string", about.get("source_id", ""))
        outlets["markers"] = StreamOutlet(info)
    if about := spec.get("eeg"):
        names = about["ch_names"]
        source_id = about.get("source_id", "")
        info = StreamInfo(about["name"], "EEG", len(names), about["sfreq"], "float32", source_id)
        info.set_channel_names(names)
        info.set_channel_types("eeg")
        info.set_channel_units(about.get("unit", "microvolts"))
        outlets["eeg"] = StreamOutlet(info)
        threading.Thread(target=send, args=(outlets["eeg"], about), daemon=True).start()
    if spec.get("is_deaf"):
        threading.Thread(target=close_udp, args=(*outlets.values(), say), daemon=True).start()
    say("ready")
    for text in commands:
        outlets["markers"].push_sample([text])


def run_forked(spec, pipe):
    """Serve as a child of a process that has imported this module, which takes a second."""
    serve(spec, pipe.send, iter(pipe.recv, "quit"))


def send(outlet, about):
    n_chans, sfreq = len(about["ch_names"]), about["sfreq"]
    loudness, n_sent, start = 10.0 * np.arange(1, n_chans + 1), 0, local_clock()
    rng = np.random.default_rng(0)
    while True:
        n = int((local_clock() - start) * sfreq) - n_sent
        if n > 1:
            times = start + np.arange(n_sent, n_sent + n) / sfreq
            outlet.push_chunk((rng.normal(size=(n, n_chans)) * loudness).astype("f4"), times)
            n_sent += n
        time.sleep(0.02)


def close_udp(outlet, say):
    while not outlet.has_consumers:
        time.sleep(0.005)
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as found:
                is_udp = found.type == socket.SOCK_DGRAM and found.family == socket.AF_INET
        except OSError:  # no socket, or closed meanwhile
            continue
        if is_udp:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
                os.dup2(closed.fileno(), int(name))
    say("deaf")


if __name__ == "__main__":
    texts = (line.strip() for line in sys.stdin)
    serve(json.loads(sys.argv[1]), partial(print, flush=True), texts)
