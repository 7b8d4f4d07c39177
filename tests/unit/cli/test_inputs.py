"""What does `revaer download` accept, and what does it say of everything else?"""

import os
import socket
from pathlib import Path

import pytest

from revaer.adapters.sources import MAX_TORRENT_FILE_BYTES, read_source
from revaer.cli.inputs import (
    MAX_SOURCES,
    read_interface,
    read_limit,
    read_listen,
    read_peers,
    read_sources,
    resolve_output,
    split_endpoint,
)
from revaer.domain.errors import InvalidInputError
from revaer.domain.torrent import MagnetSource, MetainfoSource


def test_a_magnet_link_is_kept_as_it_was_written() -> None:
    link = "MAGNET:?xt=urn:btih:" + "a" * 40
    assert read_source(link).source == MagnetSource(link)


def test_a_torrent_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.torrent"
    path.write_bytes(b"d4:infode")
    read = read_source(str(path))
    assert read.source == MetainfoSource(b"d4:infode")
    assert read.label == str(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a source is empty"),
        ("{dir}/nothere.torrent", "no such file"),
        ("{dir}/plain/below.torrent", "no such file"),
        ("{dir}", "is a directory; name the .torrent file itself"),
        ("{dir}/empty", "is empty"),
        ("{dir}/pipe", "not a regular file"),
        ("{dir}/huge", "larger than 64.0 MiB"),
        ("https://example.org/a.torrent", "web address; download the torrent file first"),
        ("a\0b", "not a path"),
    ],
    ids=["nothing", "missing", "below-file", "directory", "empty", "pipe", "huge", "web", "nul"],
)
def test_a_source_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "plain").write_bytes(b"x")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(MAX_TORRENT_FILE_BYTES + 1)
    with pytest.raises(InvalidInputError, match=told):
        read_source(text.format(dir=tmp_path))


def test_more_sources_than_one_run_takes_are_refused_before_one_is_read() -> None:
    with pytest.raises(InvalidInputError, match="1001 sources are more than 1000"):
        read_sources(["nothere"] * (MAX_SOURCES + 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7:6881", ("192.0.2.7", 6881)),
        ("[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("seed.example:65535", ("seed.example", 65535)),
    ],
)
def test_an_endpoint_is_split_at_its_last_colon(text: str, expected: tuple[str, int]) -> None:
    assert split_endpoint("--peer", text, lowest_port=1) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("localhost", "is not HOST:PORT"),
        (":6881", "is not HOST:PORT"),
        ("[]:1", "is not HOST:PORT"),
        ("http://a:1", "is not HOST:PORT"),
        ("a b:1", "is not HOST:PORT"),
        ("2001:db8::1:6881", "in brackets"),
        ("a:", "is not a port"),
        ("a:0", "give 1 to 65535"),
        ("a:65536", "give 1 to 65535"),
        ("a:99999999999999999999", "give 1 to 65535"),
        ("a:-1", "is not a port"),
        ("a:1.0", "is not a port"),
        ("a:²", "is not a port"),
    ],
)
def test_an_endpoint_of_another_form_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told) as caught:
        split_endpoint("--peer", text, lowest_port=1)
    assert str(caught.value).startswith("--peer: ")


def test_peer_names_become_addresses_and_each_address_comes_once() -> None:
    peers = read_peers(["127.0.0.1:7", "localhost:7", "127.0.0.1:7", "[::1]:8"])
    assert ("127.0.0.1", 7) in peers
    assert ("::1", 8) in peers
    assert len(peers) == len(set(peers))
    assert all(host != "localhost" for host, _ in peers)


def test_a_peer_name_without_an_address_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"--peer: the host no-such-host\.invalid has no"):
        read_peers(["no-such-host.invalid:1"])


def test_a_listening_address_comes_in_the_form_of_the_engine() -> None:
    assert read_listen(None) == ""
    assert read_listen("127.0.0.1:0") == "127.0.0.1:0"
    assert read_listen("lo:0") == "lo:0"


def test_a_listening_port_in_use_is_refused_before_the_engine_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInputError, match="the port is in use; choose another"):
            read_listen(f"127.0.0.1:{port}")
    assert read_listen(f"127.0.0.1:{port}") == f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("127.0.0.1:99999", "is not a port"),
        ("192.0.2.1:0", "does not have that address"),
        ("nodevice0.invalid:1", "has no address"),
    ],
)
def test_a_listening_place_that_is_not_here_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        read_listen(text)


def test_an_interface_is_a_device_or_an_address_of_this_machine() -> None:
    assert read_interface(None) == ""
    assert read_interface("lo") == "lo"
    assert read_interface("127.0.0.1") == "127.0.0.1"
    with pytest.raises(InvalidInputError, match=r"no network device tun77; there are .*lo"):
        read_interface("tun77")
    with pytest.raises(InvalidInputError, match="does not have that address"):
        read_interface("192.0.2.1")


def test_a_limit_is_bytes_per_second_and_its_option_is_named_when_wrong() -> None:
    assert read_limit("--limit-down", None) == 0
    assert read_limit("--limit-down", "2MB/s") == 2_000_000
    assert read_limit("--limit-up", "500 KiB") == 512_000
    assert read_limit("--limit-up", "0") == 0
    with pytest.raises(InvalidInputError, match=r"^--limit-up: 'fast' is not a rate\."):
        read_limit("--limit-up", "fast")


def test_the_output_directory_becomes_absolute() -> None:
    assert resolve_output("a/b") == f"{Path.cwd()}/a/b"
    assert resolve_output("/srv/x") == "/srv/x"


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "~", "~/x"])
def test_an_output_that_is_no_directory_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--output"):
        resolve_output(text)
