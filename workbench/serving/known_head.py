"""The head of an earlier request, to recognize it when a kept connection repeats it.

Clients send the same request line and headers again and again; only the length of the body may
change. Bytes that equal a head which the parser has read before need no second reading. Knows no
route and no model.
"""

from __future__ import annotations

from workbench.serving.messages import Request

_LENGTH = b"content-length"
_MOST_DIGITS = 12
_LONGEST = 4096


class KnownHead:
    """A head with a hole where the length of the body stands.

    Args:
        request: The admitted request it came with.
        before: Its bytes up to the length.
        after: Its bytes behind the length, with the blank line that ends them.
    """

    __slots__ = ("_after", "_before", "_rest", "_size", "request")

    def __init__(self, request: Request, before: bytes, after: bytes) -> None:
        self.request = request
        self._before = before
        self._after = after
        self._size = len(before)
        self._rest = len(after)

    def match(self, data: bytes, at: int = 0) -> tuple[int, int] | None:
        """Returns where the body begins and how long it is; None if another head is at `at`."""
        if not data.startswith(self._before, at):
            return None
        begin = at + self._size
        end = data.find(b"\r", begin, begin + _MOST_DIGITS)
        digits = data[begin:end]
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return None
        return end + self._rest, int(digits)


def learn(data: bytes, request: Request) -> KnownHead | None:
    """Returns the head that `data` begins with, if its body is framed by a length alone.

    Args:
        data: Bytes from the first one of the request on, its whole head among them.
        request: What the parser read from them.
    """
    length = request.headers.get(_LENGTH, b"")
    is_plain = length.isdigit() and not request.headers.keys() & {b"transfer-encoding", b"expect"}
    end = data.find(b"\r\n\r\n", 0, _LONGEST) + len(b"\r\n\r\n")
    head = data[:end]
    if not is_plain or not head.startswith(request.method.encode() + b" "):
        return None
    if head.count(b"\n") != head.count(b"\r\n") or head.count(b"\r") != head.count(b"\r\n"):
        return None
    begin = head.lower().find(b"\r\n" + _LENGTH + b":") + len(b"\r\n" + _LENGTH + b":")
    begin += len(head) - begin - len(head[begin:].lstrip(b" "))
    close = begin + len(length)
    if head[begin:close] != length or not head.startswith(b"\r\n", close):
        return None
    return KnownHead(request, head[:begin], head[close:])
