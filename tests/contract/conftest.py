"""Fixtures of the contract tests."""

from __future__ import annotations

import pytest

from tests.contract.forkserver import ForkServer


@pytest.fixture(scope="session")
def fork_server():
    """Return a server that runs the recipe's Python programs at a tenth of the cost of a process."""
    server = ForkServer()
    yield server
    server.close()
