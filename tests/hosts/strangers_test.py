#!/usr/bin/env python3
"""Port scans, random bytes and half greetings from a host that has no part in it, at every port that ranks listen on,
while they start and while they work: they are not disturbed."""
import collections
import contextlib
import os
import socket
import threading
import time

import hosts


def scan(stranger):
    stranger.close()


def silence(_):
    pass


def noise(stranger):
    stranger.sendall(os.urandom(200))
    stranger.close()


def flood(stranger):
    stranger.sendall(bytes(1_000_000))
    stranger.close()


def half_a_greeting(stranger):
    stranger.sendall(b"drunmeet" + bytes(20))


def half_a_peers_greeting(stranger):
    stranger.sendall(b"drunpeer" + bytes(4))


KINDS = [scan, silence, noise, flood, half_a_greeting, half_a_peers_greeting]


class Strangers(threading.Thread):
    """Visits all ports of `hosts` that are or were listened on, from another host, until stop()."""

    def __init__(self, base, targets):
        super().__init__(daemon=True)
        self.base, self.targets = base, targets
        self.ports = {host: set() for host in targets}
        self.visits = collections.Counter()  # (host's address, port, kind): those that were let in
        self.stopped = threading.Event()

    def run(self):
        hosts.enter(self.base.holder.pid)
        waiting = collections.deque()  # strangers that stay for a while
        while not self.stopped.is_set():
            for host in self.targets:
                self.ports[host] |= host.listening()
                for port in self.ports[host]:
                    waiting.extend(self.visit(host.address, port, kind) for kind in KINDS)
            while len(waiting) > 200:
                waiting.popleft().close()
            time.sleep(0.01)
        for stranger in waiting:
            stranger.close()

    def visit(self, address, port, kind):
        stranger = socket.socket()
        stranger.settimeout(0.5)
        with contextlib.suppress(OSError):  # they may hang up on us, and need not be there any more
            stranger.connect((address, port))
            self.visits[address, port, kind.__name__] += 1
            stranger.settimeout(0.02)  # who does not listen yet takes only so much
            kind(stranger)
        return stranger

    def seen(self):
        """(address, port) of doors at which all kinds of strangers have been several times."""
        visits = self.visits.copy()
        return {(address, port) for address, port, _ in visits
                if all(visits[address, port, kind.__name__] >= 10 for kind in KINDS)}

    def stop(self):
        self.stopped.set()
        self.join()


class Undisturbed(hosts.OnHosts):
    def test_start_and_work(self):
        *network, base = self.lan(3)
        strangers = Strangers(base, network)
        strangers.start()
        self.addCleanup(strangers.stop)
        generate = ["--input", self.prompts, "--json", "--max-new-tokens", "60"]
        ranks = {r: self.rank(network, r, [2, 2], *generate) for r in range(3)}
        # All doors are open until the last one has come: rank 0's, and those of ranks 1 and 2 for their peers.
        limit = time.monotonic() + 20
        while len(strangers.seen()) < 3 and time.monotonic() < limit:
            time.sleep(0.01)
        self.assertIn((network[0].address, hosts.PORT + 1), strangers.seen())
        self.assertEqual({address for address, _ in strangers.seen()}, {host.address for host in network})
        self.assertEqual(len(strangers.seen()), 3)
        ranks[3] = self.rank(network, 3, [2, 2], *generate)
        self.assertEqual(self.succeeded(ranks), self.expected(*generate))

    def test_nobody_listens_while_they_work(self):
        network = self.lan(2)
        ranks = self.start(network, [2, 2], "--input", self.work, "--json")
        self.assertTrue(ranks[0].stdout.readline().startswith("{"))
        self.assertEqual([host.listening() for host in network], [set(), set()])


if __name__ == "__main__":
    hosts.main()
