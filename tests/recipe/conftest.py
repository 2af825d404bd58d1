"""Runs of the whole recipe start hundreds of programs; here they are forks."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def forks(forked_programs):
    """Use them in every test of this folder."""
