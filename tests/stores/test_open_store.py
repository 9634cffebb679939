"""open_store: a URL names an engine; what it can not open it refuses without showing a secret."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_store.errors import StoreError
from strands_session_store.stores import open_store, redact
from strands_session_store.stores.base import Space, Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.stores.sqlite import SQLiteStore

SPACE = Space("session", None, "a")


def test_memory_is_a_store_of_its_own_each_time() -> None:
    first, second = open_store("memory://"), open_store("MEMORY://", timeout=1)
    first.commit(SPACE, commit_id="1")
    assert isinstance(first, MemoryStore)
    assert second.read(SPACE).incarnation is None


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("a.db", "a.db"),
        ("a%20b.db", "a b.db"),
        ("%C3%A9.db", "\u00e9.db"),
        ("%3F%23%25.db", "?#%.db"),
        ("a@b.db", "a@b.db"),
    ],
)
def test_a_sqlite_path_is_absolute_or_relative_and_percent_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelled: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store(f"sqlite:///{spelled}") as relative:
        relative.commit(SPACE, commit_id="1")
    assert (tmp_path / name).is_file()
    with open_store(f"sqlite:///{tmp_path}/{spelled}", timeout=1) as absolute:
        assert isinstance(absolute, SQLiteStore)
        assert absolute.commit(SPACE, commit_id="1").repeated


def test_opening_reads_and_writes_nothing(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/a.db").close()
    open_store(f"sqlite:///{tmp_path}/none/a.db").close()
    open_store(f"file://{tmp_path}/none").close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://h/db", r"no engine for mysql://; this version knows file://, memory://, .*, s3://, sqlite://"),
        ("sessions.db", "memory://, .*sqlite://"),
        ("", "memory://, .*sqlite://"),
        ("sqlite:sessions.db", "memory://, .*sqlite://"),
        ("sqlite://sessions.db", "sqlite:///relative.db"),
        ("sqlite://", "sqlite:///relative.db"),
        ("sqlite:///", "sqlite:///relative.db"),
        ("sqlite:///a.db?mode=ro", "no options"),
        ("sqlite:///a.db#x", "no options"),
        ("memory://x", "nothing behind it"),
        ("s3://", "bucket must be"),
        ("s3://bucket?region_name=x", "there is no option 'region_name'; there are region, "),
        ("s3://bucket?compress=no", "compress must be true or false"),
        ("s3://bucket?Body=no", "may not hold 'Body'"),
        ("s3://bucket?conditional_writes=no", "must be one of required, assume-single-writer"),
        ("s3://bucket/a#b", "write # as %23"),
        ("s3://key:secret@bucket", "credentials do not belong into the URL"),
        ("file://", "file:///absolute/directory"),
        ("file:///", "file:///absolute/directory"),
        ("file://relative", "file:///absolute/directory"),
        ("file:///a?mode=ro", "no options"),
        ("file:///a#x", "no options"),
    ],
)
def test_what_can_not_be_opened_is_refused_with_what_would_do(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as info:
        open_store(url)
    assert isinstance(info.value, ValueError)


def test_another_package_adds_an_engine_by_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[strands_session_store.stores]\nmine = store_of_mine:make\n")
    (tmp_path / "store_of_mine.py").write_text(
        "from strands_session_store.stores.memory import MemoryStore\n"
        "asked = []\n"
        "def make(url, timeout):\n"
        "    asked.append((url, timeout))\n"
        "    return MemoryStore()\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    store: Store = open_store("mine://u:p@h/1?x=2", timeout=3.5)
    assert isinstance(store, MemoryStore)
    assert sys.modules.pop("store_of_mine").asked == [("mine://u:p@h/1?x=2", 3.5)]
    with pytest.raises(StoreError, match=r"memory://, mine://, .*sqlite://"):
        open_store("other://")


def test_what_is_no_secret_is_shown() -> None:
    for url in ("redis://localhost:6379/0", "sqlite:////srv/a@b.db", "memory://", "sessions.db"):
        assert redact(url) == url
    assert redact("redis://u:p@h:1/0?password=x&ssl#f") == "redis://***@h:1/0?***"


secrets = st.text(st.sampled_from("/?#@:&=%[]ab \u00e9"), min_size=1, max_size=12).map(
    lambda text: f"s3cr3t{text}t0k3n"
)


@given(secrets, secrets)
def test_no_secret_is_ever_shown(user: str, password: str) -> None:
    for url in (
        f"redis://{user}:{password}@host:6379/0",
        f"redis://:{password}@host?db=1",
        f"s3://bucket?key={user}&secret={password}",
        f"redis://host/0?password={password}#{user}",
        f"redis:{user}:{password}@host",
        f"unix://{user}:{password}@/run/redis.sock",
    ):
        assert "s3cr3t" not in redact(url)
        assert "t0k3n" not in redact(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:s3cr3t@h,h2",
        "redis+cluster://u:s3cr3t@",
        "redis://h?prefix={s3cr3t}",
        "other://h?p=s3cr3t",
        "redis:s3cr3t@h",
        "memory://s3cr3t@h",
        "sqlite:///a?k=s3cr3t",
        "s3://key:s3cr3t@bucket/prefix",
        "s3://bucket?secret=s3cr3t",
        "s3://bucket?endpoint_url=http://u:s3cr3t@h",
        "file:///a?k=s3cr3t",
        "file://u:s3cr3t@h/a",
    ],
)
def test_errors_show_urls_redacted(url: str) -> None:
    with pytest.raises(StoreError) as info:
        open_store(url)
    assert "s3cr3t" not in str(info.value)
