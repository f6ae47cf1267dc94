"""What other processes take of this machine's cores, from /proc."""
import os
import time

TICKS = os.sysconf("SC_CLK_TCK")


def busy_seconds(text):
    """Of /proc/stat: core seconds that anybody used since boot, a hypervisor's other guests included."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, text.split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def process_seconds(text):
    """Of /proc/PID/stat: parent, and core seconds of the process and of its children that have ended."""
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def own_seconds(root="/proc"):
    """Core seconds of this process and all below it, those that have ended too."""
    parents, seconds = {}, {}
    for name in os.listdir(root):
        if not name.isdigit():
            continue
        try:
            with open(f"{root}/{name}/stat", encoding="utf-8", errors="replace") as file:
                parents[int(name)], seconds[int(name)] = process_seconds(file.read())
        except OSError:
            continue  # ended meanwhile
    ours, total = [os.getpid()], 0
    while ours:
        pid = ours.pop()
        total += seconds.get(pid, 0)
        ours += [child for child, parent in parents.items() if parent == pid]
    return total


class Load:
    """with Load() as load: ...; then load.cores is how many cores others kept busy meanwhile."""

    def __enter__(self):
        self.start = time.monotonic(), self.others()
        self.cores = None
        return self

    @staticmethod
    def others():
        with open("/proc/stat", encoding="utf-8") as file:
            return busy_seconds(file.read()) - own_seconds()

    def __exit__(self, *_):
        elapsed = time.monotonic() - self.start[0]
        self.cores = max(0.0, (self.others() - self.start[1]) / elapsed)
