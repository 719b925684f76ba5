"""Starts and ends a server of our own: a free port, a data directory of its own, everything else its defaults."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`quipu serve`; `log_path` holds what it prints."""

    def __init__(self, binary, configs=(), directory=None):
        self.binary, self.configs = os.path.abspath(binary), list(configs)
        self.own = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="quipu-clients-")
        self.data = os.path.join(self.directory, "data")
        self.log_path = os.path.join(self.directory, "server.log")
        self.bootstrap = f"127.0.0.1:{free_port()}"
        self.process = None

    def start(self, seconds=20):
        """Starts it and waits until it accepts connections."""
        self.begin()
        self.wait(seconds)

    def begin(self):
        """Starts it."""
        settings = [f"listeners=PLAINTEXT://{self.bootstrap}", f"log.dirs={self.data}", *self.configs]
        command = [self.binary, "serve"] + [part for setting in settings for part in ("--set", setting)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self, seconds=20):
        """Waits until it accepts connections."""
        host, port = self.bootstrap.rsplit(":", 1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"the server does not answer at {self.bootstrap} after {seconds} s:\n{self.log()}")

    def stop(self, seconds=20):
        """Ends it as an operator would; an error when it does not end well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"the server did not end within {seconds} s of SIGTERM:\n{self.log()}") from None
        if code != 0:
            raise RuntimeError(f"the server ended with {code}:\n{self.log()}")

    def kill(self):
        """kill -9."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self, lines=40):
        """The end of what it printed."""
        try:
            with open(self.log_path, errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except FileNotFoundError:
            return ""

    def clean(self):
        """Ends it if need be and removes the directory this object made."""
        self.kill()
        if self.own:
            shutil.rmtree(self.directory, ignore_errors=True)


class Cluster:
    """Three servers that vote, with the ids 1 to 3."""

    def __init__(self, binary, configs=()):
        self.directory = tempfile.mkdtemp(prefix="quipu-clients-")
        peers = {node: f"127.0.0.1:{free_port()}" for node in (1, 2, 3)}
        voters = ",".join(f"{node}@{address}" for node, address in peers.items())
        self.servers = []
        for node, address in peers.items():
            own = [f"node.id={node}", f"quipu.voters={voters}", f"quipu.peer.listen={address}", *configs]
            directory = os.path.join(self.directory, str(node))
            os.mkdir(directory)
            self.servers.append(Server(binary, own, directory))
        self.bootstrap = ",".join(server.bootstrap for server in self.servers)

    def start(self, seconds=30):
        """Starts all of them and waits until they accept connections."""
        for server in self.servers:
            server.begin()
        for server in self.servers:
            server.wait(seconds)

    def log(self):
        """The end of what each printed."""
        return "".join(f"-- broker {at + 1}\n{server.log()}" for at, server in enumerate(self.servers))

    def clean(self):
        """Ends them, kill -9, and removes their directories."""
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
