"""The engine over objects: `ObjectStore`, on a directory (`directory`) or on S3 (`s3`)."""

from .store import ObjectStore

__all__ = ["ObjectStore"]
