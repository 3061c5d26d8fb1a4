"""Energy comes from a counter or not at all."""

from __future__ import annotations

import pytest

from workbench.core.energy import NO_COUNTER, metered


@pytest.fixture
def zones(tmp_path):
    def zone(name, kind, used, most=1_000_000):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "name").write_text(f"{kind}\n")
        (folder / "energy_uj").write_text(f"{used}\n")
        (folder / "max_energy_range_uj").write_text(f"{most}\n")

    zone("intel-rapl:0", "package-0", 300_000)
    zone("intel-rapl:1", "package-1", 900_000)
    zone("intel-rapl:0:0", "core", 5)  # a part of package-0, not to be counted again
    return zone


def test_joules_are_those_of_all_packages_also_when_a_counter_starts_again(zones, tmp_path):
    with metered(tmp_path) as spent:
        zones("intel-rapl:0", "package-0", 550_000)
        zones("intel-rapl:1", "package-1", 150_000)
    assert spent.energy_j == pytest.approx(0.25 + 0.25)
    assert "RAPL" in spent.method


def test_without_a_counter_there_is_processor_time_and_no_joule(tmp_path):
    with metered(tmp_path / "none") as spent:
        sum(i * i for i in range(200_000))
    assert spent.energy_j is None
    assert spent.method == NO_COUNTER
    assert spent.cpu_seconds > 0


def test_a_counter_that_cannot_be_read_is_none(zones, tmp_path):
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    with metered(tmp_path) as spent:
        pass
    assert spent.energy_j is None
