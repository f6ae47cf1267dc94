#!/usr/bin/env python3
"""A host that can no longer be reached, is gone or has a rank that stands still: all that is left ends in time on every
host, its first lines say who is missed, and nothing is left behind."""
import os
import re
import signal
import subprocess
import time

import hosts
import chat_test  # hosts knows where

TIMEOUT = 2
SILENCE_ENDS = TIMEOUT + 2  # promised, in seconds: what is silent is given up, and then all ends
DEATH_ENDS = 2


class OnTheirOwn(hosts.OnHosts):
    """Ranks that somebody else started, who does not watch them."""
    layouts = [[2, 1, 1]]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.chat_plan = cls.compile(chat_test.chat_model(cls.scratch / "chat"), "chat-plan", "--tp", "4")

    def started(self, network, layout, *args, **keywords):
        return self.start(network, layout, *args, **keywords)

    def node(self, number, layout):
        """Where a process is that started() has given this number."""
        return next(n for n in range(len(layout)) if number < sum(layout[:n + 1]))

    def generating(self, layout):
        """Hosts and processes on them, when tokens are being made."""
        network = self.lan(len(layout))
        processes = self.started(network, layout, "--input", self.work, "--json", "--timeout", TIMEOUT)
        self.assertTrue(processes[0].stdout.readline().startswith("{"))
        return network, processes

    def at_a_prompt(self, layout):
        """Hosts and processes on them, when a user has got an answer and thinks about the next question."""
        network = self.lan(len(layout))
        processes = self.started(network, layout, "chat", "--max-new-tokens", "3", "--timeout", TIMEOUT,
                                 plan=self.chat_plan, stdin=subprocess.PIPE)
        for process in processes.values():
            self.addCleanup(process.stdin.close)
        processes[0].stdin.write("Speak\n")
        processes[0].stdin.flush()
        self.assertNotEqual(processes[0].stdout.readline(), "")
        time.sleep(1)
        return network, processes

    def wait(self, processes):
        """Until they end, with the user's question still open."""
        for process in processes.values():
            process.wait(60)

    def rank_of(self, host, rank):
        """Its process."""
        for pid in host.processes():
            with open(f"/proc/{pid}/environ", encoding="utf-8") as environment:
                if f"RANK={rank}" in environment.read().split("\0"):
                    return pid
        return self.fail(f"no rank {rank}")

    def ended(self, processes, layout, begin, promised):
        """The first lines that were said on each host. All end with status 1 within twice the promise."""
        done = self.finish(processes)
        self.assertLess(time.monotonic() - begin, 2 * promised, done)
        self.assertEqual({status for status, _, _ in done.values()}, {1}, done)
        said = {node: [] for node in range(len(layout))}
        for number, (_, _, err) in done.items():
            said[self.node(number, layout)] += err.splitlines()[:3]
        return said

    def missed(self, lines):
        """Whom lines miss."""
        found = [re.search(r"no sign of ranks? ([\d, ]+) for 2 s", line) for line in lines]
        self.assertTrue(any(found), lines)
        return {int(rank) for match in found if match for rank in match.group(1).split(",")}

    def test_a_lost_link(self):
        for layout in self.layouts:
            with self.subTest(layout=layout):
                network, processes = self.generating(layout)
                begin = time.monotonic()
                network[-1].ip("link set eth0 down")
                *others, last = self.ended(processes, layout, begin, SILENCE_ENDS).values()
                first_lost = 4 - layout[-1]
                for lines in filter(None, others):  # one host may say it for another that it reaches
                    self.assertEqual(self.missed(lines), set(range(first_lost, 4)), lines)
                self.assertTrue(others[0])
                self.assertEqual(self.missed(last), set(range(first_lost)), last)
                self.assertEqual([host.processes() for host in network], [[]] * len(layout))

    def test_a_killed_host(self):
        network, processes = self.generating([2, 2])
        begin = time.monotonic()
        for pid in network[1].processes():
            os.kill(pid, signal.SIGKILL)
        there = [n for n in processes if self.node(n, [2, 2]) == 1]
        self.assertEqual({processes.pop(n).wait(60) for n in there}, {-signal.SIGKILL})
        here = self.ended(processes, [2, 2], begin, DEATH_ENDS)[0]
        self.assertRegex(here[0], r"^error: rank [23]: its connection ended: it died")
        self.assertEqual([host.processes() for host in network], [[], []])

    def test_a_lost_link_while_a_user_thinks(self):
        network, processes = self.at_a_prompt([2, 2])
        begin = time.monotonic()
        network[1].ip("link set eth0 down")
        self.wait(processes)
        here, there = self.ended(processes, [2, 2], begin, SILENCE_ENDS).values()
        self.assertEqual(self.missed(here), {2, 3}, here)
        self.assertEqual(self.missed(there), {0, 1}, there)
        self.assertEqual([host.processes() for host in network], [[], []])

    def test_a_killed_rank_while_a_user_thinks(self):
        for layout in [[2, 2], [4]]:
            with self.subTest(layout=layout):
                network, processes = self.at_a_prompt(layout)
                begin = time.monotonic()
                os.kill(self.rank_of(network[-1], 3), signal.SIGKILL)
                self.wait(processes)
                rest = {n: p for n, p in processes.items() if p.returncode != -signal.SIGKILL}
                first = self.ended(rest, layout, begin, DEATH_ENDS)[0][0]
                self.assertRegex(first, r"^error: rank 3: ")
                self.assertEqual([host.processes() for host in network], [[]] * len(layout))

    def test_a_stopped_rank_of_another_host(self):
        network, processes = self.generating([2, 2])
        stopped = self.rank_of(network[1], 3)
        begin = time.monotonic()
        os.kill(stopped, signal.SIGSTOP)
        it = processes.pop(3)
        self.assertEqual(self.missed(sum(self.ended(processes, [2, 2], begin, SILENCE_ENDS).values(), [])), {3})
        self.assertEqual([host.processes() for host in network], [[], [stopped]])
        # It finds out when it goes on.
        begin = time.monotonic()
        os.kill(stopped, signal.SIGCONT)
        self.ended({3: it}, [2, 2], begin, DEATH_ENDS)


class OfNodes(OnTheirOwn):
    """Ranks that a drun on each host has started and watches."""
    layouts = [[2, 2]]

    def started(self, network, layout, *args, **keywords):
        return self.start_nodes(network, layout, *args, **keywords)

    def node(self, number, layout):
        return number

    def test_a_stopped_rank_of_another_host(self):
        network, processes = self.generating([2, 2])
        begin = time.monotonic()
        os.kill(self.rank_of(network[1], 3), signal.SIGSTOP)
        for lines in self.ended(processes, [2, 2], begin, SILENCE_ENDS).values():
            self.assertEqual(self.missed(lines), {3}, lines)
        self.assertEqual([host.processes() for host in network], [[], []])


if __name__ == "__main__":
    hosts.main()
