"""What a trace of drun (--trace) says of the machine: per kind of op its time, what it read and computed,
and how much of the machine's limit that is."""
import collections
import dataclasses


@dataclasses.dataclass
class Share:
    seconds: float = 0    # of a rank, the mean of all
    bytes: int = 0        # of all ranks
    flops: int = 0        # of all ranks
    limit: float = 0      # seconds that the machine's limits would allow

    @property
    def fraction(self):
        return self.limit / self.seconds if self.seconds else 0


class Limits:
    """Of all ranks together: bytes read per second, operations per second."""

    def __init__(self, bandwidth, flops):
        self.bandwidth, self.flops = bandwidth, flops

    def seconds(self, size, flops):
        """No op is faster than its bytes come and its operations run, whichever takes longer."""
        return max(size / self.bandwidth, flops / self.flops)


def steps_of(trace, entry):
    """Steps of this entry that `drun bench` measures, not those that warm up: numbers, and the mean seconds of one on
    a rank. They are the second pass, which begins with the first prompt after a token was decoded."""
    seconds, names = collections.defaultdict(list), {}
    for event in trace["traceEvents"]:
        if event.get("cat") == "step":
            step = event["args"]["step"]
            names[step] = event["name"]
            seconds[step].append(event["dur"] / 1e6)
    order = sorted(names)
    begins = (s for before, s in zip(order, order[1:]) if names[before] == "decode" and names[s] == "prefill")
    begin = next(begins, None)
    kept = [s for s in order if begin is not None and s >= begin and names[s] == entry]
    if not kept:
        raise ValueError(f"the trace has no steps '{entry}' after those that warm up")
    return set(kept), sum(sum(seconds[s]) / len(seconds[s]) for s in kept) / len(kept)


@dataclasses.dataclass
class Steps:
    """What a trace says of the steps of an entry."""
    count: int
    seconds: float  # of a mean one
    kinds: dict     # kind of op -> seconds of a mean step
    ops: list       # (kind, bytes, operations) of each op of each step, of all ranks


def shares(trace, entry, limits):
    return shares_of(read(trace, entry), limits)


def read(trace, entry):
    """The steps of this entry that are measured. What no op takes is not in the kinds; what a collective waits for
    another rank to begin is the kind "waiting", and the rest of it an exchange."""
    steps, step_seconds = steps_of(trace, entry)
    ranks = len({event["pid"] for event in trace["traceEvents"]})
    kinds = collections.defaultdict(float)
    ops = collections.defaultdict(lambda: [0, 0])  # per step and instruction, of all ranks
    for event in trace["traceEvents"]:
        if event.get("cat") not in ("instruction", "waiting") or event["args"]["step"] not in steps:
            continue
        args, seconds = event["args"], event["dur"] / 1e6 / ranks / len(steps)
        kinds[event["name"]] += seconds
        if event["cat"] == "waiting":
            kinds[args["op"]] -= seconds
            continue
        if event["name"] in ("all_reduce", "all_gather", "reduce_scatter"):
            continue
        op = ops[args["step"], args["instruction"], event["name"]]
        op[0] += args.get("bytes", 0)
        op[1] += args.get("flops", 0)
    return Steps(len(steps), step_seconds, dict(kinds),
                 [(name, *op) for (_, _, name), op in ops.items()])


def shares_of(steps, limits):
    """Of a mean step of `entry`: {kind of op: Share}, and the Share of the whole step. What no op takes is
    the kind "between", and what a collective waits for another rank to begin "waiting"; the rest of it is an
    exchange, which has no limit here."""
    kinds = {name: Share(seconds) for name, seconds in steps.kinds.items()}
    for name, size, flops in steps.ops:
        kind = kinds[name]
        kind.bytes += size / steps.count
        kind.flops += flops / steps.count
        kind.limit += limits.seconds(size, flops) / steps.count
    whole = Share(steps.seconds, *(sum(getattr(k, f) for k in kinds.values())
                                   for f in ("bytes", "flops", "limit")))
    kinds["between"] = Share(steps.seconds - sum(k.seconds for k in kinds.values()))
    return kinds, whole
