#!/usr/bin/env python3
"""A host that can no longer be reached, is gone or stands still: every rank on every host ends in time, its first
lines say who is missed, and nothing is left behind."""
import os
import re
import signal
import time

import hosts

TIMEOUT = 2
SILENCE_ENDS = TIMEOUT + 2  # promised, in seconds: what is silent is given up, and then all ends
DEATH_ENDS = 2


class Failures(hosts.OnHosts):
    def generating(self, network, layout):
        """The ranks, when tokens are being made."""
        ranks = self.start(network, layout, "--input", self.work, "--json", "--timeout", TIMEOUT)
        self.assertTrue(ranks[0].stdout.readline().startswith("{"), ranks)
        return ranks

    def ended(self, ranks, begin, promised):
        """What each rank has said, in lines. All end with status 1 within twice the promise."""
        done = self.finish(ranks)
        self.assertLess(time.monotonic() - begin, 2 * promised, done)
        self.assertEqual({rank: status for rank, (status, _, _) in done.items()}, {rank: 1 for rank in ranks}, done)
        return {rank: err.splitlines() for rank, (_, _, err) in done.items()}

    def missed(self, said, ranks):
        """Whom the first lines of ranks of one host miss."""
        lines = [line for rank in ranks for line in said[rank][:3]]
        found = [re.search(r"no sign of ranks? ([\d, ]+) for 2 s", line) for line in lines]
        self.assertTrue(any(found), said)
        return {int(rank) for match in found if match for rank in match.group(1).split(",")}

    def test_a_lost_link(self):
        for layout in [[2, 2], [2, 1, 1]]:
            with self.subTest(layout=layout):
                network = self.lan(len(layout))
                ranks = self.generating(network, layout)
                begin = time.monotonic()
                network[-1].ip("link set eth0 down")
                said = self.ended(ranks, begin, SILENCE_ENDS)
                first = 4 - layout[-1]
                lost, others = set(range(first, 4)), set(range(first))
                # Of some everything may have come for the call that waits.
                self.assertLessEqual(self.missed(said, others), lost, said)
                self.assertLessEqual(self.missed(said, lost), others, said)
                self.assertEqual([host.processes() for host in network], [[]] * len(layout))

    def test_a_killed_host(self):
        network = self.lan(2)
        ranks = self.generating(network, [2, 2])
        begin = time.monotonic()
        for pid in network[1].processes():
            os.kill(pid, signal.SIGKILL)
        killed = {rank: ranks.pop(rank).wait(60) for rank in (2, 3)}
        self.assertEqual(killed, {2: -signal.SIGKILL, 3: -signal.SIGKILL})
        said = self.ended(ranks, begin, DEATH_ENDS)
        self.assertRegex("".join(line for lines in said.values() for line in lines[:1]),
                         r"^error: rank [23]: its connection ended: it died")
        self.assertEqual([host.processes() for host in network], [[], []])

    def test_a_stopped_rank_of_another_host(self):
        network = self.lan(2)
        ranks = self.generating(network, [2, 2])
        begin = time.monotonic()
        stopped = ranks.pop(3)
        stopped.send_signal(signal.SIGSTOP)
        said = self.ended(ranks, begin, SILENCE_ENDS)
        self.assertEqual(self.missed(said, [0, 1, 2]), {3}, said)
        self.assertEqual(network[0].processes(), [])
        self.assertEqual(network[1].processes(), [stopped.pid])
        # It finds out when it goes on.
        stopped.send_signal(signal.SIGCONT)
        begin = time.monotonic()
        self.ended({3: stopped}, begin, DEATH_ENDS)


if __name__ == "__main__":
    hosts.main()
