"""This package's session managers, as subjects of this bench and of any harness with the same `bench.subjects.base`."""

from bench.subjects.base import StrandsSubject, register


class Ours(StrandsSubject):
    """What an application would do: one store a process, a session manager a conversation, loaded ahead."""

    package = "strands-session-store"
    durability = "message"
    exclusive = False

    @property
    def options(self):
        return {"durability": self.durability, "exclusive": self.exclusive}

    def url(self, env):
        raise NotImplementedError

    def check(self):
        import strands_session_store  # noqa: F401

    def store(self, env):
        from strands_session_store import open_store

        metered = getattr(env, "metered", lambda store: store)  # where the bench counts what reaches the port
        return env.share(self.url(env), lambda: metered(open_store(self.url(env))))

    def manager(self, env, sid):
        from strands_session_store import StoreSessionManager

        return StoreSessionManager(sid, self.store(env), **self.options)

    async def open(self, env, sid, *, keep_all=False):
        from strands_session_store import StoreSessionManager

        manager = await StoreSessionManager.open(sid, self.store(env), agent_ids=("bench",), **self.options)
        return manager, self.agent(env, manager, keep_all=keep_all)


@register
class OursSQLite(Ours):
    name = "ours-sqlite"
    backend = "dir"
    notes = 'SQLite, synchronous=FULL, durability="message": every message acknowledged on disk'

    def url(self, env):
        return f"sqlite:///{env.dir}/sessions.db"


@register
class OursSQLiteTurn(OursSQLite):
    name = "ours-sqlite-turn"
    notes = 'SQLite, durability="turn": one commit an invocation'
    durability = "turn"


@register
class OursFile(Ours):
    name = "ours-file"
    backend = "dir"
    notes = 'a directory, durability="turn": one file written an invocation'
    durability = "turn"

    def url(self, env):
        return f"file://{env.dir}/sessions"


@register
class OursFileMessage(OursFile):
    name = "ours-file-message"
    notes = 'a directory, durability="message": every message acknowledged on disk'
    durability = "message"


@register
class OursRedis(Ours):
    name = "ours-redis"
    backend = "redis"
    notes = 'Redis, durability="message"; for a harness that runs a server'

    def url(self, env):
        return env.redis_url


@register
class OursRedisTurn(OursRedis):
    name = "ours-redis-turn"
    notes = 'Redis, durability="turn": one commit an invocation'
    durability = "turn"


@register
class OursRedisExclusive(OursRedis):
    name = "ours-redis-exclusive"
    notes = 'Redis, durability="message", each invocation under the lease'
    exclusive = True


@register
class OursS3(Ours):
    name = "ours-s3"
    backend = "s3"
    notes = 'S3, durability="message"; for a harness that runs a server'

    def url(self, env):
        return f"s3://{env.bucket}/sessions"


@register
class OursS3Turn(OursS3):
    name = "ours-s3-turn"
    notes = 'S3, durability="turn": one commit an invocation'
    durability = "turn"
