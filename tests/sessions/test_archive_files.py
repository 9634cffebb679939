"""What an archive looks like, and that a file which is not as it was written is never taken for one."""

from __future__ import annotations

import asyncio
import json
import random
import tracemalloc
from pathlib import Path

import pytest
from strands import Agent

from strands_session_store import StoreSessionManager, layout
from strands_session_store.errors import AlreadyExistsError, ArchiveError, Corrupt, SessionBusyError
from strands_session_store.sessions import Sessions, archive, building, outgoing
from strands_session_store.sessions import archive_format as form
from strands_session_store.sessions.pieces import Counts, Digest, Documents, Entries
from strands_session_store.stores.base import Append, Log, Look, Space, Store, Trim, Want, new_commit_id
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.stores.sqlite import SQLiteStore
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel

from .contents import ODD, fill, shape


def resealed(lines: list[bytes]) -> bytes:
    """The lines with sums that are right."""
    sealing = form.Sealing()
    bare = [line[: line.rindex(b',"sum"')] + b"}" for line in lines]
    return b"".join(sealing.line(line, last=at == len(bare) - 1) for at, line in enumerate(bare))


@pytest.fixture
def file(memory: Sessions, tmp_path: Path) -> Path:
    fill(memory)
    memory.archive.export(tmp_path / "a.jsonl", everyone=True)
    return tmp_path / "a.jsonl"


# ------------------------------------------------------------------------------------------------------------ payloads


@pytest.mark.parametrize("data", [*ODD, b"null", b"{}", b'{"a":[1,2.5,"x"],"a":2}', b'{"$base64":"AA=="}', b"\x01" * 9])
def test_payloads_come_back_as_the_same_bytes(data: bytes) -> None:
    assert form.data_of(json.loads(form.payload(data))) == data
    line = form.write(Entries("l", 0, 1, 0, [data]))
    assert b"\n" not in line and form.parse(line) == Entries("l", 0, 1, 0, [data])


def test_random_payloads_come_back_as_the_same_bytes() -> None:
    chance = random.Random(7)
    alphabet = [*'{}[]",:0123456789.eE+-\\ntrufals$ ', "é", "\u2028", "\x00", "\ud7ff", "text", '"$text"', "$base64"]
    for _ in range(3_000):
        text = "".join(chance.choices(alphabet, k=chance.randrange(12)))
        data = text.encode() if chance.random() < 0.8 else chance.randbytes(5)
        assert form.data_of(json.loads(form.payload(data))) == data


def test_what_this_package_writes_stands_there_as_json(file: Path) -> None:
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert [*lines[0]] == ["archive", "version", "created", "by", "sum"] and lines[0]["archive"] == form.NAME
    said = next(line for line in lines if line.get("log") == "agents/default/messages")
    assert [*said] == ["log", "start", "length", "at", "entries", "sum"]
    assert said["entries"][0][:2] == ["user", "prompt 0"]
    documents = [line["documents"] for line in lines if "documents" in line and "end" not in line]
    assert any(found.get("session", {}).get("title") == "Träume" for found in documents)
    assert lines[-1]["total"]["sessions"] == 5 and len(lines[-1]["sum"]) == 64
    assert file.stat().st_mode & 0o077 == 0


def test_the_digest_is_of_content_not_of_cuts() -> None:
    def digest(*pieces: Documents | Entries | Counts) -> str:
        of = Digest()
        for piece in pieces:
            of.add(piece)
        return of.hexdigest()

    whole = digest(Documents({"a": b"1", "b": b"2"}), Entries("l", 2, 4, 2, [b"x", b"y"]), Counts({"n": 1}))
    cut = [Documents({"a": b"1"}), Documents({"b": b"2"}), Entries("l", 2, 4, 2, [b"x"]), Entries("l", 2, 4, 3, [b"y"])]
    assert digest(*cut, Counts({"n": 1})) == whole
    others = [
        digest(*cut),
        digest(*cut, Counts({"n": 2})),
        digest(*cut[:-1], Entries("l", 2, 4, 3, [b"z"]), Counts({"n": 1})),
        digest(Documents({"a": b"1", "b": b"2"}), Entries("l", 0, 2, 0, [b"x", b"y"]), Counts({"n": 1})),
        digest(Documents({"a1": b"", "b": b"2"}), Entries("l", 2, 4, 2, [b"x", b"y"]), Counts({"n": 1})),
        digest(Documents({"a": b"12", "b": b""}), Entries("l", 2, 4, 2, [b"x", b"y"]), Counts({"n": 1})),
        digest(Documents({"a": b"1", "b": b"2"}), Entries("l", 2, 4, 2, [b"xy", b""]), Counts({"n": 1})),
    ]
    assert len({whole, *others}) == 8


# ------------------------------------------------------------------------------------------------ files that are broken


def refused(target: Sessions, file: Path, data: bytes) -> ArchiveError:
    file.write_bytes(data)
    with pytest.raises(ArchiveError) as caught:
        target.archive.import_(file)
    # before anything was written
    assert target.list(everyone=True).sessions == () and target.users.list().users == ()
    return caught.value


def test_every_change_of_a_file_is_found_at_its_line(file: Path, tmp_path: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    bad, chance = tmp_path / "bad", random.Random(1)
    with Sessions("memory://") as target:
        for at in range(len(lines)):
            line = bytearray(lines[at])
            where = chance.randrange(len(line) - 1)
            line[where] ^= 1 << chance.randrange(7)
            # a flipped bit may make a line's end, and so two lines of one
            assert refused(target, bad, b"".join([*lines[:at], bytes(line), *lines[at + 1 :]])).line == at + 1
            short = refused(target, bad, b"".join([*lines[:at], lines[at][: len(lines[at]) // 2]]))
            assert short.line == at + 1 and "truncated" in str(short)
            if at:
                assert refused(target, bad, b"".join(lines[:at])).line == at + 1
            if 0 < at < len(lines) - 1:
                missing = refused(target, bad, b"".join(lines[:at] + lines[at + 1 :]))
                assert missing.line == at + 1 and "a line before it is missing" in str(missing)
                assert refused(target, bad, b"".join([*lines[: at + 1], *lines[at:]])).line == at + 2
        more = refused(target, bad, b"".join([*lines, lines[-1]]))
        assert more.line == len(lines) + 1 and "behind the end" in str(more)
        assert refused(target, bad, file.read_bytes().replace(b"\n", b"\r\n")).line == 1
        assert "no beginning" in str(refused(target, bad, b"{}\n"))
        assert refused(target, bad, b"").line == 1


def test_lines_that_are_summed_up_anew_are_still_looked_at(file: Path, tmp_path: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    of = {word: next(n for n, line in enumerate(lines) if line.startswith(f'{{"{word}"'.encode())) for word in
          ("documents", "log", "end", "begin")}  # fmt: skip

    def change(at: int, old: bytes, new: bytes) -> bytes:
        assert old in lines[at]
        return resealed([*lines[:at], lines[at].replace(old, new, 1), *lines[at + 1 :]])

    for data, says in [
        (change(0, b'"version":1', b'"version":2'), "version 2, this one reads up to 1; upgrade"),
        (change(of["begin"], b'"user"', b'"tenant"'), "it begins a 'tenant'"),
        (change(of["begin"], b'"ada"', b'""'), "id must not be empty|id"),
        (change(of["log"], b'"start":0', b'"start":-1'), "is no index"),
        (change(of["log"], b'"log"', b'"blog"'), "'blog' is no line of version 1"),
        (change(of["end"], b'"end":"ada"', b'"end":"bob"'), "not in its place"),
        (resealed([lines[0], *lines[2:]]), "not in its place"),
    ]:
        (tmp_path / "bad").write_bytes(data)
        with Sessions("memory://") as target, pytest.raises(ArchiveError, match=says):
            target.archive.import_(tmp_path / "bad")
    (tmp_path / "bad").write_bytes(change(of["log"], b"prompt 1", b"prompt 7"))
    with Sessions("memory://") as target:
        with pytest.raises(ArchiveError, match="another digest"):
            target.archive.import_(tmp_path / "bad")
        assert target.store.read(layout.session_space("s", "ada")).incarnation is None


def test_a_session_that_says_it_is_anothers_is_refused(file: Path, tmp_path: Path) -> None:
    data = resealed(file.read_bytes().replace(b'"owner":"bob"', b'"owner":"eve"').splitlines(keepends=True))
    (tmp_path / "bad").write_bytes(data)
    with Sessions("memory://") as target:
        with pytest.raises(Corrupt, match="it is of another session"):
            target.archive.import_(tmp_path / "bad")
        assert target.list("eve").sessions == target.list("bob").sessions == ()
        assert target.store.read(layout.session_space("s", "eve")).incarnation is None


class Bad(SQLiteStore):
    """Loses the first entry of what is appended."""

    def commit(self, space: Space, *changes: object, **options: object) -> object:  # type: ignore[override]
        worse = [Append(c.log, [b"?", *c.entries[1:]], c.at) if isinstance(c, Append) else c for c in changes]
        return super().commit(space, *worse, **options)  # type: ignore[arg-type]


def test_what_a_store_did_not_keep_is_found_before_it_is_there(file: Path, tmp_path: Path) -> None:
    with Bad(str(tmp_path / "bad.db")) as store:
        with pytest.raises(Corrupt, match="it is not what was written to it"):
            Sessions(store).archive.import_(file)
        assert Sessions(store).list(everyone=True).sessions == ()


# ------------------------------------------------------------------------------------------------ what is there already


def test_what_is_there_with_other_content(memory: Sessions, file: Path) -> None:
    with Sessions("memory://") as target:
        target.create("s", "ada", title="mine")
        with pytest.raises(AlreadyExistsError, match="'s' of user 'ada' already, with other content"):
            target.archive.import_(file)
        assert target.get("s", "ada").session.title == "mine"
        done = target.archive.import_(file, on_existing="skip")
        assert done.skipped == 1 and target.get("s", "ada").session.title == "mine"
        done = target.archive.import_(file, on_existing="replace")
        assert (done.replaced, done.sessions, done.same) == (1, 1, 5)
        assert shape(target) == shape(memory)
        with pytest.raises(ValueError, match=r"on_existing must be .*, got 'merge'"):
            target.archive.import_(file, on_existing="merge")  # type: ignore[arg-type]


def test_a_session_that_is_run_is_not_replaced(file: Path) -> None:
    with Sessions("memory://") as target:
        manager = StoreSessionManager("s", target.store, user_id="bob", exclusive=True)
        agent = Agent(model=ScriptedModel(["ok"]), session_manager=manager, callback_handler=None)

        async def replace_while_it_runs() -> None:
            async with manager.lease():
                await agent.invoke_async("hello")
                target.archive.import_(file, user_id="bob", on_existing="replace")

        with manager, pytest.raises(SessionBusyError, match=r"'s' is run by .* it was not replaced"):
            asyncio.run(replace_while_it_runs())
        assert target.archive.import_(file, user_id="bob", on_existing="replace").replaced == 1


def test_a_store_is_not_copied_to_itself(memory: Sessions, tmp_path: Path) -> None:
    memory.create("s")
    with pytest.raises(ValueError, match="another store"):
        memory.archive.copy(memory, on_existing="replace")
    url = f"sqlite:///{tmp_path}/a.db"
    assert memory.archive.copy(url).sessions == 1
    with Sessions(url) as there, pytest.raises(ValueError, match="another store"):
        there.archive.copy(url, on_existing="replace")
    with Sessions(url) as there:
        assert there.get("s").session == memory.get("s").session


# ---------------------------------------------------------------------------------------------------------------- large


class Meter:
    """How many bytes and entries the largest read gave."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[Store]) -> None:
        self.reads, self.most = 0, 0
        inner = kind.read

        def read(store: Store, space: Space, *wants: Want) -> Look:
            look = inner(store, space, *wants)
            self.reads += 1
            self.most = max(self.most, sum(len(e) for view in look.logs.values() for e in view.entries.values()))
            return look

        monkeypatch.setattr(kind, "read", read)


def test_memory_is_bounded_by_a_page_not_by_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "PAGE", 50)
    monkeypatch.setattr(archive, "SPOOL", 2**20)
    with Sessions(f"sqlite:///{tmp_path}/a.db") as source, Sessions(f"sqlite:///{tmp_path}/b.db") as target:
        source.create("s")
        space = layout.session_space("s", None)
        for _ in range(20):  # 40 MB, in pages of 1 MB
            source.store.commit(space, Append("runs", [b'"' + b"x" * 20_000 + b'"'] * 100), commit_id=new_commit_id())
        tracemalloc.start()
        try:
            source.archive.export(tmp_path / "x")
            exported, _ = tracemalloc.get_traced_memory()[1], tracemalloc.reset_peak()
            target.archive.import_(tmp_path / "x")
            imported, _ = tracemalloc.get_traced_memory()[1], tracemalloc.reset_peak()
        finally:
            tracemalloc.stop()
        assert target.layout_tree("s") == source.layout_tree("s")
        assert exported < 12 * 2**20 and imported < 24 * 2**20, (exported, imported)


def test_large_entries_are_read_by_smaller_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sessions(f"sqlite:///{tmp_path}/a.db") as source:
        source.create("s")
        space = layout.session_space("s", None)
        for at in range(12):
            entry = b"%d" % at + b"x" * (2**21 if at < 9 else 10)
            source.store.commit(space, Append("runs", [entry] * (1 if at < 9 else 500)), commit_id=new_commit_id())
        meter = Meter(monkeypatch, SQLiteStore)
        with Sessions("memory://") as target:
            source.archive.copy(target)
            reads = meter.reads
            for at in range(0, 1_509, 3):
                want = Log("runs", ((at, at + 3),))
                assert target.store.read(space, want).logs == source.store.read(space, want).logs
        assert meter.most <= 9 * 2**20 and reads < 30, (meter.most, reads)


def test_what_a_small_session_costs(memory: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(memory)
    source = FaultyStore(memory.store)

    def calls(target: FaultyStore, verb: str) -> int:
        return sum(call.verb == verb for call in target.calls)

    Sessions(source).archive.export(tmp_path / "x", "ada", ids=["s"])
    assert calls(source, "read") == 4  # one of them: which segments it has
    target = FaultyStore(MemoryStore())
    for how, reads, commits in (("new", 4, 2), ("there", 3, 0)):
        target.calls.clear()
        Sessions(target).archive.import_(tmp_path / "x")
        assert (calls(target, "read"), calls(target, "commit")) == (reads, commits), how
    source.calls.clear(), target.calls.clear()
    Sessions(source).archive.copy(target, "ada", ids=["s"])
    assert (calls(source, "read"), calls(target, "read")) == (4, 3)


def test_a_log_that_was_trimmed_far_keeps_its_indices(memory: Sessions) -> None:
    memory.create("s")
    space = layout.session_space("s", None)
    for _ in range(3):
        memory.store.commit(space, Append("runs", [b"{}"] * 4_000), commit_id=new_commit_id())
    memory.store.commit(space, Trim("runs", 11_990), commit_id=new_commit_id())
    with Sessions("memory://") as target:
        memory.archive.copy(target)
        view = target.store.read(space, Log("runs", ((0, None),))).logs["runs"]
        assert (view.start, view.length, list(view.entries)) == (11_990, 12_000, list(range(11_990, 12_000)))


def test_progress_is_told_and_what_it_raises_ends_the_work(
    memory: Sessions, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "BATCH_CHANGES", 1)
    steps: list[archive.Step] = []
    with Sessions("memory://") as target:
        done = target.archive.import_(file, progress=steps.append)
        assert [step.done for step in steps] == sorted(step.done for step in steps)
        assert steps[-1] == archive.Step(file.stat().st_size, file.stat().st_size, done.entries, done.bytes)
    steps.clear()
    memory.archive.export(tmp_path / "y", "ada", ids=["s", "child"], progress=steps.append)
    assert [(step.done, step.of) for step in steps] == [(1, None), (2, None)]  # they may have segments

    def stop(step: archive.Step) -> None:
        raise KeyboardInterrupt

    with Sessions("memory://") as target:
        for work in (
            lambda: memory.archive.export(tmp_path / "z", everyone=True, progress=stop),
            lambda: memory.archive.copy(target, "ada", ids=["s"], progress=stop),
        ):
            with pytest.raises(KeyboardInterrupt):
                work()
        assert target.store.read(layout.session_space("s", "ada")).incarnation is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "y"]
