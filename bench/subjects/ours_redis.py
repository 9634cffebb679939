"""This package on Redis, as a subject of a harness that runs a server (the project's own bench runs none)."""

from bench.subjects.base import StrandsSubject, register


class _OursOnRedis(StrandsSubject):
    backend = "redis"
    package = "strands-session-store"
    durability = "message"

    def check(self):
        import redis  # noqa: F401

        import strands_session_store  # noqa: F401

    def store(self, env):
        from strands_session_store import open_store

        return env.share("ours", lambda: open_store(env.redis_url))

    def manager(self, env, sid):
        from strands_session_store import StoreSessionManager

        return StoreSessionManager(sid, self.store(env), durability=self.durability)

    async def open(self, env, sid, *, keep_all=False):
        from strands_session_store import StoreSessionManager

        manager = await StoreSessionManager.open(sid, self.store(env), agent_ids=("bench",), durability=self.durability)
        return manager, self.agent(env, manager, keep_all=keep_all)


@register
class OursRedis(_OursOnRedis):
    name = "ours-redis"
    notes = 'durability="message"'


@register
class OursRedisTurn(_OursOnRedis):
    name = "ours-redis-turn"
    notes = 'durability="turn": one commit an invocation'
    durability = "turn"
