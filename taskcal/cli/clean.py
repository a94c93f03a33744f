"""`taskcal clean`: remove what dead runs left on the engine, and nothing of a run that is alive."""

from __future__ import annotations

from typing import Annotated

import typer


def clean(
    kept: Annotated[bool, typer.Option("--kept", help="Also the containers that `run --keep-failed` left.")] = False,
    images: Annotated[bool, typer.Option("--images", help="Also all baked images; they are made again.")] = False,
) -> None:
    """Remove containers and networks of dead runs of this machine."""
    from taskcal.sandbox.docker import DockerEngine
    from taskcal.sandbox.labels import BAKE
    from taskcal.sandbox.sweep import leftovers, sweep

    engine = DockerEngine.connect()
    found = leftovers(engine, kept=kept)
    sweep(engine, found)
    typer.echo(f"removed {found}" if found else "nothing was left behind")
    if images:
        baked = engine.images_labelled(BAKE)
        for image in baked:
            engine.remove_image(image.id)
        typer.echo(f"removed {len(baked)} baked images")
