"""What is restored is what was live, and the history holds all that was said: random conversations with real agents.

    EXACT_RESTORE_EXAMPLES=1000 EXACT_RESTORE_SEED=7 pytest tests/plugin/test_exact_restore.py -n auto

leads other and more of them. Without shrinking (EXACT_RESTORE_SHRINK=0) a failure is reported at once.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from .agents import small_presets
from .conversations import KINDS, Conversation, conversations
from .play import Play

EXAMPLES = int(os.environ.get("EXACT_RESTORE_EXAMPLES", "90"))
SEED = int(os.environ.get("EXACT_RESTORE_SEED", "0"))
BATCH = 15
SHRINK = os.environ.get("EXACT_RESTORE_SHRINK", "1") == "1"

# Strands leaves generators open when a stream is given up; the collector then closes them on any thread
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

HAPPENS = """
    between: append again; between: append; between: clear; between: deepcopy; between: delete first;
    between: delete last; between: delete; between: direct tool; between: edit; between: insert; between: load snapshot;
    between: replace state; between: set state; between: structured output; between: swap;
    context manager: offloaded; conversation manager: removed; conversation manager: summarized;
    conversation manager: truncated; cut at added; cut at commit; cut at model; cut at tool; fault: in doubt after;
    fault: in doubt before; fault: read; fault: unavailable before; guide after model call; guide before model call;
    hook added append; hook added copy; hook added delete; hook added edit; hook added raise; hook added state;
    hook after append; hook after copy; hook after delete; hook after edit; hook after raise; hook after resume;
    hook after state; hook before append; hook before cancel; hook before delete; hook before edit; hook before raise;
    hook before state; hook model append; hook model delete; hook model edit; hook model raise; hook model retry;
    hook model state; hook model before continue; hook after continue;
    hook order -100 async; hook order -100 sync; hook order 0 async; hook order 0 sync;
    hook order 100 async; hook order 100 sync; interrupt answered; model state; model: context tool; model: error;
    model: max tokens; model: overflow; model: redact assistant; model: redact user; model: text; model: tools;
    parallel tools; pinned; prompt: blocks; prompt: empty; prompt: messages; prompt: none; prompt: reused; prompt: text;
    recalled; redacted: repeated prompt; redacted: tool result; redacted: user text; repaired;
    resumed by another manager class; resumed while interrupted; resumed; snapshot loaded: messages;
    snapshot loaded: session; structured output; tool ask; tool echo; tool fails; tool long; tool note;
    tool picture; tool pin_context; tool summarize_context; tool truncate_context; way: agent.cancel; way: anyio;
    way: await; way: call; way: closed; way: dropped; way: kept; way: task.cancel
"""
"""What has to happen now and then, or the conversations are not what they are meant to be."""


@pytest.fixture(autouse=True)
def _small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    small_presets(monkeypatch.setattr)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_restored_is_what_was_live(kind: str, tmp_path: Path) -> None:
    converse(kind, tmp_path, Counter(), EXAMPLES, SEED)


@pytest.mark.soak
def test_everything_happens_in_many_conversations(tmp_path: Path) -> None:
    fired: Counter[str] = Counter()
    for kind in KINDS:
        converse(kind, tmp_path, fired, 200, 1)
    print("\n".join(f"{count:6} {what}" for what, count in sorted(fired.items())))
    wanted = {" ".join(what.split()) for what in HAPPENS.split(";")}
    assert wanted - {what for what, count in fired.items() if count} == set()


def converse(kind: str, directory: Path, fired: Counter[str], examples: int, start: int) -> None:
    # in small batches: in a long run hypothesis varies what it has found more than it looks for something new
    for batch in range(0, examples, BATCH):
        _converse(kind, directory, fired, start * 1_000_003 + batch)


def _converse(kind: str, directory: Path, fired: Counter[str], start: int) -> None:
    @seed(start)
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if SHRINK else [Phase.generate],
        report_multiple_bugs=False,
    )
    @given(conversations(kind))
    def each(conversation: Conversation) -> None:
        Play(conversation, directory, fired).run()

    each()
