"""A client of the Redis protocol that keeps the bytes of each reply."""

import socket


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Reply:
    """kind: its first byte; raw: all its bytes; items: of an array, a map, a set or a push."""

    def __init__(self, raw, items=None):
        self.raw, self.items = raw, items
        self.kind = raw[:1]

    def text(self):
        """Of a bulk or verbatim string, a number, a line."""
        head, _, rest = self.raw.partition(b"\r\n")
        return rest[:-2] if self.kind in b"$=" else head[1:]


class Client:
    TIMEOUT_S = 10

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), self.TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = self.socket.makefile("rb")

    def close(self):
        self.buffer.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        line = self.buffer.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(f"the server closed the connection after {line!r}")
        kind = line[:1]
        if kind in b"$=":
            size = int(line[1:])
            return Reply(line if size < 0 else line + self.buffer.read(size + 2))
        if kind in b"*%~>":
            count = int(line[1:]) * (2 if kind == b"%" else 1)
            items = [self.reply() for _ in range(count)]
            return Reply(line + b"".join(item.raw for item in items), items)
        return Reply(line)

    def replies_before(self, end):
        """Sends PING with this text and returns the replies that come before its own."""
        self.send(encode([b"PING", end]))
        replies = []
        while not (reply := self.reply()).raw.endswith(end + b"\r\n"):
            replies.append(reply)
        return replies

    def rest(self):
        """All bytes up to the end of the connection; a reset is an end, too."""
        data = b""
        try:
            while part := self.socket.recv(65536):
                data += part
        except ConnectionResetError:
            data += b"(reset)"
        return data
