"""By what is one boot of the machine told from another?"""

from pathlib import Path

from revaer.adapters.environment import read_boot_id


def test_the_kernels_own_id_is_used(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("8fa1-77\n")
    assert read_boot_id(tmp_path / "boot_id", tmp_path / "stat") == "8fa1-77"


def test_without_it_the_moment_of_booting_is_used(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu 1 2 3\nbtime 1700000000\nprocesses 4\n")
    assert read_boot_id(tmp_path / "boot_id", tmp_path / "stat") == "btime-1700000000"


def test_an_unknown_boot_is_never_taken_for_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("")
    (tmp_path / "stat").write_text("btime\n")
    first = read_boot_id(tmp_path / "boot_id", tmp_path / "stat")
    assert first != read_boot_id(tmp_path / "boot_id", tmp_path / "stat")


def test_this_machine_names_the_same_boot_twice() -> None:
    assert read_boot_id() == read_boot_id()
