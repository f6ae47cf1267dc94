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


def steps_of(trace, entry, skip):
    """Steps of this entry but the first `skip`: numbers, and the mean seconds of one on a rank."""
    seconds = collections.defaultdict(list)
    for event in trace["traceEvents"]:
        if event.get("cat") == "step" and event["name"] == entry:
            seconds[event["args"]["step"]].append(event["dur"] / 1e6)
    kept = sorted(seconds)[skip:]
    if not kept:
        raise ValueError(f"the trace has {len(seconds)} steps '{entry}'; more than {skip} are needed")
    return set(kept), sum(sum(seconds[s]) / len(seconds[s]) for s in kept) / len(kept)


def shares(trace, entry, limits, skip=0):
    """Of a mean step of `entry`: {kind of op: Share}, and the Share of the whole step. What no op takes is
    the kind "between", and what a collective waits for another rank to begin "waiting"; the rest of it is an
    exchange, which has no limit here."""
    steps, step_seconds = steps_of(trace, entry, skip)
    ranks = len({event["pid"] for event in trace["traceEvents"]})
    kinds = collections.defaultdict(Share)
    ops = collections.defaultdict(lambda: [0, 0])  # per step and instruction, of all ranks
    for event in trace["traceEvents"]:
        if event.get("cat") not in ("instruction", "waiting") or event["args"]["step"] not in steps:
            continue
        args, seconds = event["args"], event["dur"] / 1e6 / ranks / len(steps)
        kinds[event["name"]].seconds += seconds
        if event["cat"] == "waiting":
            kinds[args["op"]].seconds -= seconds
            continue
        if event["name"] in ("all_reduce", "all_gather", "reduce_scatter"):
            continue
        op = ops[args["step"], args["instruction"], event["name"]]
        op[0] += args.get("bytes", 0)
        op[1] += args.get("flops", 0)
    for (_, _, name), (size, flops) in ops.items():
        kind = kinds[name]
        kind.bytes += size / len(steps)
        kind.flops += flops / len(steps)
        kind.limit += limits.seconds(size, flops) / len(steps)
    whole = Share(step_seconds, *(sum(getattr(k, f) for k in kinds.values())
                                  for f in ("bytes", "flops", "limit")))
    kinds["between"] = Share(step_seconds - sum(k.seconds for k in kinds.values()))
    return dict(kinds), whole
