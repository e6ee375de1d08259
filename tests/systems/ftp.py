"""A real FTP server (pyftpdlib), in a process and an environment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import environments
from ports import free_ports
from systems.process import Process, running

USER, PASSWORD = "me", "n@t/to be:guessed#%"
_SCRIPT = """
import os
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import DTPHandler, FTPHandler
from pyftpdlib.servers import ThreadedFTPServer

port, folder, user, password, cut = int(sys.argv[1]), *sys.argv[2:5], sys.argv[5]


class Cutting(DTPHandler):
    # Ends the transfer of a file after as many bytes as the file `cut` says, as a server that dies in the middle.
    sent = 0

    def send(self, data):
        if self.file_obj is None or not os.path.exists(cut):
            return super().send(data)
        most = int(open(cut).read())
        if self.sent >= most:
            self.close()
            self.cmd_channel.close()
            return 0
        done = super().send(data[: most - self.sent])
        self.sent += done
        return done


users = DummyAuthorizer()
users.add_user(user, password, folder, perm="elradfmwMT")
FTPHandler.authorizer, FTPHandler.dtp_handler, FTPHandler.use_sendfile = users, Cutting, False
ThreadedFTPServer(("127.0.0.1", port), FTPHandler).serve_forever()
"""


@contextmanager
def ftp(folder: Path) -> Iterator[int]:
    """The port of a server that has begun, over `folder/files`. It lets in `USER` with `PASSWORD`.

    While there is a file `folder/cut`, a transfer ends after as many bytes as it says.
    """
    (port,) = free_ports(1)
    (folder / "files").mkdir(parents=True)
    python = environments.environment("ftp", "pyftpdlib==2.1.0")
    arguments = [str(port), str(folder / "files"), USER, PASSWORD, str(folder / "cut")]
    with running(Process([str(python), "-c", _SCRIPT, *arguments], port, folder / "log")):
        yield port
