"""A relay in front of a real tracking server, whose faults a test chooses."""

import socket
import threading
from contextlib import suppress

REFUSAL = b"HTTP/1.1 500 INTERNAL SERVER ERROR\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FaultRelay:
    """Passes bytes on, both ways.

    Attributes:
        fault: None, ``silent`` (accepts and never answers) or ``broken`` (answers 500).
        uri: its address.
    """

    def __init__(self, port: int) -> None:
        self.fault: str | None = None
        self._port = port
        self._end = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End the relay and let go of those who wait for an answer."""
        self._end.set()
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            server = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
            with server:
                while asked := client.recv(65536):
                    if self.fault == "silent":
                        self._end.wait()
                        return
                    if self.fault == "broken":
                        client.sendall(REFUSAL)
                        return
                    server.sendall(asked)

    @staticmethod
    def _answers(server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while found := server.recv(65536):
                client.sendall(found)
