import itertools
import pytest
from strands_session_store.testing import StoreContract, StoreMachine
from hypothesis import settings

n = itertools.count()
import os


class TestStandalone(StoreContract):
    @pytest.fixture
    def url(self) -> str:
        return f"redis://127.0.0.1:17001/0?prefix=t{os.getpid()}-{next(n)}"
