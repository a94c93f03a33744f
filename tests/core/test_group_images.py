"""The images of a group in a run's record: what ran, in its order, read as strictly as the rest."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from taskcal.store.run_rows import group_row, read_groups, read_run, run_row
from taskcal.store.typed_json import RowError
from tests.core.core_case import IMAGES, record
from tests.store.store_case import RECORD

RUN = replace(RECORD, images={"a/b": "sha256:1"}, groups={"a/b": IMAGES})


def through_json(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(row))
    return found


def test_a_run_of_an_older_version_has_no_groups() -> None:
    """Its record is read as it is, and its groups have no parts."""
    row = through_json(run_row(RUN))
    del row["groups"]
    assert read_run(json.dumps(row).encode()) == replace(RUN, groups={})
    group = through_json(group_row(replace(record(), parts={"prompt": "1"})))
    del group["parts"]
    assert read_groups(json.dumps({"groups": [group]}).encode())[0].parts == {}


def test_images_keep_the_order_of_their_use() -> None:
    """An id that is known is not named twice, and a first one stays first."""
    images = IMAGES.with_ids({"": "sha256:1", "db": "sha256:7", "new": "sha256:5"})
    assert images.ids == {"": ("sha256:1", "sha256:3"), "db": ("sha256:2", "sha256:7"), "new": ("sha256:5",)}


@pytest.mark.parametrize("images", [{}, {"a": "1", "b": "2"}, {"a": 1}])
def test_an_origin_of_a_damaged_record_is_refused(images: dict[str, object]) -> None:
    """A named image has one name, and ids are texts."""
    row = through_json(run_row(RUN))
    row["groups"]["a/b"]["origins"]["db"]["images"] = images
    with pytest.raises(RowError):
        read_run(json.dumps(row).encode())
