"""What a call's steps ask for is done: a function called, a time waited. It decides nothing."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from .calls import Result

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Try:
    """Is answered by what the function returns, or with what it raises."""

    function: Callable[..., Any]
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


Steps: TypeAlias = Generator[Try | Pause, Any, Result]


def drive(steps: Steps) -> Result:
    """Blocking. What is async runs in a loop of its own."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = _do(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as end:
        result: Result = end.value
        return result


async def drive_async(steps: Steps) -> Result:
    """Awaitable. What is not async runs in a thread."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = await _do_async(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as end:
        result: Result = end.value
        return result


def _do(step: Try | Pause) -> Any:
    if isinstance(step, Pause):
        return time.sleep(step.seconds)
    value = _called(step)
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _do_async(step: Try | Pause) -> Any:
    if isinstance(step, Pause):
        return await asyncio.sleep(step.seconds)
    if inspect.iscoroutinefunction(step.function):
        return await step.function(**step.arguments)
    value = await asyncio.to_thread(_called, step)
    return await value if inspect.isawaitable(value) else value


def _called(step: Try) -> Any:
    try:
        return step.function(**step.arguments)
    except StopIteration as error:  # a future can't hold it: before Python 3.12 who awaits it would wait for ever
        raise RuntimeError(f"the function raised StopIteration: {error}") from error


async def _awaited(value: Awaitable[T]) -> T:
    return await value


async def done(future: Future[T]) -> T:
    """Wait for what runs on a store's pool. It goes on where we are cancelled."""
    return await asyncio.shield(asyncio.wrap_future(future))
