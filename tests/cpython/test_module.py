"""What CPython's own suite does not look at: threads, signals, forks, many at once, what is left behind."""

import errno
import gc
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import weakref

import bagselectors
from bagselectors import EVENT_READ, EVENT_WRITE

CLASSES = [each for each in (bagselectors.EpollBag, bagselectors.UringBag, bagselectors.PollBag, bagselectors.SelectBag)
           if (each._mechanism, True) in [(name, there) for name, there, _ in bagselectors.backends()]]
EXAMPLES = os.environ.get("SELECTORS_PYTHON_EXAMPLES", "")


def on_each(test):
    def run(self):
        for each in CLASSES:
            with self.subTest(each.__name__), each() as selector:
                test(self, selector)
    return run


class Module(unittest.TestCase):
    def pair(self):
        ends = socket.socketpair()
        for each in ends:
            each.setblocking(False)
            self.addCleanup(each.close)
        return ends

    def later(self, work, seconds=0.05):
        thread = threading.Timer(seconds, work)
        thread.start()
        self.addCleanup(thread.join)

    @on_each
    def test_it_is_a_base_selector_with_the_real_keys(self, selector):
        a, _ = self.pair()
        self.assertIsInstance(selector, selectors.BaseSelector)
        self.assertIs(type(selector.register(a, EVENT_READ)), selectors.SelectorKey)
        self.assertEqual(selector.get_key(a), (a, a.fileno(), EVENT_READ, None))

    @on_each
    def test_others_run_while_it_waits_and_may_register(self, selector):
        a, b = self.pair()
        b.send(b"x")
        self.later(lambda: selector.register(a, EVENT_READ))
        start = time.monotonic()
        self.assertEqual([key.fileobj for key, _ in selector.select(5)], [a])
        self.assertLess(time.monotonic() - start, 2)

    @on_each
    def test_a_registration_by_another_thread_does_not_end_the_wait(self, selector):
        a, _ = self.pair()
        self.later(lambda: selector.register(a, EVENT_READ))
        self.later(lambda: selector.unregister(a), 0.1)
        start = time.monotonic()
        self.assertEqual(selector.select(0.3), [])
        self.assertGreaterEqual(time.monotonic() - start, 0.3)

    @on_each
    def test_many_threads_change_it_while_one_waits(self, selector):
        def churn():
            ends = socket.socketpair()
            for _ in range(300):
                selector.register(ends[0], EVENT_READ)
                selector.modify(ends[0], EVENT_READ | EVENT_WRITE, "data")
                selector.unregister(ends[0])
            for each in ends:
                each.close()
        threads = [threading.Thread(target=churn) for _ in range(4)]
        for each in threads:
            each.start()
        while any(each.is_alive() for each in threads):
            selector.select(0.01)
        for each in threads:
            each.join()
        self.assertEqual(len(selector.get_map()), 0)

    @on_each
    def test_two_selects_at_once_are_refused(self, selector):
        self.later(lambda: None, 0.3)
        waiter = threading.Thread(target=selector.select, args=(0.3,))
        waiter.start()
        time.sleep(0.1)
        with self.assertRaises(RuntimeError):
            selector.select(0)
        waiter.join()

    @on_each
    def test_a_close_by_another_thread_ends_the_wait(self, selector):
        a, _ = self.pair()
        selector.register(a, EVENT_READ)
        self.later(selector.close)
        self.assertEqual(selector.select(5), [])
        self.assertIsNone(selector.get_map())

    @on_each
    def test_a_signal_handler_that_raises_ends_the_wait_and_one_that_returns_does_not(self, selector):
        a, b = self.pair()
        seen = []

        def handle(number, _):
            seen.append(number)
            selector.register(b, EVENT_READ)
            selector.unregister(b)
            if len(seen) == 2:
                raise InterruptedError("enough")
        before = signal.signal(signal.SIGALRM, handle)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        selector.register(a, EVENT_READ)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        with self.assertRaisesRegex(InterruptedError, "enough"):
            selector.select(5)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.assertEqual(len(seen), 2)
        b.send(b"x")
        self.assertEqual(selector.select(1), [(selector.get_key(a), EVENT_READ)])

    def test_a_signal_handler_may_close_it(self):
        for each in CLASSES:
            selector = each()
            a, _ = self.pair()
            selector.register(a, EVENT_READ)
            before = signal.signal(signal.SIGALRM, lambda *_: selector.close())
            self.addCleanup(signal.signal, signal.SIGALRM, before)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            self.assertEqual(selector.select(5), [])

    @on_each
    def test_more_than_a_batch_is_told_at_once_and_each_once(self, selector):
        ends = [socket.socketpair() for _ in range(2500)]
        for a, b in ends:
            selector.register(a, EVENT_READ)
            b.send(b"x")
        told = selector.select(1)
        self.assertEqual(len(told), len(ends))
        self.assertEqual({key.fd for key, _ in told}, {a.fileno() for a, _ in ends})
        for each in ends:
            for end in each:
                end.close()

    @on_each
    def test_lists_are_the_callers(self, selector):
        a, b = self.pair()
        selector.register(a, EVENT_READ | EVENT_WRITE, "first")
        first = selector.select(0)
        b.send(b"x")
        second = selector.select(1)
        selector.modify(a, EVENT_READ | EVENT_WRITE, "second")
        third = selector.select(1)
        self.assertEqual([(key.data, events) for list in (first, second, third) for key, events in list],
                         [("first", EVENT_WRITE), ("first", EVENT_READ | EVENT_WRITE),
                          ("second", EVENT_READ | EVENT_WRITE)])

    @on_each
    def test_modify_of_what_was_closed_unregisters_it(self, selector):
        a, _ = self.pair()
        selector.register(a, EVENT_READ)
        number = a.fileno()
        os.close(a.detach())
        with self.assertRaises(OSError):
            selector.modify(number, EVENT_WRITE)
        with self.assertRaises(KeyError):
            selector.get_key(number)

    def test_a_file_is_refused_by_epoll_and_ready_with_poll(self):
        with open(__file__) as file:
            with bagselectors.PollBag() as selector:
                selector.register(file, EVENT_READ)
                self.assertEqual(len(selector.select(0)), 1)
            with bagselectors.EpollBag() as selector, self.assertRaises(PermissionError):
                selector.register(file, EVENT_READ)

    def test_its_descriptor_is_readable_while_something_is_ready(self):
        a, b = self.pair()
        with bagselectors.EpollBag() as inner, bagselectors.PollBag() as outer:
            inner.register(a, EVENT_READ)
            outer.register(inner, EVENT_READ)
            self.assertEqual(outer.select(0), [])
            inner.modify(a, EVENT_WRITE)
            self.assertEqual([key.fileobj for key, _ in outer.select(1)], [inner])
            inner.unregister(a)
            self.assertEqual(outer.select(0), [])
            inner.register(a, EVENT_WRITE)
            self.assertEqual([key.fileobj for key, _ in outer.select(1)], [inner])
        self.assertFalse(hasattr(bagselectors.PollBag, "fileno"))

    def test_once_closed(self):
        for each in CLASSES:
            selector = each()
            a, _ = self.pair()
            selector.register(a, EVENT_READ)
            view = selector.get_map()
            selector.close()
            selector.close()
            self.assertEqual(len(view), 0)
            for error, call in ((ValueError, lambda: selector.register(a, EVENT_READ)), (ValueError, selector.select),
                                (KeyError, lambda: selector.unregister(a)), (RuntimeError, lambda: selector.get_key(a))):
                with self.assertRaises(error):
                    call()

    def test_nothing_is_left_behind(self):
        before = len(os.listdir("/proc/self/fd"))
        for each in CLASSES:
            selector = each()
            a, b = socket.socketpair()
            selector.register(a, EVENT_READ, selector)  # a cycle
            b.send(b"x")
            selector.select(1)
            gone = weakref.ref(selector)
            del selector
            gc.collect()
            self.assertIsNone(gone())
            a.close()
            b.close()
        del a, b
        gc.collect()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    @on_each
    def test_a_child_has_a_bag_of_its_own(self, selector):
        a, b = self.pair()
        selector.register(a, EVENT_READ)
        child = os.fork()
        if child == 0:
            b.send(b"x")
            told = selector.select(5)
            selector.unregister(a)
            os._exit(0 if len(told) == 1 else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(len(selector.select(1)), 1)

    @unittest.skipUnless(shutil.which("strace") and "LD_PRELOAD" not in os.environ, "strace makes the system refuse")
    def test_what_the_system_refuses_later_is_an_error_and_unregistered(self):
        program = ("import bagselectors, socket\n"
                   "selector, (a, b) = bagselectors.EpollBag(), socket.socketpair()\n"
                   "selector.register(a, 1)\n"
                   "try:\n    print(selector.select(0))\n"
                   "except OSError as refused:\n    print(refused.errno, len(selector.get_map()))\n")
        ended = subprocess.run(["strace", "-o", "/dev/null", "-e", "inject=epoll_ctl:error=ENOSPC:when=2+",
                                sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.stdout, f"{errno.ENOSPC} 0\n", ended.stderr)

    def test_a_daemon_thread_that_waits_does_not_disturb_the_end_of_the_interpreter(self):
        program = ("import bagselectors, socket, threading, time\n"
                   "def wait():\n"
                   "    selector = bagselectors.EpollBag()\n"
                   "    while True:\n        selector.select(0.0001)\n"
                   "for _ in range(4):\n    threading.Thread(target=wait, daemon=True).start()\n"
                   "time.sleep(0.05)\n")
        for _ in range(20):
            ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""))

    @on_each
    def test_a_child_uses_what_another_thread_waits_in(self, selector):
        a, b = self.pair()
        waiter = threading.Thread(target=selector.select, args=(0.5,))
        waiter.start()
        time.sleep(0.1)
        child = os.fork()
        if child == 0:
            selector.register(a, EVENT_READ)
            b.send(b"x")
            os._exit(0 if len(selector.select(5)) == 1 else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        waiter.join()

    def test_asyncio_runs_on_it(self):
        program = ("import asyncio, bagselectors\n"
                   "loop = asyncio.SelectorEventLoop(bagselectors.DefaultSelector())\n"
                   "async def main():\n"
                   "    server = await asyncio.start_server(lambda r, w: w.close(), '127.0.0.1', 0)\n"
                   "    reader, _ = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
                   "    assert await reader.read() == b''\n"
                   "loop.run_until_complete(main())\n")
        subprocess.run([sys.executable, "-c", program], check=True, timeout=30)

    def test_install_is_heard_by_everybody(self):
        program = ("import selectors, bagselectors\nbagselectors.install()\n"
                   "import asyncio, socketserver, subprocess, multiprocessing.connection as m\n"
                   "loop = asyncio.new_event_loop()\n"
                   "for each in (loop._selector, socketserver._ServerSelector(), subprocess._PopenSelector(),\n"
                   "             m._WaitSelector(), selectors.DefaultSelector()):\n"
                   "    assert isinstance(each, bagselectors._bag.Bag), each\n"
                   "assert subprocess.run(['cat'], input=b'x', capture_output=True).stdout == b'x'\n")
        subprocess.run([sys.executable, "-c", program], check=True, timeout=30)

    @unittest.skipUnless(EXAMPLES, "where the examples are is not said")
    def test_the_articles_programs(self):
        for name in ("accept.py", "callback_accept.py"):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            with open(os.path.join(EXAMPLES, name)) as file:
                program = file.read().replace("7342", str(port))
            server = subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True)
            try:
                for _ in range(2):
                    end = time.monotonic() + 10
                    while time.monotonic() < end:
                        try:
                            socket.create_connection(("127.0.0.1", port)).close()
                            break
                        except ConnectionRefusedError:
                            time.sleep(0.02)
                    self.assertEqual([server.stdout.readline() for _ in range(2)], ["About to accept.\n", "Accepted.\n"])
            finally:
                server.kill()
                server.wait()
                server.stdout.close()


if __name__ == "__main__":
    unittest.main()
