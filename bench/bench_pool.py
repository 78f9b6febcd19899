#!/usr/bin/env python3
"""bench_pool.py MODE [--workers N] [--jobs N] [--heap MB] [--dirty MB]: the same empty jobs with Python's multiprocessing.

MODE: process, one multiprocessing.Process forked for each job, its result through a pipe, as BuildStream 1 did;
pool, multiprocessing.Pool and imap with one job a message; killed-pool, killed-executor: Pool, or concurrent.futures'
ProcessPoolExecutor, while one of its workers is killed.  --heap and --dirty as in bench_pool.c.
Prints one line of JSON with the same names.
"""
import argparse
import concurrent.futures
import json
import multiprocessing
import os
import signal
import sys
import time

HOT = {"next": 0}


def empty(number):
    return number


def empty_process(pipe, number):
    pipe.send(number)
    pipe.close()


def dirty(heap, size):
    at = HOT["next"]
    for _ in range(size // 100 // 4096):
        heap[at] = (heap[at] + 1) & 255
        at = (at + 4096) % size
    HOT["next"] = at


def run_processes(context, args, heap):
    """At most args.workers at a time, as a scheduler would."""
    running, started, done = [], 0, 0
    while done < args.jobs:
        while started < args.jobs and len(running) < args.workers:
            ours, theirs = context.Pipe(False)
            child = context.Process(target=empty_process, args=(theirs, started))
            child.start()
            theirs.close()
            running.append((ours, child))
            started += 1
            dirty(heap, args.dirty << 20)
        ready = set(multiprocessing.connection.wait([pipe for pipe, _ in running]))
        for pipe, child in [pair for pair in running if pair[0] in ready]:
            pipe.recv()
            pipe.close()
            child.join()
            running.remove((pipe, child))
            done += 1


def run_pool(context, args, heap):
    with context.Pool(args.workers) as pool:
        for _ in pool.imap(empty, range(args.jobs)):
            dirty(heap, args.dirty << 20)


def slow(number):
    time.sleep(0.02)
    return number


def run_killed_pool(context, args):
    """How many answers come until there is none for five seconds."""
    done, pool = 0, context.Pool(args.workers)
    answers = pool.imap_unordered(slow, range(args.jobs))
    try:
        for _ in range(args.jobs):
            answers.next(timeout=5)
            done += 1
            if done == args.jobs // 3:
                os.kill(pool._pool[0].pid, signal.SIGKILL)
    except multiprocessing.TimeoutError:
        pass
    return done


def run_killed_executor(context, args):
    done, pool = 0, concurrent.futures.ProcessPoolExecutor(args.workers, mp_context=context)
    jobs = [pool.submit(slow, number) for number in range(args.jobs)]
    for job in concurrent.futures.as_completed(jobs, timeout=60):
        if job.exception():
            continue
        done += 1
        if done == args.jobs // 3:
            os.kill(next(iter(pool._processes)), signal.SIGKILL)
    return done


def leave():
    """Without tidying up: a pool one of whose workers was killed while it held the queue's lock waits for that for ever, at its own
    end too."""
    sys.stdout.flush()
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["process", "pool", "killed-pool", "killed-executor"])
    for name, default in [("workers", 1), ("jobs", 1000), ("heap", 0), ("dirty", 0)]:
        parser.add_argument("--" + name, type=int, default=default)
    args = parser.parse_args()
    heap = bytearray(b"\1") * (args.heap << 20)
    context = multiprocessing.get_context("fork")
    if args.mode.startswith("killed"):
        done = (run_killed_pool if args.mode == "killed-pool" else run_killed_executor)(context, args)
        print(json.dumps({"mode": args.mode, "workers": args.workers, "jobs": args.jobs, "done": done}))
        leave()
    start = time.perf_counter()
    (run_processes if args.mode == "process" else run_pool)(context, args, heap)
    wall_us = (time.perf_counter() - start) * 1e6
    print(json.dumps({"mode": "python " + args.mode, "workers": args.workers, "jobs": args.jobs, "heap_mb": args.heap,
                      "dirty_mb": args.dirty, "us_per_job": round(wall_us / args.jobs, 3),
                      "jobs_per_s": round(args.jobs / wall_us * 1e6)}))


if __name__ == "__main__":
    import multiprocessing.connection
    main()
