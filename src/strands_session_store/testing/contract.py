"""What `stores.base` promises, each sentence a test. Bind it to an engine and run it with pytest:

    from strands_session_store.testing import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def url(self, tmp_path):
            return f"mine://{tmp_path}"

Every test gets an URL of its own with nothing in it; `open_store` must know the scheme (by an entry point), because
other processes open the same data by the URL. What an engine can do beyond the port it says in `Store.capabilities`,
and whether its clock can be set by `open_at`; the suite asks for nothing else.
"""

from .promises.commits import Commits
from .promises.concurrency import Concurrency
from .promises.listing import Listing
from .promises.logs import Logs
from .promises.parents import Parents
from .promises.processes import Processes
from .promises.reads import Reads
from .promises.spaces import Spaces


class StoreContract(Commits, Logs, Reads, Spaces, Listing, Parents, Concurrency, Processes):
    """All promises. A subclass named ``Test...`` gives the fixture ``url``; see `promises.binding.Binding`."""
