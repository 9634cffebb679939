"""Summaries of what was said: what is to be summarized, what a model is asked, and how it is done without one. Pure.

asking      a conversation as a model reads it, and what is asked of it
extracting  a summary of the conversation's own sentences, without a model
folding     a conversation of any length, part by part
sentences   sentences and terms of any language

Law: a summary tells all that was said before it. So it takes the one before into itself, and never more tokens than it
may.
"""

from .asking import SYSTEM, instruction, transcript
from .base import LEAST, Style, Summarize, Summarizer, Summary
from .extracting import extractive
from .folding import checked, fold, fold_async, opening, unawaited
from .sentences import clipped

__all__ = [
    "LEAST",
    "SYSTEM",
    "Style",
    "Summarize",
    "Summarizer",
    "Summary",
    "checked",
    "clipped",
    "extractive",
    "fold",
    "fold_async",
    "instruction",
    "opening",
    "transcript",
    "unawaited",
]
