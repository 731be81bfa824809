#!/usr/bin/env python3
"""What the loops of examples/notes cost in Python: generators, send, and asyncio's tasks. Prints
one line of JSON for each, ns of CPU time per step; perf/bench/yields and docs/notes.md compare."""

import asyncio
import json
import time


def elements(count):
    for i in range(count):
        yield i


def in_order(first, last):
    if first > last:
        return
    middle = first + (last - first) // 2
    yield from in_order(first, middle - 1)
    yield middle
    yield from in_order(middle + 1, last)


def doubles():
    x = 0
    while True:
        x = yield 2 * x


def take(generator):
    for _ in generator:
        pass


def send(count):
    receiver = doubles()
    next(receiver)
    for i in range(count):
        receiver.send(i)


async def child():
    return 1


async def await_child(count):
    for _ in range(count):
        await child()


async def go_to_the_back(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def spawn_join(count):
    for _ in range(count):
        await asyncio.create_task(child())


async def put_all(queue, count):
    for i in range(count):
        await queue.put(i)


async def channel(count):
    queue = asyncio.Queue(64)
    sender = asyncio.create_task(put_all(queue, count))
    for _ in range(count):
        await queue.get()
    await sender


async def echo(to, back, count):
    for _ in range(count):
        await back.put(await to.get())


async def ping_pong(count):
    to, back = asyncio.Queue(1), asyncio.Queue(1)
    other = asyncio.create_task(echo(to, back, count))
    for i in range(count):
        await to.put(i)
        await back.get()
    await other


# name: (what runs so many steps, how many)
LOOPS = {
    "element": (lambda count: take(elements(count)), 2_000_000),
    "node of 2^10": (lambda count: [take(in_order(1, 1023)) for _ in range(count // 1023)],
                     300 * 1023),
    "node of 2^16": (lambda count: take(in_order(1, count)), 65_535),
    "send": (send, 1_000_000),
    "await of a child": (lambda count: asyncio.run(await_child(count)), 500_000),
    "yield of a task": (lambda count: asyncio.run(go_to_the_back(count)), 200_000),
    "spawn and join": (lambda count: asyncio.run(spawn_join(count)), 50_000),
    "item of a channel": (lambda count: asyncio.run(channel(count)), 100_000),
    "ping-pong": (lambda count: asyncio.run(ping_pong(count)), 20_000),
}


def main():
    for name, (run, count) in LOOPS.items():
        began = time.process_time()
        run(count)
        ns = (time.process_time() - began) / count * 1e9
        print(json.dumps({"operation": name, "ns": ns}), flush=True)


if __name__ == "__main__":
    main()
