"""The session managers that come with Strands, and an agent without one."""

from bench.subjects.base import StrandsSubject, register


@register
class Without(StrandsSubject):
    name = "without"
    backend = "none"
    package = "strands-agents"
    skip = {"resume": "-", "crowd": "-", "storage": "-"}  # noqa: RUF012
    notes = "an agent without a session manager"

    def manager(self, env, sid):
        return None


@register
class File(StrandsSubject):
    name = "strands-own-file"
    backend = "dir"
    package = "strands-agents"
    notes = "FileSessionManager: a file a message, not synced to disk"

    def manager(self, env, sid):
        from strands.session import FileSessionManager

        return FileSessionManager(session_id=sid, storage_dir=env.dir)


@register
class Snapshot(StrandsSubject):
    name = "strands-own-snapshot"
    backend = "dir"
    package = "strands-agents"
    notes = "SnapshotSessionManager over files: the whole agent once an invocation, not synced to disk"

    def manager(self, env, sid):
        from strands.session import SnapshotSessionManager
        from strands.storage import LocalFileStorage

        return SnapshotSessionManager(sid, storage=LocalFileStorage(env.dir))
