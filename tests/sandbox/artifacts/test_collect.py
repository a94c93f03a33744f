"""What goes on into a fresh container: what is declared, from where it is declared, within bounds."""

from __future__ import annotations

import contextlib
import io
import tarfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, cast

import pytest

from taskcal.core.shell.sandbox_paths import parent_folders, plain_path
from taskcal.errors import SandboxLost
from taskcal.sandbox.artifacts import collect
from taskcal.sandbox.artifacts.collect import ArtifactCollector, ArtifactSource, CollectedArtifact
from taskcal.sandbox.engine.docker_types import ContainerState, PathStat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.sandbox.engine.container_files import ContainerFiles

DIRECTORY = PathStat(is_folder=True, leads_to="")


def link(target: str) -> PathStat:
    return PathStat(is_folder=False, leads_to=target)


@dataclass
class FakeContents:
    """Containers as trees: by container and path, an archive; and what is at the folders above."""

    archives: dict[tuple[str, str], bytes] = field(default_factory=dict)
    stats: dict[tuple[str, str], PathStat] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    open: int = 0

    def path_stat(self, container: str, path: str) -> PathStat | None:
        """A folder, unless it is told otherwise."""
        return self.stats.get((container, path), DIRECTORY)

    @contextlib.contextmanager
    def archive(self, container: str, path: str) -> Iterator[IO[bytes] | None]:
        """What there is; asking for another while one is open would wait for ever."""
        if container == "gone":
            raise SandboxLost("gone")
        assert (container, path) not in self.asked
        self.asked.append((container, path))
        self.open += 1
        content = self.archives.get((container, path))
        try:
            yield None if content is None else io.BytesIO(content)
        finally:
            self.open -= 1


def tar(*names: str, size: int = 0, links: Sequence[tuple[str, str]] = ()) -> bytes:
    """An archive of a folder with files, and links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type = tarfile.REGTYPE if "/" in name else tarfile.DIRTYPE
            member.size = size if "/" in name else 0
            archive.addfile(member, io.BytesIO(bytes(size)))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return out.getvalue()


def carried(
    contents: FakeContents, *sources: ArtifactSource, reserved: Sequence[str] = (), folders: Sequence[str] = ()
) -> list[tuple[CollectedArtifact, list[str]]]:
    """Each parcel with the names in it."""
    carrier = ArtifactCollector(cast("ContainerFiles", contents), "fresh", reserved=reserved, folders=folders)
    with carrier.parcels(sources) as parcels:
        found = [(parcel, names(parcel)) for parcel in parcels]
    assert contents.open == 0
    assert all(parcel.archive is None or parcel.archive.closed for parcel, _ in found)
    return found


def names(parcel: CollectedArtifact) -> list[str]:
    if parcel.archive is None:
        return []
    with tarfile.open(fileobj=parcel.archive) as archive:
        return archive.getnames()


def test_what_is_declared_is_carried() -> None:
    """From the agent's container and from a service's, each to the path that it had."""
    contents = FakeContents({("agent", "/app"): tar("app", "app/a"), ("db", "/data"): tar("data", "data/rows")})
    (app, of_app), (data, of_data) = carried(
        contents, ArtifactSource("agent", "/app/"), ArtifactSource("db", "/data", foreign=True)
    )
    assert (app.path, of_app, app.note) == ("/app", ["app", "app/a"], "")
    assert (data.path, of_data, data.note) == ("/data", ["data", "data/rows"], "")
    assert contents.asked == [("agent", "/app"), ("db", "/data")]


def test_what_is_missing_is_noted() -> None:
    """It is the agent's doing, so nothing is raised; what need not be there says nothing."""
    (missing, _), (silent, _) = carried(
        FakeContents(), ArtifactSource("agent", "/out"), ArtifactSource("agent", "/a", silent=True)
    )
    assert (missing.archive, missing.note) == (None, "/out was not there")
    assert (silent.archive, silent.note) == (None, "")


def test_a_container_that_is_gone_is_our_sides_failure() -> None:
    """Not a missing artifact."""
    with pytest.raises(SandboxLost):
        carried(FakeContents(), ArtifactSource("gone", "/app"))


def test_a_detour_is_not_followed() -> None:
    """A folder above it that leads elsewhere than in the image could lead to what only root may read."""
    archives = {("agent", "/work/out/r.txt"): tar("r.txt")}
    for image in (DIRECTORY, link("/work/real")):
        stats = {("agent", "/work/out"): link("/root/answers"), ("fresh", "/work/out"): image}
        ((found, _),) = carried(FakeContents(archives, stats), ArtifactSource("agent", "/work/out/r.txt"))
        assert (found.archive, "replaced by a link" in found.note) == (None, True)


def test_the_images_own_way_is_followed() -> None:
    """/var/run leads to /run in the image as well; in a service's image nobody compares."""
    archives = {("agent", "/var/run/x"): tar("x", "x/a"), ("db", "/var/run/y"): tar("y")}
    stats = {("agent", "/var/run"): link("/run"), ("fresh", "/var/run"): link("/run"), ("db", "/var/run"): link("/z")}
    found = carried(
        FakeContents(archives, stats),
        ArtifactSource("agent", "/var/run/x"),
        ArtifactSource("db", "/var/run/y", foreign=True),
    )
    assert [names_ for _, names_ in found] == [["var/run/x", "var/run/x/a"], ["var/run/y"]]


def test_artifacts_and_graders_files_keep_out_of_each_others_way() -> None:
    """What the agent put where a service's records belong does not mix with them; nor do tests of its own."""
    contents = FakeContents(
        {
            ("agent", "/app"): tar("app", "app/a", "app/db", "app/test.py"),
            ("db", "/app/db"): tar("db", "db/rows"),
        }
    )
    sources = (ArtifactSource("agent", "/app"), ArtifactSource("db", "/app/db", foreign=True))
    (_, of_app), (_, of_db) = carried(contents, *sources, reserved=["/app/test.py"])
    assert of_app == ["app", "app/a"]
    assert of_db == ["app/db", "app/db/rows"]


def test_links_of_the_image_are_asked_for_only_where_a_link_leads_out() -> None:
    """They cost a second look at the same place."""
    inside = tar("app", links=[("app/x", "a")])
    contents = FakeContents({("agent", "/app"): inside})
    carried(contents, ArtifactSource("agent", "/app"))
    assert contents.asked == [("agent", "/app")]
    outward = tar("app", links=[("app/python", "/usr/bin/python3")])
    contents = FakeContents({("agent", "/app"): outward, ("fresh", "/app"): outward})
    assert carried(contents, ArtifactSource("agent", "/app"))[0][1] == ["app", "app/python"]
    contents = FakeContents({("agent", "/app"): outward})
    assert carried(contents, ArtifactSource("agent", "/app"))[0][1] == ["app"]


def test_bounds_are_shared_and_what_exceeds_them_is_left_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an artifact would be another end state than the agent's."""
    monkeypatch.setattr(collect, "MOST_BYTES", 1000)
    contents = FakeContents({("agent", f"/{name}"): tar(name, f"{name}/a", size=600) for name in ("a", "b", "c")})
    contents.archives["agent", "/c"] = tar("c", "c/a", size=300)
    found = carried(contents, *(ArtifactSource("agent", f"/{name}") for name in ("a", "b", "c")))
    assert [names_ for _, names_ in found] == [["a", "a/a"], [], ["c", "c/a"]]
    assert "artifacts hold more than" in found[1][0].note


def test_what_is_left_out_of_an_artifact_is_noted() -> None:
    """With its path, so that an author sees why a check fails."""
    contents = FakeContents({("agent", "/app"): tar("app", links=[("app/x", "/grader/expected")])})
    assert carried(contents, ArtifactSource("agent", "/app"))[0][0].note == (
        "/app: left out: /app/x (a link that leads out of it)"
    )


@pytest.mark.parametrize(
    ("path", "plain", "above"),
    [("/a/b/c", "/a/b/c", ["/a", "/a/b"]), ("/a//b/./c/", "/a/b/c", ["/a", "/a/b"]), ("/a", "/a", [])],
)
def test_paths(path: str, plain: str, above: list[str]) -> None:
    """Written in one way, and the folders on the way."""
    assert plain_path(path) == plain
    assert parent_folders(plain) == above


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"Running": True, "Status": "running"}, (True, False, False, 0)),
        (
            {"Running": False, "Status": "exited", "OOMKilled": True, "ExitCode": 137, "Error": ""},
            (False, True, True, 137),
        ),
        ({"Running": False, "Status": "created", "ExitCode": 0}, (False, False, False, 0)),
        ({"Running": False, "Status": "exited", "ExitCode": 127, "Error": "no such file"}, (False, False, False, 127)),
    ],
)
def test_states(facts: dict[str, object], state: tuple[bool, bool, bool, int]) -> None:
    """A container that never started has not ended by anybody's doing."""
    found = ContainerState.of({"State": facts, "Config": {"WorkingDir": ""}})
    assert (found.running, found.exited, found.out_of_memory, found.exit_code, found.workdir) == (*state, "/")
