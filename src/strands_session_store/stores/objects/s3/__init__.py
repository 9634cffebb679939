"""A bucket as a place for objects; the only home of boto3."""

from .blobs import S3Blobs

__all__ = ["S3Blobs"]
