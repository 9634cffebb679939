"""A bucket as a place for objects; the only home of boto3."""

from .address import read_url
from .blobs import S3Blobs

__all__ = ["S3Blobs", "read_url"]
