"""Faults are provoked on real containers: a run of its own for each test, and nothing left."""

from __future__ import annotations

from tests.docker.conftest import scope, write

__all__ = ["scope", "write"]
