"""How engines say they are: real ones, well and unwell, with all rights and with few."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.stores.conversation import say
from tests.stores.test_read_only import allow, folder, forbid, unprivileged  # noqa: F401  (a fixture)

from strands_session_store.errors import StoreError, Unavailable
from strands_session_store.stores import diagnosing, open_store
from strands_session_store.stores.base import Store
from strands_session_store.stores.diagnosing import Diagnosing, Finding
from strands_session_store.stores.sqlite import diagnosis

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")


def found(store: Store) -> dict[str, Finding]:
    """What it says, by name; of several of one name the worst."""
    assert isinstance(store, Diagnosing)
    out: dict[str, Finding] = {}
    for one in store.diagnose():
        worst = out.get(one.name)
        if worst is None or ("ok", "note", "problem").index(one.level) > ("ok", "note", "problem").index(worst.level):
            out[one.name] = one
        assert one.remedy or one.level != "problem", one
        assert not one.found.endswith(".")
    return out


def levels(store: Store) -> dict[str, str]:
    return {name: one.level for name, one in found(store).items()}


# --------------------------------------------------------------------------------------------------------------- files


@POSIX
@pytest.mark.parametrize("engine", ["sqlite", "directory"])
def test_what_is_not_there_yet_is_looked_for_and_not_made(tmp_path: Path, engine: str) -> None:
    with open_store(f"sqlite:///{tmp_path}/x.db" if engine == "sqlite" else f"file://{tmp_path}/x/y") as store:
        told = found(store)
        assert told["file" if engine == "sqlite" else "directory"].level == "note"
        assert told["disk"].level in ("ok", "note", "problem") and "problem" not in levels(store).values()
    assert list(tmp_path.iterdir()) == []


@POSIX
@pytest.mark.parametrize("engine", ["sqlite", "directory"])
def test_who_may_read_and_write_is_told(folder: Path, engine: str) -> None:  # noqa: F811
    place = folder / "x"
    with open_store(f"sqlite:///{place}" if engine == "sqlite" else f"file://{place}") as store:
        say(store, 0)
        place.chmod(0o700 if engine == "directory" else 0o600)
        assert levels(store)["permissions"] == "ok" and "writing" not in levels(store)
        place.chmod(0o755)
        assert levels(store)["permissions"] == "note"
        assert "chmod o-rwx" in found(store)["permissions"].remedy
        place.chmod(0o777)
        assert levels(store)["permissions"] == "problem"
        folder.chmod(0o700)  # nobody comes as far as there
        assert levels(store)["permissions"] == "ok"


@POSIX
@pytest.mark.parametrize("engine", ["sqlite", "directory"])
def test_who_may_only_read_is_told_so(folder: Path, engine: str) -> None:  # noqa: F811
    url = f"sqlite:///{folder}/x.db" if engine == "sqlite" else f"file://{folder}"
    with open_store(url) as store:
        say(store, 0)
    forbid(folder)
    with unprivileged(), open_store(url) as store:
        told = found(store)
    assert told["writing"].level == "note" and "problem" not in [one.level for one in told.values()]
    if engine == "directory":
        assert "sync" not in told
    allow(folder)


def test_a_sqlite_file_tells_what_a_commit_survives_and_that_it_is_sound(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/x.db") as store:
        say(store, 0)
        told = found(store)
    assert [told[name].level for name in ("journal", "durability", "integrity")] == ["ok"] * 3
    assert sqlite3.sqlite_version in told["driver"].found and "synchronous=FULL" in told["durability"].found


def test_a_sqlite_file_that_is_damaged_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with open_store(f"sqlite:///{path}") as store:
        for number in range(300):
            say(store, number)
    with open(path, "r+b") as file:
        file.seek(10 * 8192)
        file.write(os.urandom(20 * 8192))
    with open_store(f"sqlite:///{path}") as store:
        told = found(store)
    assert told["integrity"].level == "problem" and "backup" in told["integrity"].remedy


def test_a_sqlite_file_that_is_too_large_to_be_looked_at_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "LARGEST", 100)
    with open_store(f"sqlite:///{tmp_path}/x.db") as store:
        say(store, 0)
        told = found(store)["integrity"]
    assert told.level == "note" and "not looked at" in told.found


def test_a_sqlite_file_that_another_program_took_out_of_wal_is_a_problem(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/x.db") as store:
        say(store, 0)
    other = sqlite3.connect(tmp_path / "x.db")
    other.execute("PRAGMA journal_mode=DELETE")
    other.close()
    with open_store(f"sqlite:///{tmp_path}/x.db") as store:
        assert found(store)["journal"].level == "problem"
    with open_store(f"sqlite:///{tmp_path}/x.db") as store:
        say(store, 1)
        assert found(store)["journal"].level == "ok"


def test_a_directory_tells_what_a_sync_takes_and_leaves_nothing(tmp_path: Path) -> None:
    with open_store(f"file://{tmp_path}/x") as store:
        say(store, 0)
        before = sorted(tmp_path.rglob("*"))
        assert "synced to the disk in" in found(store)["sync"].found
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_fills_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, level in ((50 * 10**6, "problem"), (500 * 10**6, "note"), (5 * 10**9, "ok")):
        usage = type(shutil.disk_usage(tmp_path))(10**10, 10**10 - free, free)
        monkeypatch.setattr(diagnosing.shutil, "disk_usage", lambda path, usage=usage: usage)
        assert diagnosing.room(str(tmp_path)).level == level


def test_a_file_system_of_the_network_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:25 / /mnt/shared rw - nfs4 server:/export rw\n"
        "31 30 8:2 / /mnt/shared/local\\040disk rw - xfs /dev/sdb rw\n"
        "odd\n"
    )
    for path, kind in (
        ("/srv/x.db", "ext4"),
        ("/mnt/shared", "nfs4"),
        ("/mnt/shared/x.db", "nfs4"),
        ("/mnt/sharedx", "ext4"),
        ("/mnt/shared/local disk/x", "xfs"),
    ):
        assert diagnosing.mounted_as(path, mounts) == kind
    assert diagnosing.mounted_as("/x", "") == ""
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(diagnosing, "_MOUNTS", str(table))
    assert diagnosing.file_system("/srv") == []  # a system that does not tell
    table.write_text(mounts.replace("ext4", "nfs"))
    (one,) = diagnosing.file_system("/srv/x.db")
    assert one.level == "problem" and "(nfs)" in one.found


def test_clocks_that_differ_are_told_by_how_much() -> None:
    clock = diagnosing.clock
    assert [clock(ahead).level for ahead in (0.1, -4.0, 6.0, -59.0, 61.0)] == ["ok", "ok", "note", "note", "problem"]
    assert clock(6.0, exact=1.5).level == "ok" and clock(6.6, exact=1.5).level == "note"
    assert "90 s ahead of" in clock(90.0).found and "90 s behind" in clock(-90.0).found


# --------------------------------------------------------------------------------------------------------------- Redis


def redis_tests() -> Any:
    pytest.importorskip("redis")
    from strands_session_store.stores.redis import diagnosis

    return diagnosis


GOOD = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "maxmemory": 1000 * 10**6,
    "maxmemory_policy": "noeviction",
    "used_memory": 100 * 10**6,
    "aof_enabled": 1,
    "role": "master",
    "connected_slaves": 0,
}


def judged(change: dict[str, Any], config: dict[str, Any] | None = None, wait: int = 0) -> dict[str, str]:
    judge = redis_tests()
    info = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    out = [judge.version(info), judge.eviction(info), *judge.persistence(info, config or {}), judge.memory(info)]
    return {one.name: one.level for one in [*out, *judge.replication(info, wait)] if one.level != "ok"}


@pytest.mark.parametrize(
    ("change", "config", "wait", "wrong"),
    [
        ({}, {}, 0, {}),
        ({"valkey_version": "8.0.1"}, {}, 0, {}),
        ({"redis_version": "6.0.16"}, {}, 0, {"server": "problem"}),
        ({"maxmemory_policy": "allkeys-lru"}, {}, 0, {"eviction": "problem"}),
        ({"maxmemory_policy": "volatile-ttl"}, {}, 0, {"eviction": "problem"}),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 0}, {}, 0, {"eviction": "note"}),
        ({"maxmemory_policy": None}, {}, 0, {"eviction": "note"}),
        ({"aof_enabled": 0}, {"save": ""}, 0, {"persistence": "problem"}),
        ({"aof_enabled": 0}, {"save": "3600 1"}, 0, {"persistence": "note"}),
        ({"aof_enabled": 0}, {}, 0, {"persistence": "note"}),
        ({"aof_enabled": None}, {}, 0, {"persistence": "note"}),
        ({}, {"appendfsync": "no"}, 0, {"persistence": "note"}),
        ({"aof_last_write_status": "err"}, {}, 0, {"persistence": "problem"}),
        ({"rdb_last_bgsave_status": "err"}, {}, 0, {"persistence": "problem"}),
        ({"used_memory": 800 * 10**6}, {}, 0, {"memory": "note"}),
        ({"used_memory": 950 * 10**6}, {}, 0, {"memory": "problem"}),
        ({"used_memory": 950 * 10**6, "maxmemory": 0}, {}, 0, {}),
        ({"role": "slave"}, {}, 0, {"replication": "problem"}),
        ({"role": None}, {}, 0, {"replication": "note"}),
        ({"connected_slaves": 2}, {}, 0, {"replication": "note"}),
        ({"connected_slaves": 2}, {}, 2, {}),
        ({"connected_slaves": 1}, {}, 2, {"replication": "problem"}),
        ({}, {}, 1, {"replication": "problem"}),
    ],
)
def test_what_a_server_of_redis_says_is_judged(
    change: dict[str, Any], config: dict[str, Any], wait: int, wrong: dict[str, str]
) -> None:
    told = judged(change, config, wait)
    # of two findings of one name the later counts here
    assert told == wrong or (told.keys() == wrong.keys() and "problem" in wrong.values())


def test_what_servers_say_alike_is_said_once() -> None:
    judge = redis_tests()
    same, one, other = (Finding("a", "ok", "x"), Finding("b", "ok", "1"), Finding("b", "ok", "2"))
    assert judge.together({"h:1": [same, one], "h:2": [same, other], "h:3": [same, other]}) == [
        same,
        Finding("b", "ok", "h:1: 1"),
        Finding("b", "ok", "h:2, h:3: 2"),
    ]


def test_a_cluster_that_does_not_serve_all_is_a_problem() -> None:
    judge = redis_tests()
    node = {"role": "master", "cluster_state": "ok"}
    assert [one.level for one in judge.cluster([node, node])] == ["ok"]
    assert [one.level for one in judge.cluster([node, {**node, "cluster_state": "fail"}])] == ["problem"]
    assert [one.level for one in judge.cluster([{"role": "master"}])] == ["note"]


def test_a_server_that_evicts_and_keeps_nothing_is_told_so(alone: Callable[..., Any]) -> None:
    redis_tests()
    server = alone("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "no")
    with open_store(server.url) as store:
        told = levels(store)
        assert (told["eviction"], told["persistence"], told["clock"]) == ("problem", "problem", "ok")
        with server.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("appendonly", "yes")
        told = levels(store)
        assert (told["eviction"], told["persistence"]) == ("ok", "ok")
        with server.client() as client:
            client.execute_command(
                "ACL", "SETUSER", "few", "on", ">hunter2", "~*", "+@read", "+@connection", "+eval", "+evalsha"
            )
    with open_store(server.url.replace("//", "//few:hunter2@")) as store:
        say_nothing = found(store)
        assert say_nothing["server"].level == "note" and "+info" in say_nothing["server"].remedy
        assert "problem" not in levels(store).values() and "hunter2" not in str(say_nothing)
    with (
        open_store(server.url.replace("//", "//few:wrong-secret@")) as store,
        pytest.raises(StoreError, match="refused the credentials") as refused,
    ):
        found(store)
    assert "wrong-secret" not in str(refused.value)


def test_a_server_that_is_not_there_is_an_error() -> None:
    redis_tests()
    with open_store("redis://127.0.0.1:1/0", timeout=0.2) as store, pytest.raises(Unavailable, match="not be reached"):
        found(store)
    with open_store("redis+cluster://127.0.0.1:1/", timeout=0.2) as store, pytest.raises(Unavailable):
        found(store)


def test_a_cluster_and_what_sentinels_watch_tell_of_all_their_servers(request: pytest.FixtureRequest) -> None:
    redis_tests()
    with open_store(request.getfixturevalue("cluster").url) as store:
        told = found(store)
        assert "3 nodes, 3 of them primaries; all slots are served" in told["cluster"].found
    with open_store(request.getfixturevalue("sentinel").url) as store:
        told = found(store)
        assert told["sentinel"].level == "ok" and told["replication"].level == "note"
        assert "?wait_replicas=1" in told["replication"].remedy


# ------------------------------------------------------------------------------------------------------------------ S3


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip("boto3")
    pytest.importorskip("moto")
    return request.getfixturevalue("place")


def of(place: Any, **options: Any) -> Store:
    from strands_session_store.stores.objects import ObjectStore

    return ObjectStore(place.blobs(ready=False, **options))


def names(store: Store, *wanted: str) -> Sequence[str]:
    told = found(store)
    return [told[name].level for name in wanted]


def test_a_bucket_tells_of_conditions_versions_rights_and_its_clock(bucket: Any) -> None:
    wanted = ("listing", "conditional writes", "versioning", "clock")
    with of(bucket) as store:
        assert names(store, *wanted) == ["ok"] * 4
        bucket.server.client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
        assert names(store, *wanted) == ["ok", "ok", "note", "ok"]
        assert "noncurrent versions" in found(store)["versioning"].remedy
    assert "Contents" not in bucket.server.client.list_objects_v2(Bucket=bucket.bucket)
    with of(bucket, conditional_writes="assume-single-writer") as store:
        assert names(store, "conditional writes") == ["note"]


def test_an_endpoint_that_ignores_conditions_is_a_problem(bucket: Any) -> None:
    from tests.stores.s3_proxy import pass_on

    def ignorant(exchange: Any) -> None:
        exchange.headers = {name: value for name, value in exchange.headers.items() if not name.startswith("if-")}
        pass_on(exchange)

    bucket.proxy.rule = ignorant
    with of(bucket) as store:
        told = found(store)["conditional writes"]
    assert told.level == "problem" and "does not honour If-None-Match" in told.found


def test_what_is_not_allowed_at_a_bucket_is_a_finding(bucket: Any) -> None:
    from tests.stores.s3_proxy import pass_on, refuse

    def reader(exchange: Any) -> None:
        denied = refuse(403, "AccessDenied", "Access Denied")
        (denied if exchange.method == "PUT" or "versioning" in exchange.target else pass_on)(exchange)

    bucket.proxy.rule = reader
    with of(bucket) as store:
        told = found(store)
    assert [told[name].level for name in ("listing", "conditional writes", "versioning")] == ["ok", "note", "note"]
    assert "may not write" in told["conditional writes"].found
    bucket.proxy.rule = refuse(403, "AccessDenied", "Access Denied")
    with of(bucket) as store:
        assert names(store, "listing", "versioning") == ["problem", "note"]


def test_a_clock_that_is_off_is_told(bucket: Any) -> None:
    from email.utils import formatdate

    def late(exchange: Any) -> None:
        answer = exchange.forward()
        answer.headers["date"] = formatdate(time.time() - 300, usegmt=True)
        exchange.reply(answer)

    bucket.proxy.rule = late
    with of(bucket) as store:
        told = found(store)["clock"]
    assert told.level == "problem" and "behind" in told.found
