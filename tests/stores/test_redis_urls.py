"""What a URL of Redis means; nothing is connected for it."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import sys
import traceback
from typing import Any

import pytest

redis = pytest.importorskip("redis")

from strands_session_store.errors import InvalidUrlError
from strands_session_store.stores import open_store
from strands_session_store.stores.redis import RedisStore
from strands_session_store.stores.redis.connect import Address, read_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", Address("redis", [("h", 6379)])),
        ("redis://h:1/2", Address("redis", [("h", 1)], ["2"])),
        ("rediss://u:p%40%2F@h/0", Address("rediss", [("h", 6379)], ["0"], "u", "p@/")),
        ("redis://:p@[::1]:7/0", Address("redis", [("::1", 7)], ["0"], None, "p")),
        ("redis+cluster://a,b:2,[::1]/", Address("redis+cluster", [("a", 6379), ("b", 2), ("::1", 6379)])),
        ("redis+sentinel://a,b:2/main/3", Address("redis+sentinel", [("a", 26379), ("b", 2)], ["main", "3"])),
        (
            "redis://h?prefix=x&wait_replicas=2&wait_timeout=0.5&socket_timeout=3",
            Address(
                "redis",
                [("h", 6379)],
                query={"socket_timeout": "3"},
                options={"prefix": "x", "wait_replicas": 2, "wait_timeout": 0.5},
            ),
        ),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: Address) -> None:
    assert read_url(url) == expected


def connection_options(store: Any) -> dict[str, Any]:
    return store._link._client.connection_pool.connection_kwargs


def test_the_clients_own_retries_are_off_and_time_outs_are_set() -> None:
    for url in ("redis://h/0", "rediss://h/0", "unix:///run/redis.sock?db=3", "redis+sentinel://h/main/0"):
        with open_store(url, timeout=4.0) as store:
            assert isinstance(store, RedisStore)
            options = connection_options(store)
            assert options["retry"]._retries == 0 and not options["retry_on_error"]
            assert options["socket_timeout"] == options["socket_connect_timeout"] == 2.0
            assert options["health_check_interval"] == 30


def test_sentinels_are_asked_as_servers_are() -> None:
    for url, tls in (("redis+sentinel://h/main", False), ("rediss+sentinel://h/main?ssl_cert_reqs=none", True)):
        with open_store(url, timeout=4.0) as store:
            (asked,) = store._link._client.connection_pool.sentinel_manager.sentinels
            options = asked.connection_pool.connection_kwargs
            assert options["retry"]._retries == 0 and options["socket_connect_timeout"] == 2.0
            assert issubclass(asked.connection_pool.connection_class, redis.SSLConnection) is tls
            assert options.get("ssl_cert_reqs") == ("none" if tls else None)


def test_what_the_url_says_of_the_client_counts_more() -> None:
    with open_store("redis://h/0?socket_timeout=1.5&health_check_interval=5") as store:
        options = connection_options(store)
        assert options["socket_timeout"] == 1.5 and options["health_check_interval"] == 5
    with open_store("redis+sentinel://u:p@h/main/7?sentinel_password=q&socket_timeout=1.5") as store:
        options = connection_options(store)
        assert (options["username"], options["password"], options["db"]) == ("u", "p", 7)
        assert options["socket_timeout"] == 1.5


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://a,b/0", r"one host; for several, redis\+cluster://"),
        ("redis://h:port/0", "a host is written"),
        ("redis+cluster:///", "write redis\\+cluster://host1"),
        ("redis+cluster://h/1", "one database"),
        ("redis+sentinel://h/", "name-of-primary"),
        ("redis+sentinel://h/main/x", "name-of-primary"),
        ("redis://h/0?wait_replicas=many", "wait_replicas must be a int"),
        ("redis://h/0?wait_replicas=-1", "wait_replicas must not be negative"),
        ("redis://h/0?prefix={x}", "prefix must have"),
        ("redis://h/0?prefix=", "prefix must have"),
        ("redis://h/0?socket_timeout=soon", "can not use an option .*socket_timeout"),
        ("redis://h/prod", "number of a database"),
        ("redis://h/0/1", "number of a database"),
        ("unix://run/redis.sock", "three slashes"),
        ("redis://h/0?socket_timout=3", "can not use an option .*socket_timout"),
        ("redis+cluster://h/?socket_timout=3", "can not use an option .*socket_timout"),
        ("redis+sentinel://h/main?socket_timout=3", "can not use an option .*socket_timout"),
        ("rediss://h/0?ssl_cert_reqs=maybe", "can not use an option .*ssl_cert_reqs"),
        ("rediss://h/0?ssl_ca_certs=/no/such.pem", "no '/no/such.pem', which ssl_ca_certs names"),
    ],
)
def test_what_can_not_be_used_is_refused_with_what_would_do(url: str, says: str) -> None:
    with pytest.raises(InvalidUrlError, match=says):
        open_store(url)


def test_no_secret_is_in_a_repr_an_error_or_what_caused_it() -> None:
    with open_store("redis://u:s3cr3t@h/0") as store:
        assert "s3cr3t" not in repr(store)
    for url in (
        "redis://u:s3cr3t@h:x/0",
        "redis+sentinel://u:s3cr3t@h/",
        "redis://u:s3cr3t@h/0?socket_timeout=s3cr3t",
        "redis://:s3cr3t#@h/0",
        "redis://:s3cr3t/@h/0",
        "redis://:?s3cr3t@h/0",
        "redis+sentinel://h/main?sentinel_pasword=s3cr3t",
    ):
        with pytest.raises(InvalidUrlError) as info:
            open_store(url)
        assert "s3cr3t" not in "".join(traceback.format_exception(info.value))


def test_the_case_of_a_scheme_does_not_matter() -> None:
    with open_store("REDIS://h:1/2") as store:
        assert connection_options(store)["port"] == 1


def test_without_redis_py_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("strands_session_store.stores.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(InvalidUrlError, match=r"pip install strands-session-store\[redis\]"):
        open_store("redis://u:s3cr3t@h/0")
