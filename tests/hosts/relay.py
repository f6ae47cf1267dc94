#!/usr/bin/env python3
"""A long line between two hosts: what goes into the TUN device of one comes out of the other's after a delay, in order.
Not every kernel has netem, which would do so too.

  relay.py SECONDS PID PID      processes in the hosts' network namespaces, in each of which it makes a device tun0

Says "ready" when the devices are there; they end with it.
"""
import collections
import fcntl
import os
import select
import struct
import sys
import time

from hosts import enter

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
MOST = 65536  # bytes of a packet


def tun():
    """A device in the network namespace that we are in."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI))
    return fd


def packets(fd):
    """All that the device has now."""
    try:
        while True:
            yield os.read(fd, MOST)
    except BlockingIOError:
        return


def relay(ends, delay):
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    waiting = collections.deque()  # (when it comes out, of which device, packet)
    while True:
        while waiting and waiting[0][0] <= time.monotonic():
            _, end, packet = waiting.popleft()
            try:
                os.write(end, packet)
            except OSError:
                pass  # a device that is down loses what it gets
        sleep = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select(ends, [], [], sleep)[0]:
            for packet in packets(end):
                waiting.append((time.monotonic() + delay, other[end], packet))


def main():
    delay, pids = float(sys.argv[1]), sys.argv[2:4]
    ends = []
    for pid in pids:
        enter(pid)
        ends.append(tun())
    enter(os.getppid())  # it is in none of theirs itself
    print("ready", flush=True)
    relay(ends, delay)


if __name__ == "__main__":
    main()
