#!/usr/bin/env python3
"""Ranks that somebody else starts, as torchrun, mpirun and srun do it: they find each other by what those
say in environment variables, and write what drun's own ranks write."""
import os
import signal
import socket
import subprocess
import time

import harness

PROMPTS = [{"text": "ROMEO:"}, {"text": "To be, or"}, {"text": "Come"}]


def by_hand(rank, size, port):
    return {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_ADDR": "localhost",
            "MASTER_PORT": port}


def slurm(rank, size, hosts):
    return {"SLURM_PROCID": rank, "SLURM_STEP_NUM_TASKS": size, "SLURM_LOCALID": rank,
            "SLURM_STEP_NUM_NODES": hosts, "SLURM_JOB_ID": os.getpid(), "SLURM_STEP_ID": 0,
            "SLURM_NODEID": 0}


# What the ranks of each starter have in their environment: (rank, size, a free port) -> variables.
STARTERS = {
    "torchrun": lambda rank, size, port: {
        **by_hand(rank, size, port), "LOCAL_WORLD_SIZE": size, "TORCHELASTIC_RUN_ID": "none"},
    "Open MPI": lambda rank, size, port: {
        "OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_SIZE": size, "OMPI_COMM_WORLD_LOCAL_RANK": rank,
        "OMPI_COMM_WORLD_LOCAL_SIZE": size, "PMIX_RANK": rank, "PMIX_NAMESPACE": f"{os.getpid()}0001"},
    "PMI": lambda rank, size, port: {
        "PMI_RANK": rank, "PMI_SIZE": size, "MPI_LOCALRANKID": rank, "MPI_LOCALNRANKS": size,
        "MASTER_ADDR": "localhost", "MASTER_PORT": port},
    "PMIx": lambda rank, size, port: {
        "PMIX_RANK": rank, "PMIX_NAMESPACE": "any", "MASTER_ADDR": "localhost", "MASTER_PORT": port},
    "Slurm": lambda rank, size, port: slurm(rank, size, 1),
    "Slurm, several hosts": lambda rank, size, port: {
        **slurm(rank, size, 2), "SLURM_STEP_NODELIST": "localhost,node[2-3]"},
}


class Join(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4")
        cls.prompts = harness.write_jsonl(cls.scratch / "prompts.jsonl", PROMPTS)
        cls.work = harness.write_jsonl(cls.scratch / "work.jsonl", PROMPTS * 10000)

    def start(self, *args, size=4, order=(2, 0, 3, 1), starter=by_hand, environment=None, each=None,
              plans=None, port=None):
        """The ranks as processes, by number. each: rank -> more variables; plans: rank -> another
        plan directory."""
        port = port or harness.free_port()
        return {rank: self.one((plans or {}).get(rank, self.plan), *args,
                               **{**starter(rank, size, port), **(environment or {}),
                                  **(each or {}).get(rank, {})})
                for rank in order}

    def one(self, *args, **variables):
        """A drun with these variables more."""
        process = subprocess.Popen(
            [harness.BIN / "drun", *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, **{name: str(value) for name, value in variables.items()}})
        for cleanup in [process.stdout.close, process.stderr.close, process.wait, process.kill]:
            self.addCleanup(cleanup)
        return process

    def finish(self, ranks):
        """rank -> (status, stdout, stderr), in order of rank."""
        return {rank: (process.wait(60), process.stdout.read(), process.stderr.read())
                for rank, process in sorted(ranks.items())}

    def test_same_text_as_drun(self):
        expected = self.drun(self.plan, "--input", self.prompts, "--json", "--max-new-tokens", "40")
        over_tcp = self.drun(self.plan, "--input", self.prompts, "--json", "--max-new-tokens", "40",
                             "--collectives", "tcp")
        self.assertEqual(over_tcp, expected)
        for collectives in ["auto", "shm", "tcp"]:
            with self.subTest(collectives=collectives):
                done = self.finish(self.start("--input", self.prompts, "--json", "--max-new-tokens",
                                              "40", "--collectives", collectives))
                self.assertEqual(done, {0: (0, expected, ""), **{r: (0, "", "") for r in [1, 2, 3]}})

    def test_every_starter(self):
        work = ["--input", self.prompts, "--json", "--max-new-tokens", "20"]
        expected = self.drun(self.plan, *work)
        for name, starter in STARTERS.items():
            with self.subTest(starter=name):
                done = self.finish(self.start(*work, starter=starter))
                self.assertEqual(done, {0: (0, expected, ""), **{r: (0, "", "") for r in [1, 2, 3]}})

    def test_two_jobs_of_one_starter(self):
        """At once on one host, with nothing but their names to tell them apart."""
        jobs = [self.start("--prompt", prompt, "--max-new-tokens", "8", starter=STARTERS["Open MPI"],
                           environment={"PMIX_NAMESPACE": f"{os.getpid()}.{prompt}"})
                for prompt in ["ROMEO:", "Come"]]
        for ranks, prompt in zip(jobs, ["ROMEO:", "Come"]):
            done = self.finish(ranks)
            self.assertEqual([status for status, _, _ in done.values()], [0] * 4, done)
            self.assertEqual(done[0][1], self.drun(self.plan, "--prompt", prompt, "--max-new-tokens", "8"))

    def test_a_step_of_one_task_starts_ranks(self):
        """As in a shell that `srun --pty` gives, and in a batch script."""
        for variables in [slurm(0, 1, 1), {"SLURM_PROCID": 0, "SLURM_JOB_ID": 1, "SLURM_LOCALID": 0}]:
            process = self.one(self.plan, "--prompt", "A", "--max-new-tokens", "1", **variables)
            self.assertEqual((process.wait(60), process.stderr.read()), (0, ""))

    def test_nobody_says_where_rank_0_is(self):
        for name, remedy in [("Open MPI", "mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500"),
                             ("PMIx", "mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500")]:
            variables = STARTERS[name](0, 4, 0)
            variables.pop("MASTER_ADDR", None)
            if name == "Open MPI":
                variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = 2
            process = self.one(self.plan, **variables)
            self.assertEqual(process.wait(60), 2)
            self.assertEqual(process.stderr.read(),
                             f"error: MASTER_ADDR: not set, and {name} does not say where rank 0 is; "
                             f"{remedy} is right, with the host of rank 0\n")

    def test_more_processes_than_the_plan_has_ranks(self):
        process = self.one(self.plan, **STARTERS["PMIx"](4, 5, 29500))
        self.assertEqual(process.wait(60), 2)
        self.assertRegex(process.stderr.read(), r"^error: PMIX_RANK=4: .* is compiled for 4 ranks; ")
        process = self.one(self.plan, **slurm(1, 2, 1))
        self.assertEqual(process.wait(60), 2)
        self.assertRegex(process.stderr.read(), r"^error: SLURM_STEP_NUM_TASKS 2: .* is compiled for 4 "
                                                r"ranks; .* or run it with srun -n 4\n$")

    def test_sizes_of_the_mesh(self):
        """TP_SIZE and its like, as scripts of transformers export them."""
        for sizes, wanted in [({"TP_SIZE": 2}, "2 × 1 × 1 = 2"),
                              ({"TP_SIZE": 2, "DP_SIZE": 2}, "2 × 2 × 1 = 4"),
                              ({"CP_SIZE": 3}, "4 × 1 × 3 = 12")]:
            for size in [None, 4]:
                variables = by_hand(0, size, 29500) if size else {}
                process = self.one(self.plan, "--prompt", "A", **variables, **sizes)
                self.assertEqual(process.wait(60), 2)
                self.assertEqual(
                    process.stderr.read(),
                    f"error: {' '.join(f'{name}={value}' for name, value in sizes.items())}: world size "
                    f"must equal TP × DP × CP = {wanted}, and is 4; {self.plan} is compiled for "
                    "4 × 1 × 1 = 4 ranks\n")
        process = self.one(self.plan, "--prompt", "A", "--max-new-tokens", "1", TP_SIZE=4, DP_SIZE=1)
        self.assertEqual((process.wait(60), process.stderr.read()), (0, ""))
        process = self.one(self.plan, TP_SIZE="four")
        self.assertEqual(process.wait(60), 2)
        self.assertIn("TP_SIZE=four: a number", process.stderr.read())

    def test_same_bits_over_tcp(self):
        ids = [{"input_ids": list(range(3, 60))}, {"input_ids": [7]}]
        lines = harness.write_jsonl(self.scratch / "ids.jsonl", ids)
        written = []
        for collectives in ["shm", "tcp"]:
            path = self.scratch / f"{collectives}.safetensors"
            self.drun(self.plan, "logits", "--input", lines, "--output", path,
                      "--collectives", collectives)
            written.append(path.read_bytes())
        self.assertEqual(written[0], written[1])

    def test_store_port(self):
        port = harness.free_port()
        work = ["--prompt", "A", "--max-new-tokens", "1", "--store-port", port]
        for starter in [by_hand, STARTERS["Open MPI"]]:  # which has no address: this host's
            done = self.finish(self.start(*work, starter=starter))
            self.assertEqual([status for status, _, _ in done.values()], [0] * 4, done)
        self.drun(self.plan, *map(str, work), "--collectives", "tcp")

    def test_a_secret_is_needed(self):
        done = self.finish(self.start("--prompt", "A", "--timeout", "1",
                                      each={r: {"DRUN_SECRET": "x" * (1 + r // 3)} for r in range(4)}))
        self.assertEqual([status for status, _, _ in done.values()], [1] * 4, done)
        self.assertIn("rank 3 has another DRUN_SECRET than rank 0", done[3][2])
        self.assertIn("no sign of rank 3 for 1 s; refused: rank 3 has another", done[0][2])

    def test_a_missing_rank_is_named(self):
        done = self.finish(self.start("--prompt", "A", "--timeout", "1", order=(0, 1, 3)))
        self.assertEqual([status for status, _, _ in done.values()], [1] * 3, done)
        for _, _, err in done.values():
            self.assertRegex(err, r"error: rank \d: start: no sign of rank 2 for 1 s")

    def test_the_plan_must_be_for_as_many(self):
        done = self.finish(self.start("--prompt", "A", size=2, order=(0, 1)))
        for status, _, err in done.values():
            self.assertEqual(status, 2)
            self.assertRegex(err, r"^error: WORLD_SIZE 2: .* is compiled for 4 ranks; compile it "
                                  r"again with --tp 2 or run it with WORLD_SIZE 4\n$")
        done = self.finish(self.start("--nproc", "4", size=2, order=(0, 1)))
        for status, _, err in done.values():
            self.assertEqual(status, 2)
            self.assertIn("--nproc 4: WORLD_SIZE is 2", err)

    def test_a_rank_that_cannot_come_says_so(self):
        """The others hear it at once and from it, also where it is rank 0."""
        for starter in [by_hand, STARTERS["Open MPI"]]:
            for rank in [0, 2]:
                with self.subTest(starter=starter, rank=rank):
                    port = harness.free_port()
                    others = self.start("--prompt", "A", order=[r for r in range(4) if r != rank],
                                        starter=starter, port=port)
                    time.sleep(1)  # they are there, and wait
                    late = self.start("--prompt", "A", order=[rank], starter=starter, port=port,
                                      plans={rank: "/nowhere"})
                    said = "/nowhere: cannot be read: No such file or directory\n"
                    self.assertEqual(self.finish({**others, **late}),
                                     {r: (2, "", f"error: {'' if r == rank else f'rank {rank}: '}{said}")
                                      for r in range(4)})

    def test_a_node_that_cannot_come_says_so(self):
        port = harness.free_port()
        command = ["--nnodes", 2, "--master-addr", "127.0.0.1", "--master-port", port, "--prompt", "A"]
        for late, early in [(0, 1), (1, 0)]:
            with self.subTest(late=late):
                waiting = self.one(self.plan, *command, "--node-rank", early)
                time.sleep(1)
                failing = self.one("/nowhere", *command, "--node-rank", late)
                said = "/nowhere: cannot be read: No such file or directory\n"
                self.assertEqual(self.finish_nodes([failing, waiting]),
                                 [(2, "", f"error: {said}"), (2, "", f"error: host {late}: {said}")])

    def test_plans_of_two_compilations(self):
        """As on hosts with directories of their own: found before a weight is read, by what differs."""
        rules = [f"--tp-rule=model.layers.*.self_attn.{name}_proj=replicate" for name in "qkvo"]
        other = self.compile(harness.BUNDLED, "other", "--tp", "4", *rules)
        op = r"entry prefill: instruction \d+ \(\w+ of model\.layers\.0\.[^)]*\)"
        for collectives in ["shm", "tcp"]:
            with self.subTest(collectives=collectives):
                begin = time.monotonic()
                done = self.finish(self.start("--prompt", "A", "--collectives", collectives,
                                              "--checkpoint", "/nowhere",
                                              plans={2: other, 3: other}))
                self.assertLess(time.monotonic() - begin, 2)
                self.assertEqual([status for status, _, _ in done.values()], [2] * 4, done)
                self.assertRegex("".join(err for _, _, err in done.values()),
                                 r"\Aerror: rank 2: runs a plan of another compilation than rank 0 "
                                 rf"\([0-9a-f, ]+\): {op} stands where rank 0 has {op}; all plans "
                                 r"must come from one `dcc compile`\n\Z")

    def test_half_an_environment(self):
        environment = {**os.environ, "RANK": "0", "WORLD_SIZE": "4"}
        command = [harness.BIN / "drun", self.plan]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertTrue(done.stderr.startswith("error: LOCAL_RANK: not set, while RANK"), done)
        # What needs no ranks doesn't care.
        done = subprocess.run([*command, "tokenize"], env=environment, capture_output=True, text=True,
                              input='{"text": "A"}\n', check=False)
        self.assertEqual(done.returncode, 0, done)

    def test_a_mistake_is_said_once_and_ends_all(self):
        for collectives in ["shm", "tcp"]:
            with self.subTest(collectives=collectives):
                done = self.finish(self.start("--input", "/nowhere.jsonl", "--collectives", collectives))
                self.assertEqual([status for status, _, _ in done.values()], [2] * 4, done)
                self.assertTrue(done[0][2].startswith("error: /nowhere.jsonl: cannot be read"), done)
                self.assertEqual([done[r][2] for r in [1, 2, 3]], [""] * 3)

    def test_a_killed_rank_ends_all(self):
        for collectives in ["shm", "tcp"]:
            for victim in [0, 2]:
                with self.subTest(collectives=collectives, victim=victim):
                    ranks = self.start("--input", self.work, "--json", "--collectives", collectives)
                    self.assertTrue(ranks[0].stdout.readline().startswith("{"))
                    begin = time.monotonic()
                    ranks[victim].send_signal(signal.SIGKILL)
                    for process in ranks.values():
                        process.stdout.read()
                    done = self.finish(ranks)
                    self.assertLess(time.monotonic() - begin, 2)
                    del done[victim]
                    self.assertEqual([status for status, _, _ in done.values()], [1] * 3, done)
                    said = "".join(err for _, _, err in done.values())
                    self.assertRegex(said, rf"\Aerror: rank {victim}: its connection ended: it died.*\n\Z")

    def test_a_stopped_rank_is_missed(self):
        for collectives in ["shm", "tcp"]:
            with self.subTest(collectives=collectives):
                ranks = self.start("--input", self.work, "--json", "--timeout", "2", "--collectives",
                                   collectives)
                self.assertTrue(ranks[0].stdout.readline().startswith("{"))
                ranks[1].send_signal(signal.SIGSTOP)
                others = {r: p for r, p in ranks.items() if r != 1}
                for process in others.values():
                    process.stdout.read()
                said = "".join(err for _, _, err in self.finish(others).values())
                self.assertIn("no sign of rank 1 for 2 s", said)

    # Launchers of several hosts, here all on one.

    def nodes(self, *args, count=2, variables=None, **keywords):
        """A drun for each of `count` hosts; variables: node -> its own."""
        port = harness.free_port()
        return [self.one(self.plan, "--nnodes", count, "--node-rank", node, "--master-addr", "127.0.0.1",
                         "--master-port", port, *args, **(variables or {}).get(node, {}), **keywords)
                for node in range(count)]

    def finish_nodes(self, nodes):
        return [(process.wait(60), process.stdout.read(), process.stderr.read()) for process in nodes]

    def test_nodes_write_what_one_writes(self):
        work = ["--input", self.prompts, "--json", "--max-new-tokens", "20"]
        expected = self.drun(self.plan, *work)
        for count in [1, 2, 4]:
            for collectives in ["auto", "tcp"]:
                with self.subTest(count=count, collectives=collectives):
                    done = self.finish_nodes(self.nodes(*work, "--collectives", collectives, count=count))
                    self.assertEqual(done, [(0, expected, "")] + [(0, "", "")] * (count - 1))

    def test_nodes_numbered_by_somebody_else(self):
        """A drun on each host by srun, whose variables of ranks then mean nothing, and by Kubernetes."""
        numbered = {
            "srun": lambda node: {**slurm(node, 2, 2), "SLURM_NODEID": node,
                                  "SLURM_STEP_NODELIST": "localhost,other"},
            "LeaderWorkerSet": lambda node: {"LWS_WORKER_INDEX": node, "LWS_LEADER_ADDRESS": "localhost"},
            "Job": lambda node: {"JOB_COMPLETION_INDEX": node, "MASTER_ADDR": "localhost"}}
        for by, variables in numbered.items():
            with self.subTest(by=by):
                port = harness.free_port()
                nodes = [self.one(self.plan, "--nnodes", 2, "--master-port", port, "--prompt", "A",
                                  "--max-new-tokens", 1, **variables(node)) for node in [0, 1]]
                done = self.finish_nodes(nodes)
                self.assertEqual([(status, err) for status, _, err in done], [(0, "")] * 2)

    def test_nodes_that_do_not_fit(self):
        for args, words in [
                (["--nnodes", 3], "--nnodes 3: .* is compiled for 4 ranks, which these hosts cannot"),
                (["--nnodes", 2, "--nproc", 4], "--nnodes 2 with --nproc 4: 8 ranks; .* compiled for 4$"),
                (["--nnodes", 2, "--node-rank", 2], "--node-rank 2: of 2 hosts; 0 to 1 is right$"),
                (["--store-port", 7000], "--store-port: means nothing to ranks of one drun, which share memory$"),
                (["--node-rank", 0], "--node-rank: means nothing without --nnodes$"),
                (["--master-addr", "a"], "--master-addr: means nothing without --nnodes$"),
                (["--master-port", 1], "--master-port: means nothing without --nnodes$")]:
            if "--nnodes" in args:
                args = [*args, "--master-addr", "127.0.0.1"]
            if "--nnodes" in args and "--node-rank" not in args:
                args = [*args, "--node-rank", 0]
            with self.subTest(args=args):
                process = self.one(self.plan, *args)
                self.assertEqual(process.wait(60), 2)
                self.assertRegex(process.stderr.read().rstrip("\n"), rf"\Aerror: {words}")

    def test_a_node_is_there_twice(self):
        port = harness.free_port()
        nodes = [self.one(self.plan, "--nnodes", 3, "--nproc", 1, "--node-rank", node, "--master-addr",
                          "127.0.0.1", "--master-port", port) for node in [0]]
        self.assertEqual(self.finish_nodes(nodes)[0][0], 2, "3 ranks of 4")
        nodes = [self.one(self.plan, "--nnodes", 4, "--node-rank", node, "--master-addr", "127.0.0.1",
                          "--master-port", port) for node in [0, 1, 1]]
        done = self.finish_nodes(nodes)
        said = "error: start: rank 1: there is one already; every rank has a number of its own\n"
        self.assertEqual(done[0], (2, "", said))
        self.assertEqual(sorted(status for status, _, _ in done), [2, 2, 2], done)

    def test_nodes_with_two_secrets(self):
        done = self.finish_nodes(self.nodes("--prompt", "A", "--timeout", "1",
                                            variables={0: {"DRUN_SECRET": "a"}, 1: {"DRUN_SECRET": "b"}}))
        self.assertEqual([status for status, _, _ in done], [1, 1], done)
        self.assertIn("no sign of rank 2, 3 for 1 s; refused: rank", done[0][2])
        self.assertRegex(done[1][2], r"error: rank (\d): rank \1 has another DRUN_SECRET than rank 0")

    def test_a_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("", 0))
            taken.listen()
            process = self.one(self.plan, "--nnodes", 2, "--node-rank", 0, "--master-addr", "127.0.0.1",
                               "--master-port", taken.getsockname()[1], "--prompt", "A")
            self.assertEqual(process.wait(60), 2)
            self.assertRegex(process.stderr.read(), r"error: port \d+: cannot be listened on: Address already")

    def test_waiting_is_shown(self):
        """On a terminal, by host 0: the others are started by hand, which takes a while."""
        port = harness.free_port()
        master, slave = harness.terminal()
        self.addCleanup(os.close, master)
        command = ["--nnodes", 2, "--master-addr", "127.0.0.1", "--master-port", port, "--prompt", "A",
                   "--max-new-tokens", 1]
        first = subprocess.Popen([str(a) for a in [harness.BIN / "drun", self.plan, *command, "--node-rank", 0]],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave,
                                 env={**os.environ, "TERM": "xterm"})
        os.close(slave)
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        shown = b""
        while b"waiting for ranks" not in shown or b"2 of 4 ranks" not in shown:
            shown += os.read(master, 4096)  # ends with drun, at its deadline
        self.assertEqual(self.one(self.plan, *command, "--node-rank", 1).wait(60), 0)
        self.assertEqual(first.wait(60), 0)

    def test_strangers_at_the_port(self):
        """Silence, half a greeting, random bytes and a port scan. Each silent one may stay for five seconds:
        were one waited for, the start would fail."""
        port = harness.free_port()
        command = [self.plan, "--nnodes", 2, "--master-addr", "127.0.0.1", "--master-port", port, "--prompt",
                   "A", "--max-new-tokens", 1, "--timeout", 20]
        first = self.one(*command, "--node-rank", 0)
        strangers = []
        limit = time.monotonic() + 20
        while not strangers:
            self.assertLess(time.monotonic(), limit)
            try:
                strangers.append(socket.create_connection(("127.0.0.1", port)))
            except ConnectionRefusedError:
                time.sleep(0.01)
        for words in [b"", b"drunmeet\x02\0\0", os.urandom(144), b"GET / HTTP/1.1\r\n\r\n"] * 10:
            stranger = socket.create_connection(("127.0.0.1", port))
            stranger.sendall(words)
            strangers.append(stranger)
        for _ in range(100):
            socket.create_connection(("127.0.0.1", port)).close()
        self.assertIsNone(first.poll())
        second = self.one(*command, "--node-rank", 1)
        done = self.finish_nodes([first, second])
        self.assertEqual([(status, err) for status, _, err in done], [(0, "")] * 2)
        for stranger in strangers:
            stranger.close()


if __name__ == "__main__":
    harness.main([])
