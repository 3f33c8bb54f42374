"""Plain connections of a caller with workers, for calls that are shorter than a message of Dask's.

Such a message goes through an event loop at either end, half a millisecond for each; here the thread that calls writes to a
socket, and a thread of the worker's reads from it. Who connects says first a name that only the two know, before which nothing
is unpickled. Where Dask's own connections are encrypted there are none of these.
"""

import socket
import struct
import threading
import weakref

PATIENCE = 2.0  # seconds for a connection
LONGEST_NAME = 1 << 10
_LENGTH = struct.Struct("<q")
_KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 10}  # after half a minute, a host that is gone is noticed
_servers = {}  # on a worker: its address -> the port at which it answers


def _prepared(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _send(connection, message):
    connection.sendall(_LENGTH.pack(len(message)) + message)


def _receive(connection, most=None) -> bytearray:
    (size,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if most is not None and not 0 <= size <= most:
        raise ConnectionError("a message longer than any that is meant")
    return _exactly(connection, size)


def _exactly(connection, size):
    message = bytearray(size)
    rest = memoryview(message)
    while rest:
        count = connection.recv_into(rest)
        if not count:
            raise ConnectionError("the other side is gone")
        rest = rest[count:]
    return message


class Wire:
    """A connection with one worker.

    Args:
        name: of what answers there.

    Raises:
        OSError: if there is none to be had.
    """

    def __init__(self, host, port, name):
        self._connection = _prepared(socket.create_connection((host, port), timeout=PATIENCE))
        weakref.finalize(self, self._connection.close)
        _send(self._connection, name.encode())
        _receive(self._connection)
        self._connection.settimeout(None)

    def ask(self, message):
        _send(self._connection, message)

    def answer(self) -> bytearray:
        return _receive(self._connection)


def served(worker, answer) -> int:
    """The port at which a worker of Dask's answers.

    Args:
        answer: of (worker, name, message) gives the answer; None as the message asks whether there is anything of that name.
    """
    if worker.address not in _servers:
        family = socket.AF_INET6 if ":" in worker.ip else socket.AF_INET
        server = socket.create_server((worker.ip, 0), family=family)
        _servers[worker.address] = server.getsockname()[1]
        _thread(_accept, server, worker, answer)
    return _servers[worker.address]


def _thread(function, *args):
    threading.Thread(target=function, args=args, name="tapejit wire", daemon=True).start()


def _accept(server, worker, answer):
    while True:
        connection, _ = server.accept()
        _thread(_serve, _prepared(connection), worker, answer)


def _serve(connection, worker, answer):
    with connection:
        try:
            connection.settimeout(PATIENCE)
            name = _receive(connection, LONGEST_NAME).decode(errors="replace")
            if answer(worker, name, None) is None:
                return
            _send(connection, b"")
            connection.settimeout(None)
            while True:
                _send(connection, answer(worker, name, _receive(connection)))
        except OSError:  # the caller is gone
            return
