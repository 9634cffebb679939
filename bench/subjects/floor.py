"""The least one can do: raw appends of the same messages, acknowledged on disk, that restore nothing by themselves."""

import json
import os
import sqlite3

from bench.subjects.base import StrandsSubject, register


class _Floor(StrandsSubject):
    package = "strands-agents"
    backend = "dir"
    skip = {"resume": "-", "crowd": "-", "storage": "-"}  # noqa: RUF012

    def manager(self, env, sid):
        from strands.hooks import MessageAddedEvent

        append = self.appender(env, sid)

        class Appends:
            session_id = sid

            def register_hooks(self, registry, **_):
                registry.add_callback(MessageAddedEvent, lambda event: append(json.dumps(event.message).encode()))

        return Appends()

    def appender(self, env, sid):
        raise NotImplementedError


@register
class RawFile(_Floor):
    name = "raw-file"
    notes = "a line a message appended to one file, fsync each"

    def appender(self, env, sid):
        file = open(os.path.join(env.dir, sid), "ab", buffering=0)  # noqa: SIM115

        def append(line):
            file.write(line + b"\n")
            os.fsync(file.fileno())

        return append


@register
class RawSQLite(_Floor):
    name = "raw-sqlite"
    notes = "a row a message in one table, WAL, synchronous=FULL, one transaction each"

    def appender(self, env, sid):
        db = sqlite3.connect(os.path.join(env.dir, "raw.db"), isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE IF NOT EXISTS messages (n INTEGER PRIMARY KEY, data BLOB)")
        return lambda line: db.execute("INSERT INTO messages (data) VALUES (?)", (line,))
