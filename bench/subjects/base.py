"""What a subject has to say of itself. The names are those of the harness that measures other packages with ours, so
that the files of this folder run there as they are.
It loads this file too, for nothing: so nothing of ours is imported at the top.
"""

REGISTRY = {}


def register(subject):
    REGISTRY[subject.name] = subject()
    return subject


class Env:
    """Where a subject may keep its data, and what one application would make once."""

    def __init__(self, folder, size=2000, redis_url=""):
        self.dir = str(folder)
        self.redis_url = redis_url
        self.size = size
        self.think_ms = 0.0
        self.shared = {}
        self.counted = None

    def metered(self, store):
        from bench.counting import Counted

        self.counted = Counted(store)
        return self.counted

    def share(self, key, make):
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]


class StrandsSubject:
    """A session manager, driven by a real Agent with a scripted model."""

    name = ""
    backend = "none"  # what the other harness meters: dir, redis, s3, or nothing
    package = ""
    notes = ""

    def manager(self, env, sid):
        raise NotImplementedError

    def agent(self, env, manager, *, keep_all=False, **options):
        from strands.agent.conversation_manager import NullConversationManager

        from bench import work

        if keep_all:  # else Agent's own default, a sliding window of 40 messages
            options.setdefault("conversation_manager", NullConversationManager())
        return work.agent(env.size, think_ms=env.think_ms, session_manager=manager, agent_id="bench", **options)

    async def open(self, env, sid, *, keep_all=False):
        manager = self.manager(env, sid)
        return manager, self.agent(env, manager, keep_all=keep_all)

    async def turn(self, env, opened, prompt):
        await opened[1].invoke_async(prompt)

    async def close(self, opened):
        if hasattr(opened[0], "aclose"):
            await opened[0].aclose()
