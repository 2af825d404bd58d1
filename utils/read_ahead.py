"""Items that a thread makes ahead of their use."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield the items in their order while a thread makes up to ``depth`` further ones.

    An error in making one is raised where the item would have been given out.
    """
    source = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as reader:
        try:
            waiting = deque(reader.submit(next, source, end) for _ in range(depth))
            while (item := waiting.popleft().result()) is not end:
                waiting.append(reader.submit(next, source, end))
                yield item  # type: ignore[misc]
        finally:
            reader.shutdown(wait=False, cancel_futures=True)
