"""A stranger's archive: whatever is in it, what comes out stays in its place and holds nothing but files."""

from __future__ import annotations

import io
import posixpath
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.errors import EngineLost
from taskcal.sandbox.artifacts import safe_tar
from taskcal.sandbox.artifacts.safe_tar import HEADER_ROOM, ArchiveLimits, ArtifactPlace, Rewritten, TooMuch, rewrite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

APP = ArtifactPlace("/srv/app")
ENOUGH = ArchiveLimits(10**6, 1000)

FOLDER, FILE, LINK, HARD, PIPE, CHARACTER = (
    tarfile.DIRTYPE,
    tarfile.REGTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
)


def member(name: str, kind: bytes = FILE, content: bytes = b"", link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, link, mode
    made.size = len(content)
    made.pax_headers = {"comment": content.decode("latin-1")} if content else {}
    return made


def folder(name: str) -> tarfile.TarInfo:
    return member(name, FOLDER, mode=0o755)


def packed(members: Sequence[tarfile.TarInfo]) -> bytes:
    """An archive; a file's content is its comment."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for one in members:
            archive.addfile(one, io.BytesIO(one.pax_headers.get("comment", "").encode("latin-1")))
    return out.getvalue()


def rewritten(
    archive: bytes, place: ArtifactPlace = APP, bounds: ArchiveLimits = ENOUGH, own: Mapping[str, str] | None = None
) -> tuple[dict[str, tarfile.TarInfo], Rewritten, bytes]:
    out = io.BytesIO()
    done = rewrite(io.BytesIO(archive), place, bounds, lambda: own or {}, out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as found:
        return {one.name: one for one in found}, done, out.getvalue()


def kept(*members: tarfile.TarInfo, place: ArtifactPlace = APP, own: Mapping[str, str] | None = None) -> list[str]:
    return list(rewritten(packed(members), place, own=own)[0])


def test_a_plain_tree_arrives_below_its_own_path() -> None:
    """Files with content, mode, owner and time; folders with their modes; nobody by name."""
    run = member("app/run", content=b"echo hi", mode=0o755)
    run.uid, run.gid, run.uname, run.mtime = 1000, 2000, "agent", 1_700_000_000
    found, done, archive = rewritten(packed([folder("app/"), folder("app/sub/"), run, member("app/sub/deep")]))
    assert list(found) == ["srv/app", "srv/app/sub", "srv/app/run", "srv/app/sub/deep"]
    one = found["srv/app/run"]
    assert (one.mode, one.uid, one.gid, one.uname, one.mtime) == (0o755, 1000, 2000, "", 1_700_000_000)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        content = opened.extractfile("srv/app/run")
        assert content is not None
        assert content.read() == b"echo hi"
    assert (done.note, done.entries, done.size) == ("", 4, 7)


def test_a_single_file_is_an_artifact_too() -> None:
    """The archive of a file is that file."""
    assert kept(member("out.json"), place=ArtifactPlace("/srv/out.json")) == ["srv/out.json"]


@pytest.mark.parametrize(
    "name",
    [
        "app/../../etc/passwd",
        "app/sub/../../../etc/passwd",
        "app/./x",
        "app//x",
        "app/missing/x",
        "app/sub/..",
        "app/..",
    ],
)
def test_no_name_leads_out_or_around(name: str) -> None:
    """`..` and empty parts name nothing, and a file needs its folder."""
    found, done, _ = rewritten(packed([folder("app"), folder("app/sub"), member(name)]))
    assert list(found) == ["srv/app", "srv/app/sub"]
    assert "not in a folder of it" in done.note


def test_the_first_part_of_a_name_is_never_believed() -> None:
    """The engine puts the artifact's own name there: whatever it is, the member belongs below the artifact."""
    assert kept(folder("etc"), member("etc/passwd")) == ["srv/app", "srv/app/passwd"]
    assert kept(folder("/"), member("/x")) == ["srv/app", "srv/app/x"]


@pytest.mark.parametrize("kind", [PIPE, CHARACTER, tarfile.BLKTYPE, b"Z"])
def test_special_files_are_left_out(kind: bytes) -> None:
    """A pipe would hold up its reader for ever; a device is no file."""
    found, done, _ = rewritten(packed([folder("app"), member("app/x", kind)]))
    assert list(found) == ["srv/app"]
    assert "/srv/app/x (no file, folder or link)" in done.note


def test_rights_beyond_reading_and_writing_are_taken_away() -> None:
    """Setuid and setgid of files, and capabilities; a folder's group and sticky bits are its meaning."""
    program = member("app/root", mode=0o6755)
    program.pax_headers = {"SCHILY.xattr.security.capability": "all"}
    shared = member("app/shared", FOLDER, mode=0o3775)
    found, _, archive = rewritten(packed([folder("app"), program, shared]))
    assert (found["srv/app/root"].mode, found["srv/app/shared"].mode) == (0o755, 0o3775)
    assert b"capability" not in archive


def test_hard_links_stay_inside() -> None:
    """To a file that was kept, under its new name; any other could name a file of the grading container."""
    members = [folder("app"), member("app/a", content=b"x"), member("app/b", HARD, link="app/a")]
    found, _, _ = rewritten(packed(members))
    assert found["srv/app/b"].linkname == "srv/app/a"
    for outside in ("etc/shadow", "/etc/shadow", "app/../../etc/shadow", "app/none", "app"):
        assert kept(folder("app"), member("app/b", HARD, link=outside)) == ["srv/app"]


@pytest.mark.parametrize("target", ["a", "./a", "sub/a", "/srv/app/a", "/srv/app", "gone", "../app/a", "sub/", "."])
def test_links_that_stay_inside_are_kept(target: str) -> None:
    """As they are written, whether or not there is something."""
    found, _, _ = rewritten(packed([folder("app"), member("app/x", LINK, link=target)]))
    assert found["srv/app/x"].linkname == target


@pytest.mark.parametrize(
    "target",
    [
        "/grader/expected",
        "../x",
        "../application/x",
        "sub/../../../x",
        "/srv/app/../x",
        "/etc",
        "/",
        "..",
        "/srv/apple",
        "a/..",
    ],
)
def test_links_that_may_lead_out_are_left_out(target: str) -> None:
    """By what is written there alone: what it would lead to is never looked at."""
    found, done, _ = rewritten(packed([folder("app"), member("app/x", LINK, link=target)]))
    assert list(found) == ["srv/app"]
    assert "a link that leads out" in done.note


def test_links_of_the_image_stay() -> None:
    """A virtual environment's python is the image's own link; the same name with another target is not."""
    venv, own = member("app/python", LINK, link="/usr/bin/python3"), {"/srv/app/python": "/usr/bin/python3"}
    assert kept(folder("app"), venv, own=own) == ["srv/app", "srv/app/python"]
    assert kept(folder("app"), venv, own={"/srv/app/python": "/usr/bin/perl"}) == ["srv/app"]


@pytest.mark.parametrize("target", ["data/secret", "data", "/srv/app/data/secret"])
def test_no_link_leads_through_one_of_the_image(target: str) -> None:
    """An inside link to a link of the image that leads out would lead out as well."""
    own = {"/srv/app/data": "/mnt/data"}
    members = [folder("app"), member("app/data", LINK, link="/mnt/data"), member("app/x", LINK, link=target)]
    assert kept(*members, own=own) == ["srv/app", "srv/app/data"]


def test_links_come_last_and_nothing_goes_through_them() -> None:
    """A name that is a link first and a folder later cannot divert what is unpacked into it."""
    through = [folder("app"), member("app/x", LINK, link="sub"), member("app/x/file"), folder("app/sub")]
    assert kept(*through) == ["srv/app", "srv/app/sub", "srv/app/x"]


def test_what_others_bring_is_left_to_them() -> None:
    """Nothing goes where another artifact or a grader's file belongs, and nothing but a folder goes above it."""
    place = ArtifactPlace("/srv/app", reserved=("/srv/app/tests", "/srv/app/sub/expected"), folders=("/srv/app/work",))
    members = [folder("app"), folder("app/tests"), member("app/tests/own"), member("app/testsuite"), folder("app/sub")]
    assert kept(*members, member("app/sub/expected"), place=place) == ["srv/app", "srv/app/testsuite", "srv/app/sub"]
    assert kept(folder("app"), member("app/sub", LINK, link="x"), place=place) == ["srv/app"]
    assert kept(folder("app"), member("app/work", LINK, link="x"), place=place) == ["srv/app"]
    assert kept(member("app"), place=place) == []


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "caf\u00e9", "a" * 300, "tail ", "-rf", "a\udcffb", "\\..\\x"])
def test_odd_names_arrive_as_they_are(name: str) -> None:
    """Newlines, control characters, other scripts, bytes that are no text, names past a header's 100 bytes."""
    assert kept(folder("app"), member(f"app/{name}")) == ["srv/app", f"srv/app/{name}"]


def test_notes_are_one_printable_line() -> None:
    """A name is a stranger's text, and so is the number of them."""
    members = [folder("app"), *(member(f"app/\x1b]0;{n}\n\udcff", PIPE) for n in range(5))]
    note = rewritten(packed(members))[1].note
    assert note.isprintable()
    assert note.isascii()
    assert note.endswith(" and 2 more")


def test_bounds_hold_before_anything_is_read() -> None:
    """A sparse file of 8 GiB is told by its header: its content is never asked for."""
    huge = member("app/sparse")
    huge.size = 8 * 1024**3
    stream = io.BytesIO(folder("app").tobuf() + huge.tobuf())
    with pytest.raises(TooMuch):
        rewrite(stream, APP, ENOUGH, dict, io.BytesIO())
    assert stream.tell() <= 10240


def test_count_is_bounded() -> None:
    """A hundred thousand empty files are as bad as a large one."""
    members = [folder("app"), *(member(f"app/{n}") for n in range(10))]
    with pytest.raises(TooMuch):
        rewritten(packed(members), bounds=ArchiveLimits(10**6, 10))
    assert rewritten(packed(members), bounds=ArchiveLimits(10**6, 11))[1].entries == 11


def test_a_header_is_bounded_too() -> None:
    """A name of two megabytes is read no further than any name could be long."""
    with pytest.raises(TooMuch):
        rewritten(packed([folder("app"), member("app/" + "x" * 2 * HEADER_ROOM)]))


@pytest.mark.parametrize("left", [0, 100, 512, 1024, 1500, 2048, 2560, 3000])
def test_an_archive_that_breaks_off_is_our_sides_failure(left: int) -> None:
    """Also between two members, where it would otherwise pass for one that lacks files."""
    whole = packed([folder("app"), member("app/a", content=b"x" * 600), member("app/b")])
    with pytest.raises(EngineLost, match="/srv/app"):
        rewrite(io.BytesIO(whole[:left]), APP, ENOUGH, dict, io.BytesIO())


def test_no_archive_at_all_is_our_sides_failure() -> None:
    """Neither a page of words nor zeros are what was asked for."""
    with pytest.raises(EngineLost):
        rewrite(io.BytesIO(b"<html>" * 500), APP, ENOUGH, dict, io.BytesIO())


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "c\n", "app"]), max_size=4).map("/".join)
TARGETS = st.one_of(NAMES, NAMES.map("/".__add__), NAMES.map("/srv/app/".__add__))
KINDS = st.sampled_from([FOLDER, FILE, LINK, HARD, PIPE, CHARACTER])
MEMBERS = st.builds(
    lambda name, kind, link, mode: member(f"app/{name}" if name else "app", kind, link=link or "x", mode=mode),
    NAMES, KINDS, TARGETS, st.integers(0, 0o7777),
)  # fmt: skip


@given(st.lists(MEMBERS, max_size=12))
def test_whatever_is_in_it(members: list[tarfile.TarInfo]) -> None:
    """Every member of the result is in the artifact, in a folder that came before it, and harmless."""
    found, _, archive = rewritten(packed([folder("app"), *members]))
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        listing = list(opened)
    folders: set[str] = set()
    for one in listing:
        assert one.name == "srv/app" or one.name.startswith("srv/app/")
        assert posixpath.normpath(one.name) == one.name
        assert one.name == "srv/app" or posixpath.dirname(one.name) in folders
        assert one.isdir() or one.isreg() or one.issym() or found[one.linkname].isreg()
        assert one.isdir() or not one.mode & 0o6000
        folders |= {one.name} if one.isdir() else set()
    links = [one.issym() for one in listing]
    assert links == sorted(links)


def test_what_is_spared_stays_behind_and_costs_nothing() -> None:
    """The image's own stays there, so the agent's is not carried, not noted, and not within the artifact's bounds."""
    place = ArtifactPlace("/srv/app", spared=("/srv/app/.venv", "/srv/app/a/keep"))
    members = (
        folder("app"),
        folder("app/.venv"),
        member("app/.venv/python", content=b"x" * 900),
        member("app/.venv/link", LINK, link="/etc/shadow"),
        member("app/.venvx"),
        member("app/a", LINK, link="/etc"),
        member("app/b", HARD, link="app/.venv/python"),
    )
    found, done, _ = rewritten(packed(members), place, ArchiveLimits(100, 10))
    assert list(found) == ["srv/app", "srv/app/.venvx"]
    assert ".venv/" not in done.note.replace("/srv/app/b", "")
    assert "/srv/app/a (where a folder has to be)" in done.note
    assert (done.size, done.entries) == (0, 4)


def test_what_is_spared_has_bounds_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent could fill it to keep a grading busy."""
    monkeypatch.setattr(safe_tar, "PASSED", ArchiveLimits(800, 10))
    place = ArtifactPlace("/srv/app", spared=("/srv/app/.venv",))
    with pytest.raises(TooMuch):
        rewritten(packed([folder("app"), folder("app/.venv"), member("app/.venv/x", content=b"x" * 900)]), place)
