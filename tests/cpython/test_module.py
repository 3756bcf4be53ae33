"""What CPython's own suite does not look at: threads, signals, forks, many at once, what is left behind."""

import contextlib
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

    @contextlib.contextmanager
    def ends_within(self, seconds):
        start = time.monotonic()
        yield
        self.assertLess(time.monotonic() - start, seconds)

    def run_quietly(self, program, times=1):
        for _ in range(times):
            ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""))

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
        with self.ends_within(2):
            self.assertEqual([key.fileobj for key, _ in selector.select(5)], [a])

    @on_each
    def test_a_registration_by_another_thread_does_not_end_the_wait(self, selector):
        a, _ = self.pair()
        self.later(lambda: selector.register(a, EVENT_READ))
        self.later(lambda: selector.unregister(a), 0.1)
        start = time.monotonic()
        self.assertEqual(selector.select(0.3), [])
        self.assertGreaterEqual(time.monotonic() - start, 0.3)

    def run_while_one_waits(self, selector, seconds, works):
        """Each in a thread of its own, beside selects of that long; returns what they raised."""
        failures = []

        def run(work):
            try:
                work()
            except Exception as failure:
                failures.append(failure)
        threads = [threading.Thread(target=run, args=(work,)) for work in works]
        for each in threads:
            each.start()
        while any(each.is_alive() for each in threads):
            selector.select(seconds)
        for each in threads:
            each.join()
        return failures

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
        failures = self.run_while_one_waits(selector, 0.01, [churn] * 4)
        self.assertEqual((failures, len(selector.get_map())), ([], 0))

    @on_each
    def test_two_threads_may_modify_the_same_while_one_waits(self, selector):
        a, _ = self.pair()
        selector.register(a, EVENT_READ)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        self.addCleanup(sys.setswitchinterval, interval)

        def change(data):
            for i in range(500):
                selector.modify(a, EVENT_READ, (data, i))
        failures = self.run_while_one_waits(selector, 0.001, [lambda data=data: change(data) for data in range(3)])
        self.assertEqual(failures, [])

    @on_each
    def test_a_fileno_that_lets_others_run_does_not_disturb_the_one_that_waits(self, selector):
        a, b = self.pair()

        class Slow:
            def fileno(self):
                time.sleep(0.02)
                return a.fileno()
        slow = Slow()
        selector.register(b, EVENT_READ)
        for _ in range(5):
            self.later(lambda: (selector.register(slow, EVENT_READ), selector.modify(slow, EVENT_READ, "data"),
                                selector.unregister(slow)), 0.01)
            with self.ends_within(1):
                self.assertEqual(selector.select(0.15), [])

    @on_each
    def test_two_selects_at_once_are_refused(self, selector):
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
        with self.ends_within(2):
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

    @on_each
    def test_a_signal_is_heard_beside_what_nobody_has_registered(self, selector):
        class Heard(Exception):
            pass

        def handle(*_):
            raise Heard
        before = signal.signal(signal.SIGUSR1, handle)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        selector.register(self.pair()[0], EVENT_READ)
        for _ in range(30):
            a, b = self.pair()
            selector.register(a, EVENT_READ)
            selector.select(0)
            selector.unregister(a)
            self.later(lambda: (b.send(b"x"), os.kill(os.getpid(), signal.SIGUSR1)), 0.01)
            with self.ends_within(2), self.assertRaises(Heard):
                selector.select(5)

    def test_a_signal_handler_may_close_it(self):
        for each in CLASSES:
            selector = each()
            a, _ = self.pair()
            selector.register(a, EVENT_READ)
            before = signal.signal(signal.SIGALRM, lambda *_: selector.close())
            self.addCleanup(signal.signal, signal.SIGALRM, before)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with self.ends_within(2):
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

    def closed_and_its_number_used_anew(self, a):
        """A readable socket and its other end, in the place of another one."""
        number = a.fileno()
        a.close()
        c, d = self.pair()
        d.send(b"x")
        if c.fileno() != number:
            os.dup2(c.fileno(), number)
            self.addCleanup(os.close, number)
        return number

    @on_each
    def test_what_is_closed_before_the_next_select_is_silent_and_stays_registered(self, selector):
        for modified in (False, True):
            a, _ = self.pair()
            selector.register(a, EVENT_READ)
            if modified:
                selector.select(0)
                selector.modify(a, EVENT_READ | EVENT_WRITE)
            a.close()
            self.assertEqual(selector.select(0), [])
            self.assertEqual(len(selector.get_map()), 1)
            selector.unregister(a)

    @on_each
    def test_who_has_the_number_now_is_not_told_of_in_its_place(self, selector):
        a, _ = self.pair()
        selector.register(a, EVENT_READ, "the first")
        number = self.closed_and_its_number_used_anew(a)
        self.assertEqual(selector.select(0), [])
        with self.assertRaises(FileNotFoundError):
            selector.modify(number, EVENT_WRITE)
        self.assertEqual(len(selector.get_map()), 0)

    @on_each
    def test_modify_knows_that_the_number_is_anothers(self, selector):
        a, _ = self.pair()
        selector.register(a, EVENT_READ)
        selector.select(0)
        number = self.closed_and_its_number_used_anew(a)
        with self.assertRaises(FileNotFoundError):
            selector.modify(number, EVENT_READ | EVENT_WRITE)
        self.assertEqual((selector.select(0), len(selector.get_map())), ([], 0))

    @on_each
    def test_registering_and_unregistering_for_ever_keeps_nothing(self, selector):
        a, b = self.pair()
        for _ in range(1000):
            selector.register(a, EVENT_READ)
            selector.unregister(a)
        selector.register(a, EVENT_READ)
        b.send(b"x")
        self.assertEqual(len(selector.select(1)), 1)

    def test_numbers_that_no_descriptor_has(self):
        with bagselectors.EpollBag() as selector:
            for number in (2**31, 2**70):
                self.assertNotIn(number, selector.get_map())
                self.assertIsNone(selector.get_map().get(number))
                for call in (selector.unregister, selector.get_key, lambda number: selector.modify(number, EVENT_READ)):
                    with self.assertRaises(KeyError):
                        call(number)
                with self.assertRaises(OverflowError):
                    selector.register(number, EVENT_READ)

    def test_events_are_an_int(self):
        a, _ = self.pair()

        class Index:
            def __index__(self):
                return 1
        with bagselectors.EpollBag() as selector:
            for wrong in (None, "", 0, 4, -1, 2**70, b"", []):
                with self.assertRaises(ValueError):
                    selector.register(a, wrong)
            for wrong in (Index(), "read", 1.0):
                with self.assertRaises(TypeError):
                    selector.register(a, wrong)
            selector.register(a, EVENT_READ)
            with self.assertRaises(TypeError):
                selector.modify(a, Index())

    def test_data_is_compared_as_python_does(self):
        a, _ = self.pair()
        nan = float("nan")
        with bagselectors.EpollBag() as selector:
            key = selector.register(a, EVENT_READ, nan)
            self.assertIsNot(selector.modify(a, EVENT_READ, nan), key)
            self.assertIs(selector.get_key(fileobj=a), selector.get_map()[a])
            with self.assertRaises(TypeError):
                selector._fd_to_key[a.fileno()] = 1

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

    def test_its_descriptor_may_be_asked_for_while_another_thread_waits(self):
        a, b = self.pair()
        c, d = self.pair()
        with bagselectors.EpollBag() as selector:
            selector.register(a, EVENT_READ)
            selector.register(c, EVENT_READ)
            selector.select(0)
            selector.unregister(a)  # the kernel still has it
            told = []
            waiter = threading.Thread(target=lambda: told.append(selector.select(1)))
            waiter.start()
            time.sleep(0.1)
            start = time.monotonic()
            selector.fileno()
            b.send(b"x")
            waiter.join()
            self.assertGreater(time.monotonic() - start, 0.5, "it woke for what nobody had registered")
            self.assertEqual(told, [[]])
            d.send(b"x")
            self.assertEqual(selector.select(1), [(selector.get_key(c), EVENT_READ)])

    def test_in_a_child_its_descriptor_is_the_childs(self):
        a, b = self.pair()
        with bagselectors.EpollBag() as inner:
            inner.fileno()
            waiter = threading.Thread(target=inner.select, args=(0.5,))
            waiter.start()
            time.sleep(0.1)
            child = os.fork()
            if child == 0:
                outer = bagselectors.PollBag()
                outer.register(inner, EVENT_READ)
                inner.register(a, EVENT_READ)
                b.send(b"x")
                os._exit(0 if len(outer.select(5)) == 1 and len(inner.select(0)) == 1 else 1)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            waiter.join()

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
            with each() as selector:
                gone = weakref.ref(selector)
            del selector
            self.assertIsNone(gone(), "once closed it needs no collector")
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

    def test_daemon_threads_do_not_disturb_the_end_of_the_interpreter(self):
        for work in ("selector = bagselectors.EpollBag()\n    while True:\n        selector.select(0.0001)",
                     "while True:\n        shared.get_key(slow)",
                     "while True:\n"
                     "        selector = bagselectors.EpollBag()\n"
                     "        selector.register(a, 1, Last())\n"
                     "        selector.close()"):
            self.run_quietly("import bagselectors, socket, threading, time\n"
                             "a, b = socket.socketpair()\n"
                             "class Slow:\n"
                             "    def fileno(self):\n        for i in range(200): pass\n        return a.fileno()\n"
                             "class Last:\n    def __del__(self):\n        for i in range(300): pass\n"
                             "shared, slow = bagselectors.EpollBag(), Slow()\n"
                             "shared.register(slow, 1)\n"
                             f"def work():\n    {work}\n"
                             "for _ in range(4):\n    threading.Thread(target=work, daemon=True).start()\n"
                             "time.sleep(0.05)\n", times=10)

    def test_what_is_collected_may_close_the_selector(self):
        self.run_quietly("import bagselectors, gc, socket\n"
                         "a, b = socket.socketpair()\n"
                         "class Closes:\n"
                         "    def __init__(self, of): self.me, self.of = self, of\n"
                         "    def __del__(self): self.of.close()\n"
                         "kept = []\n"
                         "def empty_free_lists():\n"
                         "    for size in range(1, 5): kept.append([tuple([object()] * size) for _ in range(3000)])\n"
                         "gc.disable()\n"
                         "for threshold in range(1, 12):\n"
                         "    for call in ('register', 'modify', 'select'):\n"
                         "        selector = bagselectors.EpollBag()\n"
                         "        if call != 'register': selector.register(b, 2)\n"
                         "        gc.collect()\n"
                         "        empty_free_lists()\n"
                         "        Closes(selector)\n"
                         "        gc.set_threshold(threshold)\n"
                         "        gc.enable()\n"
                         "        try:\n"
                         "            if call == 'register': selector.register(a, 1)\n"
                         "            elif call == 'modify': selector.modify(b, 1)\n"
                         "            else: selector.select(0)\n"
                         "        except (ValueError, KeyError): pass\n"
                         "        finally: gc.disable()\n")

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
