"""Who takes part."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Contestant:
    """Its program under servers/ and contestants/, and on which mechanism the program is to be."""

    name: str
    program: str
    kind: str             # "ours", "raw", "peer", or "contrast": what programs do without any of it
    backend: str = ""     # of ours
    most: int = 20_000    # connections and pairs: beyond that it is out of the question

    @property
    def environment(self):
        return {**os.environ, "SELECTORS_BACKEND": self.backend} if self.backend else dict(os.environ)


CONTESTANTS = (
    Contestant("bag", "bag", "ours", "epoll"),
    Contestant("loop", "loop", "ours", "epoll"),
    Contestant("loop, callbacks", "loop_callbacks", "ours", "epoll"),
    Contestant("raw epoll", "raw_epoll", "raw"),
    Contestant("raw epoll, again", "raw_epoll", "raw"),  # shows what the noise is
    Contestant("libev", "libev", "peer"),
    Contestant("libuv", "libuv", "peer"),
    Contestant("libevent", "libevent", "peer"),
    Contestant("libevent, bufferevent", "libevent_bufferevent", "peer"),
    Contestant("Asio", "asio", "peer"),
    Contestant("Asio, callbacks", "asio_callbacks", "peer"),
    Contestant("Asio, coroutines", "asio_coroutines", "peer"),
    Contestant("bag on io_uring", "bag", "ours", "uring"),
    Contestant("loop on io_uring", "loop", "ours", "uring"),
    Contestant("raw io_uring", "raw_uring", "raw"),
    Contestant("bag on poll", "bag", "ours", "poll", 1_000),
    Contestant("bag on select", "bag", "ours", "select", 1_000),
    Contestant("threads", "threads", "contrast"),
    Contestant("Python's selectors", "python_selectors.py", "contrast"),
)
BASE = "raw epoll"  # what everybody is compared with
OURS = {each.name for each in CONTESTANTS if each.kind == "ours"}
PEERS = [each.name for each in CONTESTANTS if each.kind == "peer"]
