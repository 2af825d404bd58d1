"""Items that a thread makes ahead of their use."""

import threading

import pytest

from utils.read_ahead import read_ahead


def test_items_come_in_order_from_another_thread():
    made = [(number, threading.get_ident()) for number in read_ahead(iter(range(50)), 3)]
    assert [number for number, _ in made] == list(range(50))
    assert set(read_ahead((threading.get_ident() for _ in range(3)), 2)) != {threading.get_ident()}


def test_an_error_is_raised_where_its_item_would_be():
    def items():
        yield from (1, 2)
        raise ValueError("third")

    found = []
    with pytest.raises(ValueError, match="third"):
        for item in read_ahead(items(), 4):
            found.append(item)
    assert found == [1, 2]


def test_who_stops_early_does_not_wait_for_the_rest():
    made = []
    items = read_ahead((made.append(number) or number for number in range(1000)), 5)
    assert next(items) == 0
    items.close()
    assert len(made) <= 8
