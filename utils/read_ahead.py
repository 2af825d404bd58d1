"""Items that a thread makes ahead of their use."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield the items in their order while a thread makes up to ``depth`` further ones, from the call on.

    An error in making one is raised where the item would have been given out.
    """
    source, end = iter(items), object()
    reader = ThreadPoolExecutor(1)
    waiting = deque(reader.submit(next, source, end) for _ in range(depth))

    def given_out() -> Iterator[Item]:
        with reader:
            try:
                while (item := waiting.popleft().result()) is not end:
                    waiting.append(reader.submit(next, source, end))
                    yield item  # type: ignore[misc]
            finally:
                reader.shutdown(wait=False, cancel_futures=True)

    return given_out()
