"""question_page.py: docs/does-it-save-time.md from what question.py has measured: tables, charts, and the words that depend
on numbers.  write(found, directory) is its only door."""
import os

import chart
import common

NAMES = {"socket": "bare sockets", "pool": "pool", "fork": "fork per job", "inline": "inline", "python pool": "Python Pool",
         "python process": "Python Process"}
COLOR = {"pool": 0, "fork": 1, "python process": 2, "python pool": 3, "socket": 4, "inline": 5}
WAY_COLOR = {"none": 4, "journal": 0, "broadcast": 1, "carried": 2}
PROPOSAL_S, PROPOSAL_FORK_S = 576, 126  # the proposal's own build, and what of it was fork


def us(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def seconds(value):
    if value >= 7200:
        return f"{value / 3600:.1f} h"
    if value >= 600:
        return f"{value / 60:.0f} min"
    return f"{value:.0f} s" if value >= 10 else f"{value:.2g} s"


def length(value_us):
    return f"{value_us:.0f} us" if value_us < 1000 else f"{value_us / 1000:.0f} ms" if value_us < 1e6 else f"{value_us / 1e6:.1f} s"


def percent(value):
    return f"{value:.0f} %" if value >= 10 else f"{value:.1f} %" if value >= 0.1 else f"{value:.2g} %"


def many(count, word):
    return f"{count:,} {word}{'s' * (count != 1)}"


def keys(cells, at):
    """The different values of one place in the keys, in order."""
    return list(dict.fromkeys(key[at] for key in cells))


def each(cells, rows, columns, place=lambda row, column: (row, column), field="us_per_job"):
    return [[us(cells[place(row, column)][field]) if place(row, column) in cells else "-" for column in columns] for row in rows]


def curve(cells, row, columns, place=lambda row, column: (row, column), field="us_per_job"):
    return [cells[place(row, column)][field] if place(row, column) in cells else None for column in columns]


def wake_us(cell):
    """Of a job's wall time, what was nobody's work."""
    return max(cell["us_per_job"] - cell["parent_cpu_us"] - cell["worker_cpu_us"], 0)


class Page:
    def __init__(self, found, where):
        self.found, self.where, self.parts = found, where, []

    def say(self, *paragraphs):
        self.parts += paragraphs

    def table(self, head, rows):
        self.parts.append(common.table(head, rows))

    def picture(self, name, title, svg):
        os.makedirs(os.path.join(self.where, "results"), exist_ok=True)
        with open(os.path.join(self.where, "results", name), "w", encoding="utf-8") as f:
            f.write(svg)
        self.parts.append(f"![{title}](results/{name})")

    def write(self):
        with open(os.path.join(self.where, "does-it-save-time.md"), "w", encoding="utf-8") as f:
            f.write("\n\n".join(self.parts) + "\n")


# --- figures that must hold ---

def figures(page):
    found = page.found
    ratios = [(found["windows"]["pool", w]["us_per_job"] / found["windows"]["socket", w]["us_per_job"], 1, w)
              for w in keys(found["windows"], 1)]
    ratios += [(found["workers"]["pool", w]["us_per_job"] / found["workers"]["socket", w]["us_per_job"], w, 1)
               for w in keys(found["workers"], 1)]
    pinned = found["pinned"]
    ratios_cpu = [(cpu(pinned["pool", *key[1:]]) / cpu(pinned["socket", *key[1:]]), *key[1:]) for key in pinned if key[0] == "pool"]
    worst, worst_cpu = max(ratios), max(ratios_cpu)
    fork = found["heaps"]["fork", 100]["us_per_job"] / found["heaps"]["pool", 100]["us_per_job"]
    fork_cpu = cpu(found["heaps"]["fork", 100]) / cpu(found["heaps"]["pool", 100])
    sched = found["schedules"]
    low, high = min(size for _, size in sched), max(size for _, size in sched)
    growth = {weights: sched[weights, high] / sched[weights, low] for weights in ("paths", "random")}
    records = found["records"]
    append = max(records[key]["append_ns"] for key in records)
    pages = max(records[key].get("pages_ns", 0) for key in records)
    in_order = [key for key in records if not key[1]]
    apply = max(records[key]["apply_ns"] for key in in_order)
    scattered = max(records[key]["apply_ns"] for key in records)
    ends = records[min(in_order)]["apply_ns"], records[max(in_order)]["apply_ns"]
    long_builds = [(name, builds["pool"]) for name, _, builds in found["builds"] if "compile" in name or len(builds) == 1]
    rows = [
        [f"empty job through the pool, against the bare round trip of the same window and workers, the worst of {len(ratios)}: wall time",
         f"{worst[0]:.2f}x ({many(worst[1], 'worker')}, window {worst[2]})", "2x", worst[0] <= 2],
        ["the same by processor time of all processes, on one processor",
         f"{worst_cpu[0]:.2f}x ({many(worst_cpu[1], 'worker')}, window {worst_cpu[2]})", "2x", worst_cpu[0] <= 2],
        ["fork per job against the pool, parent of 100 MB of which a tenth is dirtied", f"{fork:.0f}x ({fork_cpu:.0f}x by processor time)",
         "25x", fork >= 25],
        [f"schedule of {high:,} elements, processor time of the parent per job",
         f"{sched['paths', high]:.2f} us ({growth['paths']:.1f} times that of {low:,}); elements in no order, as no session has them: "
         f"{sched['random', high]:.2f} us ({growth['random']:.1f} times)", "2 us", sched["random", high] <= 2],
        ["journal: append of a record", f"{append:.0f} ns at most, with 1 to {max(in_order)[0]} workers; fresh pages "
         f"of shared memory for each record, instead of what all have read, would be {pages:.0f} more", "100 ns", append <= 100],
        ["journal: apply of a record", f"{apply:.0f} ns, elements in order ({ends[0]:.0f} with one worker, {ends[1]:.0f} with "
         f"{max(in_order)[0]}); {scattered:.0f} in no order", "50 ns", apply <= 50],
    ] + [[f"the parent's processor time while jobs ran, {name}", percent(100 * build.parent / build.wall) + f" of {seconds(build.wall)}; "
           f"{percent(100 * build.parent / build.cpu)} of all processor time",
          "0.5 %", build.parent / build.wall <= 0.005] for name, build in long_builds]
    page.say("## The figures that were asked for")
    page.table(["what", "measured", "wanted", "holds"], [row[:3] + ["yes" if row[3] else "no"] for row in rows])


def cpu(cell):
    return cell["parent_cpu_us"] + cell["worker_cpu_us"]


# --- the ways to run a job ---

def models(page):
    found = page.found
    heaps, workers = found["heaps"], found["workers"]
    modes, sizes = keys(heaps, 0), keys(heaps, 1)
    page.say("## What one empty job costs", "Microseconds from dispatch to result, one worker, one job at a time; the parent "
             "goes on writing to a tenth of its memory, all of it once in every hundred jobs:")
    page.table(["us per job"] + [f"parent of {size:,} MB" for size in sizes] + ["against the pool, 100 MB", "processor time, 100 MB"],
               [[NAMES[mode]] + cells + [f"{heaps[mode, 100]['us_per_job'] / heaps['pool', 100]['us_per_job']:.2f}x",
                us(cpu(heaps[mode, 100])) if "parent_cpu_us" in heaps[mode, 100] else "-"]
                for mode, cells in zip(modes, each(heaps, modes, sizes))])
    page.picture("question-heap.svg", "what one empty job costs", chart.lines(
        "What one empty job costs", "microseconds from dispatch to result, one worker", "memory of the parent, MB", sizes,
        [(NAMES[mode], curve(heaps, mode, sizes), COLOR[mode]) for mode in modes]))
    counts, modes = keys(workers, 1), keys(workers, 0)
    page.say("The same with a parent of 100 MB and more workers; beyond as many as there are processors nobody becomes faster, "
             "and nothing should become slower:")
    page.table(["us per job"] + [many(count, "worker") for count in counts],
               [[NAMES[mode]] + row for mode, row in zip(modes, each(workers, modes, counts))] +
               [["pool against bare sockets"] + [f"{workers['pool', c]['us_per_job'] / workers['socket', c]['us_per_job']:.2f}x"
                                                 for c in counts],
                ["fork per job against pool"] + [f"{workers['fork', c]['us_per_job'] / workers['pool', c]['us_per_job']:.0f}x"
                                                 for c in counts]])
    page.picture("question-workers.svg", "empty jobs per second", chart.lines(
        "Empty jobs per second", "a parent of 100 MB that writes to a tenth of it", "workers", counts,
        [(NAMES[mode], [1e6 / value for value in curve(workers, mode, counts)], COLOR[mode]) for mode in modes]))


def session_sizes(page):
    numbers = page.found["numbers"]
    counts = keys(numbers, 1)
    page.say("## A session of so many empty jobs", "Four workers, a parent of 100 MB; `~` is extrapolated from fewer jobs:")
    page.table(["jobs"] + [f"{count:,}" for count in counts],
               [[NAMES[mode]] + [("~ " if numbers[mode, count][1] else "") + seconds(numbers[mode, count][0]) for count in counts]
                for mode in keys(numbers, 0)])
    page.picture("question-jobs.svg", "a session of so many jobs", chart.lines(
        "A session of so many empty jobs", "seconds, four workers (inline: none), a parent of 100 MB", "jobs", counts,
        [(NAMES[mode], [numbers[mode, count][0] for count in counts], COLOR[mode]) for mode in keys(numbers, 0)]))


def job_lengths(page):
    cells = page.found["lengths"]
    sleeps, counts = keys(cells, 2), keys(cells, 1)
    page.say("## Jobs that take time", "What is lost of each job (its share of the wall time beyond its own length), a parent of "
             "100 MB; jobs wait and do not compute, so that sixteen fit two processors:")
    rows = []
    for mode in keys(cells, 0):
        row = [NAMES[mode]]
        for sleep in sleeps:
            for count in counts:
                cell = cells.get((mode, count, sleep))
                lost = cell["us_per_job"] * count - sleep if cell else None
                row.append(f"{length(lost) if lost >= 0 else '0'} ({percent(100 * max(lost, 0) / sleep)})" if cell else "-")
        rows.append(row)
    page.table(["lost per job"] + [f"{length(sleep)}, {many(count, 'worker')}" for sleep in sleeps for count in counts], rows)


def cost_split(page):
    """One worker, one job at a time: so what nobody works is waiting for somebody to wake up."""
    split, record = page.found["split"], page.found["records"][1, False]
    out_ns = record["dispatch_encode_ns"] + record["result_decode_ns"]
    in_ns = record["dispatch_decode_ns"] + record["result_encode_ns"]
    names = ["fork", "copy-on-write", "serialization", "journal: append, apply", "dispatch", "the worker's own", "idle"]
    rows, shares = [], []
    for mode, cell in split.items():
        fork = cell["fork_us_per_job"]
        copies = max(cell["dirty_us_per_job"] - split["inline"]["dirty_us_per_job"], 0)
        serialization = 0 if mode == "inline" else (out_ns + in_ns) / 1000
        state = record["commit_ns"] / 1000 + (record["apply_ns"] / 1000 if mode == "pool" else 0)
        parent = cell["parent_cpu_us"] - fork - cell["dirty_us_per_job"] - record["commit_ns"] / 1000 - \
            (0 if mode == "inline" else out_ns / 1000)
        worker = max(cell["worker_cpu_us"] - (0 if mode == "inline" else in_ns / 1000), 0)
        parts = [fork, copies, serialization, state, max(parent, 0), worker, wake_us(cell)]
        rows.append([NAMES[mode]] + [us(part) if part else "0" for part in parts] + [us(cell["us_per_job"])])
        shares.append((f"{NAMES[mode]}, {us(cell['us_per_job'])} us", parts))
    page.say("## Where it goes", "One worker, one job at a time, each with one change of state; a parent of 100 MB. Microseconds: "
             "fork by the processor time around it, writes to shared pages by the clock, serialization and journal from a loop of nothing else "
             "(`bench_records`), dispatch is what is left of the parent's processor time (scheduler, pool, loop, system calls), "
             "idle is wall time in which neither works. Parent and worker overlap where a forked process ends while the next "
             "begins, so rows need not add up:")
    page.table(["us per job"] + names + ["wall time"], rows)
    fork, pool = split["fork"], split["pool"]
    page.say(f"Page faults for each job: {fork['parent_faults_per_job']:.0f} in the parent and {fork['worker_faults_per_job']:.0f} in the "
             f"process forked for it, {pool['parent_faults_per_job']:.2f} and {pool['worker_faults_per_job']:.2f} in the pool. The rest of "
             "what a fork costs is page tables: copied at its beginning by the parent, taken down at its end by the process itself.")
    page.picture("question-split.svg", "where the time of one job goes", chart.shares(
        "Where the time of one empty job goes", "one worker, a parent of 100 MB, a tenth of it dirtied", names, shares))


# --- state, queue ---

def state_ways(page):
    states, typical = page.found["states"], page.found["typical"]
    counts = sorted({key[1] for key in states if key[1] != "records"})
    ways = ["none", "journal", "broadcast", "carried"]
    page.say("## How workers learn what the others did", "Built to be compared (`bench/bench_ways.c`): the shipping wire and state, one "
             "loop without scheduler, jobs that change one element each, four under way in each worker. **Journal**: a record in "
             "shared memory, a position in each dispatch. **Broadcast**: the result goes on to every worker but its sender, as the "
             "proposal says literally. **Carried**: each dispatch brings the records of what the job may look at, "
             f"{typical} of them (what an element of freedesktop-sdk builds upon, on average). At the end the copies of all workers "
             "were compared with the parent's state, and were equal. All processes share one processor here, so that only work counts:")
    page.table(["us of processor time per job, all processes"] + [many(count, "worker") for count in counts],
               [[way] + [us(cpu(states[way, count])) for count in counts] for way in ways])
    page.table(["bytes per job"] + [many(count, "worker") for count in counts] + ["in the journal"],
               [[way] + [f"{states[way, count]['wire_bytes_per_job']:,.0f}" for count in counts] +
                [f"{states[way, counts[0]]['journal_bytes_per_job']:.0f}"] for way in ways])
    carried = [(key[2], states[key]) for key in states if key[1] == "records"]
    page.say("Carried, four workers, by the number of records that a message brings:")
    page.table(["records in a message"] + [f"{count:,}" for count, _ in carried],
               [["us of processor time per job"] + [us(cpu(cell)) for _, cell in carried],
                ["bytes per job"] + [f"{cell['wire_bytes_per_job']:,.0f}" for _, cell in carried]])
    page.picture("question-state.svg", "a job with a change of state", chart.lines(
        "A job that changes something all workers must know", "microseconds of processor time of all processes together", "workers",
        counts, [(way, [cpu(states[way, count]) for count in counts], WAY_COLOR[way]) for way in ways]))


DEATHS = {
    "pool": ("the pool, window 1", "at once: this job, and that it had begun"),
    "credit": ("credit, window 4", "at once: these jobs, and no others"),
    "queue": ("shared queue", "one of them, or none; which, when everybody alive has answered something taken later"),
}


def queue_ways(page):
    queues, deaths = page.found["queues"], page.found["deaths"]
    counts = sorted({key[2] for key in queues})
    rows = [(dispatch, window) for dispatch in ("credit", "queue") for window in (1, 4)]
    page.say("## Credit from the parent, or one queue for all", "Credit: the parent sends each job to one worker, which may hold so many "
             "(window). Queue: one socket from which every worker takes when it is ready, the proposal's own picture, holding as "
             "many jobs as all windows together. With the journal, empty jobs:")
    page.table(["us per job"] + [many(count, "worker") for count in counts],
               [[f"{dispatch}, {many(window, 'job')} for each worker"] +
                each(queues, [(dispatch, window)], counts, lambda row, column: (*row, column))[0] for dispatch, window in rows])
    page.say("And when a worker is killed in the middle of a job (four workers, jobs of 20 ms, in the two in the middle every eighth takes "
             "200 ms):")
    table = [[DEATHS[name][0], f"{max(deaths[name].get('suspects', 0), deaths[name]['lost'])}", f"{deaths[name]['lost']}",
              f"{deaths[name]['known_us'] / 1000:.1f} ms", DEATHS[name][1], "all"] for name in DEATHS]
    hung = deaths["killed-pool"]["jobs"] - deaths["killed-pool"]["done"] > 4
    for name, what, told in [("killed-pool", "`multiprocessing.Pool`", "nothing: it waits for ever for the lost answer" if not hung else
                              "nothing: the worker died with the queue's lock, and all wait for that for ever"),
                             ("killed-executor", "`ProcessPoolExecutor`", "that something is lost: everything not answered yet fails")]:
        table.append([what, "-", f"{deaths[name]['jobs'] - deaths[name]['done']}", "never" if "pool" in name else "at once", told,
                      f"{deaths[name]['done']} of {deaths[name]['jobs']}"])
    page.table(["dispatch", "jobs in doubt", "to be done again", "known after", "what the parent knows", "jobs that ended"], table)
    page.say("In a build, \"something taken later\" is the longest build that runs: until then a job in doubt can neither be given to "
             "somebody else nor reported. With several slow workers the queue's parent cannot even tell whether anything is lost.")


def other_tools(page):
    tools = page.found["tools"]
    counts = keys(tools, 1)
    order = [tool for tool in ["pool", "fork", "xargs", "make", "ninja"] if (tool, counts[0]) in tools]
    page.say("## Against other tools", "Jobs that run `/bin/true`, microseconds each from start to end of the tool (make and ninja "
             "read their file first; all of them fork for each job, and so do the pool's workers here, from a small process):")
    page.table(["us per job"] + [f"{count} at a time" for count in counts],
               [[{"pool": "our pool", "fork": "our fork per job"}.get(tool, tool)] + [us(tools[tool, count]) for count in counts]
                for tool in order])


# --- real builds ---

def model_costs(found):
    """Microseconds a job by each model, in a parent as small as ours is with some thousand elements."""
    heaps, states = found["heaps"], found["states"]
    plain = states["journal", 8]
    pool = heaps["pool", 10]["us_per_job"]
    return [("pool", pool), ("pool, broadcast to 8", pool + max(cpu(states["broadcast", 8]) - cpu(plain), 0)),
            ("pool, state carried", pool + max(cpu(states["carried", 8]) - cpu(plain), 0)),
            ("fork per job", heaps["fork", 10]["us_per_job"]), ("Python Process", heaps["python process", 10]["us_per_job"]),
            ("Python Process, 100 MB", heaps["python process", 100]["us_per_job"])]


def real_builds(page):
    found = page.found
    builds, costs = found["builds"], model_costs(found)
    page.say("## Real builds", "Whole runs from start to exit with an empty cache, four builders; the best of several, in turns "
             "(`--stats` says what the parent did and what fork took; inline, the parent is the worker). Imports write files and "
             "nothing else, so the disk has its say in every row:")
    page.table(["build", "jobs", "pool", "fork per job", "inline", "fork / pool", "in fork, pool", "in fork, fork per job",
                "parent while jobs ran", "parent in all"],
               [[name, f"{runs['pool'].jobs:,}"] + [f"{runs[mode].wall:.2f} s" if mode in runs else "-" for mode in ("pool", "fork", "inline")] +
                [f"{runs['fork'].wall / runs['pool'].wall:.2f}x" if "fork" in runs else "-"] +
                [percent(100 * runs[mode].fork / runs[mode].wall) if mode in runs else "-" for mode in ("pool", "fork")] +
                [percent(100 * runs["pool"].parent / runs["pool"].wall), percent(100 * runs["pool"].whole / runs["pool"].wall)]
                for name, _, runs in builds])
    page.say("The share of such a build that each model costs: its microseconds per empty job from above (a parent of 10 MB, one job at a "
             "time), times the build's jobs, over its wall time in the pool.")
    page.table(["build"] + [name for name, _ in costs],
               [[name] + [percent(100 * runs["pool"].jobs * cost / 1e6 / runs["pool"].wall) for _, cost in costs]
                for name, _, runs in builds])
    small, large = (found["heaps"]["python process", heap]["us_per_job"] / 1e6 for heap in (100, 1000))
    pool, fork = (found["heaps"][mode, 100]["us_per_job"] / 1e6 for mode in ("pool", "fork"))
    page.say("### The proposal's own build", f"It spent {PROPOSAL_FORK_S} of {PROPOSAL_S} s in fork, {100 * PROPOSAL_FORK_S / PROPOSAL_S:.0f} %. "
             f"In Python, on this machine, that is {PROPOSAL_FORK_S / small:,.0f} processes from a parent of 100 MB, or "
             f"{PROPOSAL_FORK_S / large:,.0f} from one of 1,000 MB. As many empty jobs take {seconds(PROPOSAL_FORK_S / small * pool)} through "
             f"our pool ({percent(100 * PROPOSAL_FORK_S / small * pool / PROPOSAL_S)} of the build), and "
             f"{seconds(PROPOSAL_FORK_S / small * fork)} forked for each from a C parent of the same 100 MB "
             f"({percent(100 * PROPOSAL_FORK_S / small * fork / PROPOSAL_S)}).")


# --- words ---

def crossing(points, limit):
    """The x where a line through points [(x, y)] first rises above limit, or None."""
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if y0 <= limit < y1:
            return x0 + (x1 - x0) * (limit - y0) / (y1 - y0)
    return None


def break_even(page):
    found = page.found
    heaps, states, queues, workers = found["heaps"], found["states"], found["queues"], found["workers"]
    saved = {heap: heaps["fork", heap]["us_per_job"] - heaps["pool", heap]["us_per_job"] for heap in keys(heaps, 1)}
    counts = sorted({key[1] for key in states if key[1] != "records"})
    broadcast = next((c for c in counts if cpu(states["broadcast", c]) > 1.1 * cpu(states["journal", c])), None)
    carried = crossing([(key[2], cpu(states[key])) for key in states if key[1] == "records"], 1.1 * cpu(states["journal", 4]))
    queue_ratio = {w: queues["queue", w, 4]["us_per_job"] / queues["credit", w, 4]["us_per_job"] for w in (1, 4)}
    smallest = min(saved)
    lines = [
        f"**A worker** costs one fork, and saves one with every job: it has paid for itself after its first, a pool of eight after "
        f"eight. No parent is too small for that: at {smallest} MB a fork still costs "
        f"{heaps['fork', smallest]['us_per_job'] / heaps['pool', smallest]['us_per_job']:.0f} times a dispatch.",
        "**Length of a job**: forking is 5 % of a job of " + ", ".join(f"{length(saved[h] * 20)} with {h:,} MB" for h in saved) +
        "; and 1 % of one of " + ", ".join(f"{length(saved[h] * 100)}" for h in saved) + ". Longer jobs do not notice.",
        f"**Number of jobs**: with 100 MB, a second is saved by {1e6 / saved[100]:,.0f} jobs, a minute by {60e6 / saved[100]:,.0f}.",
        f"**Inline or pool**: a dispatch costs {us(workers['pool', 2]['us_per_job'])} us with two workers, so jobs longer than about "
        f"{length(2 * workers['pool', 2]['us_per_job'])} are done sooner by two workers than by one process without any.",
        (f"**Broadcast or journal**: from {many(broadcast, 'worker')} on a broadcast costs more than a tenth more processor time; "
         f"with {counts[-1]} it is {cpu(states['broadcast', counts[-1]]) / cpu(states['journal', counts[-1]]):.1f} times as much, and "
         f"{states['broadcast', counts[-1]]['wire_bytes_per_job']:,.0f} bytes a job instead of "
         f"{states['journal', counts[-1]]['wire_bytes_per_job']:,.0f}." if broadcast else
         "**Broadcast or journal**: no difference of a tenth was found with any number of workers."),
        (f"**Carried or journal**: from about {many(round(carried), 'record')} in a message on, carrying costs a tenth more than the journal; a "
         f"typical {found['typical']} make it {cpu(states['carried', 4]) / cpu(states['journal', 4]):.1f} times as dear." if carried else
         f"**Carried or journal**: a typical {found['typical']} records in each message cost "
         f"{cpu(states['carried', 4]) / cpu(states['journal', 4]):.1f} times the journal."),
        f"**Queue or credit**: with one job for each worker a shared queue takes {queue_ratio[1]:.2f} times as long as credit, with four "
        f"{queue_ratio[4]:.2f} times (four workers). What a queue could win is that nobody waits for the parent between two jobs, and a window "
        "gives the same with every job accounted for.",
    ]
    page.say("## Where the break-even points are", "\n".join("- " + line for line in lines))


def answer(page):
    found = page.found
    heaps = found["heaps"]
    compile_row = next(((name, runs) for name, _, runs in found["builds"] if "compile" in name), None)
    imports = [(name, runs) for name, _, runs in found["builds"] if "imports" in name]
    rows = [[f"empty, parent of {heap:,} MB", f"{us(heaps['fork', heap]['us_per_job'])} us", f"{us(heaps['pool', heap]['us_per_job'])} us",
             f"{heaps['fork', heap]['us_per_job'] / heaps['pool', heap]['us_per_job']:.0f} times"] for heap in keys(heaps, 1)]
    for name, runs in imports + ([compile_row] if compile_row else []):
        rows.append([name, f"{runs['fork'].wall:.2f} s", f"{runs['pool'].wall:.2f} s", f"{runs['fork'].wall / runs['pool'].wall:.2f} times"])
    ratio = compile_row[1]["fork"].wall / compile_row[1]["pool"].wall if compile_row else 1
    page.say("**Yes, in proportion to how small the jobs are and how large the parent is; " +
             ("where compilers run, it makes no difference that could be measured.**" if abs(ratio - 1) < 0.1 else
              f"where compilers run for seconds, {ratio:.2f} times in this run.**"))
    page.table(["jobs", "forked for each", "in the pool", "ratio"], rows)


def write(found, where):
    """Writes does-it-save-time.md below where, and its charts below where/results."""
    page = Page(found, where)
    load, machine = found["load"], found["where"]
    page.say("# Does a small number of subprocesses save time?",
             f"The question the project began with. Made by `bench/question.py BUILD_DIR` in {found['minutes']:.0f} minutes ({machine}; "
             f"load {load[0]:.1f} at the beginning, {load[1]:.1f} at the end). Jobs go through the shipping scheduler, pool, wire and state "
             "(`bench/bench_pool.c`); the ways that were not chosen are built from the same wire and state (`bench/bench_ways.c`). Each cell "
             "is the best of several runs. Ratios say more than times.")
    for part in [answer, figures, break_even, models, session_sizes, job_lengths, cost_split, state_ways, queue_ways, other_tools, real_builds]:
        part(page)
    page.say("Related: [results/pool.md](results/pool.md), [results/builds.md](results/builds.md) (also by bst), "
             "[results/imports.md](results/imports.md), [scheduler.md](scheduler.md), [formats/journal.md](formats/journal.md).")
    page.write()
