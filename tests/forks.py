"""Commands in processes of their own, without the seconds that imports take.

A server has imported what commands need. For each command it forks, so the command has its own
folder, environment, standard streams and end, as one that is typed. `run` is called by tests;
`executable` is a file named p300 for the commands of a shell. What follows -c is Python.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: What a shell starts: passes its arguments, folder, environment and streams on to the server.
CLIENT = """\
#!{python} -S
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(said).to_bytes(4, "big")], [0, 1, 2])
server.sendall(said)
status = int(server.recv(16) or 1)
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


class ForkServer:
    """A process that forks for every command; close it at the end.

    Its commands import the p300 of these tests.
    """

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="p300-forks-"))
        self.address = str(self.folder / "socket")
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.getenv("PYTHONPATH")])])
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
        command = [sys.executable, __file__, self.address]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        self.executable = self.folder / "p300"
        self.executable.write_text(CLIENT.format(python=sys.executable, address=self.address))
        self.executable.chmod(0o700)

    def run(self, arguments, cwd, env=None):
        """Run `p300 ARGUMENTS`, or `python -c CODE ARGUMENTS`; return status, output, errors."""
        done = subprocess.run(
            [self.executable, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    def close(self):
        """End the server."""
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()


def serve(address):
    """Import what commands need, then fork for each that is asked for."""
    import mne  # noqa: F401
    import pandas  # noqa: F401
    import pytorch_lightning  # noqa: F401
    import sklearn.pipeline  # noqa: F401
    import torch  # noqa: F401

    import p300.baselines
    import p300.commands.train
    import p300.experiments.fitting.fit
    import p300.experiments.fitting.networks
    import p300.experiments.jobs.command
    import p300.experiments.train
    import p300.models
    import p300.training.loop
    import p300.training.module  # noqa: F401

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # handlers end on their own
    print("ready", flush=True)
    while True:
        asking, _ = listening.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            handle(asking)
            os._exit(0)
        asking.close()


def handle(asking):
    """Fork for one command, and answer with its status."""
    size, streams, _, _ = socket.recv_fds(asking, 4, 3)
    said, n = b"", int.from_bytes(size, "big")
    while len(said) < n:
        said += asking.recv(n - len(said))
    command = os.fork()
    if not command:
        asking.close()
        end(execute(*json.loads(said), streams))
    for stream in streams:
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    with contextlib.suppress(OSError):
        asking.sendall(str(status).encode())


def execute(arguments, folder, environment, streams):
    """Run a command in this process as if it were typed; return its status."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.setsid()
    # where the tests run in the background, a shell lets all of their processes ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    try:
        if arguments[:1] == ["-c"]:
            sys.modules["__main__"] = module = types.ModuleType("__main__")
            sys.argv = ["-c", *arguments[2:]]
            exec(compile(arguments[1], "<string>", "exec"), module.__dict__)
        else:
            from p300.cli import main

            sys.argv = ["p300", *arguments]
            main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    return status


def end(status):
    """End this process, after what is registered for the end.

    An interpreter that ends as usual frees every module, which takes longer than most commands.
    """
    threading._shutdown()  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
