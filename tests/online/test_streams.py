"""Faults of streams, injected over Lab Streaming Layer: restarts, deaths, clocks, firewalls."""

import os
import shutil
import subprocess
import time

import numpy as np
import pytest

from p300.errors import InputError
from p300.online.streams import listener as module
from p300.online.streams.format import StreamFormat
from p300.online.streams.listener import Link, Listener

#: Another monotonic clock, 500 s ahead, on a "machine" of the same name.
OTHER_CLOCK = (
    "unshare",
    "--user",
    "--map-root-user",
    "--time",
    "--monotonic",
    "500",
    "--fork",
    "--kill-child",
)


def eeg(test, ch_names=("Fz", "Cz", "Pz"), **more):
    name = f"{test} {os.getpid()}"
    about = {"name": name, "source_id": name, "ch_names": ch_names, "sfreq": 250.0}
    return {"eeg": about | more}


def markers(test, **more):
    name = f"{test} markers {os.getpid()}"
    return {"markers": {"name": name, "source_id": name} | more}


def listen(test, **options):
    names = {"name": f"{test} {os.getpid()}"}, {"name": f"{test} markers {os.getpid()}"}
    return Listener(*names, timeout_s=60, **options)


def pull_until(listener, is_enough, timeout_s=60):
    """Pull until ``is_enough(samples, markers, news)``; return them all."""
    parts, stamps, found, news = [], [], [], []
    deadline = time.monotonic() + timeout_s
    while not is_enough(parts, found, news):
        samples, timestamps, some = listener.pull(0.05)
        if len(timestamps):
            parts.append(samples)
            stamps.append(timestamps)
        found += some
        news += listener.news
        listener.news.clear()
        assert time.monotonic() < deadline, (len(parts), found, news)
    return parts, stamps, found, news


@pytest.mark.slow
def test_an_amplifier_that_comes_back_goes_on_but_not_with_another_channel_order(start_sender):
    amplifier = start_sender(eeg("restart")).wait()
    start_sender(markers("restart")).wait()
    listener = listen("restart")
    pull_until(listener, lambda parts, *_: len(parts) > 3)
    amplifier.kill()
    amplifier = start_sender(eeg("restart"))
    pull_until(listener, lambda _, __, news: any("back, as it was" in text for _, text in news))
    parts, *_ = pull_until(listener, lambda parts, *_: sum(p.shape[1] for p in parts) > 250)
    assert np.argsort(np.concatenate(parts, axis=1).std(axis=1)).tolist() == [0, 1, 2]
    amplifier.kill()
    start_sender(eeg("restart", ch_names=("Cz", "Fz", "Pz")))
    with pytest.raises(InputError, match="got channel 1 'Cz'; expected 'Fz', as when the session"):
        pull_until(listener, lambda *_: False)
    listener.close()


@pytest.mark.slow
def test_eeg_goes_on_while_the_stimulus_program_is_dead_and_comes_back(start_sender):
    start_sender(eeg("dead")).wait()
    speller = start_sender(markers("dead", source_id="")).wait()
    listener = listen("dead")
    speller.send("begin")
    pull_until(listener, lambda parts, found, _: parts and found)
    speller.kill()
    second = start_sender(markers("dead", source_id=""))
    _, stamps, _, news = pull_until(
        listener, lambda _, __, news: any(what == "marker back" for what, _ in news)
    )
    assert [what for what, _ in news] == ["marker lost", "marker back"]
    times = np.concatenate(stamps)
    assert len(times) > 125  # half a second and more
    np.testing.assert_allclose(np.diff(times), 1 / 250, atol=1e-6)  # no sample is missing
    second.send("stop")
    assert pull_until(listener, lambda _, found, __: found)[2][0][0] == "stop"
    listener.close()


def can_unshare():
    if not shutil.which("unshare"):
        return False
    return not subprocess.run([*OTHER_CLOCK, "true"], capture_output=True).returncode


@pytest.mark.slow
def test_two_machines_of_one_host_name_are_not_taken_for_one(start_sender):
    if not can_unshare():
        pytest.skip("no process with a clock of its own: unshare --time is not permitted")
    start_sender(eeg("twins")).wait()
    speller = start_sender(markers("twins"), *OTHER_CLOCK).wait()
    listener = listen("twins")
    hosts = {link.info.hostname for link in listener._links.values()}
    assert len(hosts) == 1
    speller.send("begin")
    _, stamps, ((_, at, raw),), _ = pull_until(listener, lambda _, found, __: found)
    newest = np.concatenate(stamps or [listener.pull(1.0)[1]])[-1]
    assert abs(raw - newest) > 400
    assert abs(at - newest) < 5
    listener.close()


@pytest.mark.slow
def test_a_closed_udp_port_is_told_before_the_session_with_machine_and_firewall(
    start_sender, monkeypatch
):
    start_sender(eeg("deaf")).wait()
    speller = start_sender(markers("deaf") | {"is_deaf": True}).wait()
    measure = Link.measure_clock

    def measure_deaf(link, timeout_s):
        if "markers" not in link.info.name:
            return measure(link, timeout_s)
        assert speller.pipe.recv() == "deaf"  # from now on, its port is closed
        return measure(link, 1.0)

    monkeypatch.setattr(Link, "measure_clock", measure_deaf)
    with pytest.raises(InputError, match=r"'deaf markers \d+' on machine '.+' did not .* UDP por"):
        listen("deaf")


class Clock:
    """An inlet whose clock answers, or not; the rest is that of a real one."""

    def __init__(self, inlet, *answers):
        self.inlet, self.answers = inlet, list(answers)
        self.was_clock_reset = False

    def time_correction(self, timeout):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise TimeoutError
        return answer

    def __getattr__(self, name):
        return getattr(self.inlet, name)


@pytest.mark.slow
def test_a_clock_that_stops_answering_keeps_its_last_value(start_sender, monkeypatch):
    monkeypatch.setattr(module, "HOLD_S", 0.3)
    monkeypatch.setattr(module, "CORRECTION_S", 0.0)
    start_sender(eeg("mute")).wait()
    speller = start_sender(markers("mute")).wait()
    listener = listen("mute")
    for kind, *answers in (("EEG", 2.0), ("marker", 100.5, None)):
        link = listener._links[kind]
        listener._links[kind] = Link(Clock(link.inlet, *answers), link.info, 0.0, True)
    shifts = []
    for reset in (False, False, True):
        listener._links["marker"].inlet.was_clock_reset = reset
        speller.send("begin")
        _, _, ((_, at, raw),), news = pull_until(listener, lambda _, found, __: found)
        shifts.append(at - raw)
    assert shifts == pytest.approx([98.5] * 3, abs=1e-6)
    assert [what for what, _ in news] == ["marker clock"]  # only of a clock that was set anew
    assert "its last value is kept" in news[0][1]
    listener.close()


def test_a_stream_is_compared_name_by_name():
    stream = StreamFormat("amplifier", ("Fz", "Cz"), ("uV", "uV"), 250.0)
    stream.check_same(StreamFormat("amplifier", ("Fz", "Cz"), ("uV", "uV"), 250.0))
    with pytest.raises(InputError, match="got rate in Hz 500.0; expected 250.0"):
        stream.check_same(StreamFormat("amplifier", ("Fz", "Cz"), ("uV", "uV"), 500.0))
    with pytest.raises(InputError, match="got unit of channel 2 'V'; expected 'uV'"):
        stream.check_same(StreamFormat("amplifier", ("Fz", "Cz"), ("uV", "V"), 250.0))
    with pytest.raises(InputError, match="got number of channels 1; expected 2"):
        stream.check_same(StreamFormat("amplifier", ("Fz",), ("uV",), 250.0))
