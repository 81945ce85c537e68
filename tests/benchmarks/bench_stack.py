"""Time what a person waits for between calibration and spelling: fitting `best` and `light`.

    python tests/benchmarks/bench_stack.py            # needs P300_DATA_ROOT

The twelve training characters of BCI Competition II data set IIb, with 64 and with 8 electrodes.
For each: seconds of the fit; and seconds that all cores worked during the whole run, which a busy
machine changes less.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from p300.experiments.train import train
from p300.simulation.recordings import EIGHT_CHANNELS

#: Most seconds of a fit on two cores: with 64 electrodes, and with 8.
MOST = {"light": (10, 3), "best": (20, 8)}


def main():
    quiet = ["logger=csv", "quiet=true", "progress=false"]
    with tempfile.TemporaryDirectory() as name:
        train(Path(name) / "imports", *quiet, "experiment=riemann", "data=bci2_iib")
        print("experiment  electrodes  fit s  all cores s  fit may take s")
        for experiment, most in MOST.items():
            for picked, may in zip((None, EIGHT_CHANNELS), most, strict=True):
                asked = [*quiet, "data=bci2_iib", f"experiment={experiment}"]
                if picked:
                    asked.append(f"preprocessing.channels=[{','.join(picked)}]")
                started = time.process_time()
                found = train(Path(name) / f"{experiment}-{may}", *asked)
                spent = time.process_time() - started
                n_chans = len(found["ch_names"])
                print(
                    f"{experiment:10s}  {n_chans:10d}  {found['fit_s']:5.1f}  {spent:11.1f}  "
                    f"{may:14d}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
