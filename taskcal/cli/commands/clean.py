"""`taskcal clean`: remove what dead runs left on the engine, and nothing of a run that is alive."""

from __future__ import annotations

import contextlib
import time
from typing import Annotated

import typer


def clean(
    kept: Annotated[bool, typer.Option("--kept", help="Also the containers that `run --keep-failed` left.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            help="Also what runs elsewhere, or before this machine started anew, left so long ago, such as 48h.",
            metavar="TIME",
        ),
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", help="Also the baked images that no run uses; they are made again.")
    ] = False,
    images_over: Annotated[
        str | None,
        typer.Option(
            "--images-over",
            help="As --images, those used longest ago first, until what is left takes at most so much, such as 20g.",
            metavar="SIZE",
        ),
    ] = None,
) -> None:
    """Remove containers and networks of dead runs of this machine, and the layers of unfinished builds."""
    from taskcal.cli.options.connect import reach_engine
    from taskcal.cli.options.parse import read_amount, read_duration
    from taskcal.core.plan import size_text
    from taskcal.sandbox.engine.sweep import leftovers, sweep, sweep_images, sweep_layers

    most = None if images_over is None else read_amount("--images-over", images_over)
    before = None if older_than is None else time.time() - read_duration("--older-than", older_than)
    engine = reach_engine()
    found = leftovers(engine, kept=kept, before=before)
    sweep(engine, found)
    layers = sweep_layers(engine, before)
    also = f"{layers} layer{'s' * (layers != 1)} of unfinished builds" if layers else ""
    told = " and ".join(filter(None, (str(found) if found else "", also)))
    typer.echo(f"removed {told}" if told else "nothing was left behind")
    if images or most is not None:
        swept = sweep_images(engine, _images_in_use(), None if images else most)
        left = f"; {len(swept.left)} of {size_text(swept.bytes_left)} left" if swept.left else ""
        typer.echo(f"removed {_count(swept.removed)}{left}")


def _images_in_use() -> frozenset[str]:
    """What the records of the runs name that are going on here; what a run elsewhere misses, it makes again."""
    from taskcal.errors import RunFolderError
    from taskcal.store.run_folder import RunFolder, being_written

    ids: set[str] = set()
    for path in being_written():
        with contextlib.suppress(RunFolderError):
            record = RunFolder.open(path).record()
            ids.update(record.images.values())
            ids.update(id_ for images in record.groups.values() for used in images.ids.values() for id_ in used)
    return frozenset(ids)


def _count(number: int) -> str:
    return f"{number} baked image{'s' * (number != 1)}"
