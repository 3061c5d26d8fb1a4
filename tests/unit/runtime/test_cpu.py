from __future__ import annotations

import pytest

from workbench.runtime import describe_cpu

ICE_LAKE = "model name\t: Xeon\nflags\t\t: fpu avx2 avx512f avx512_vnni\n"
SAPPHIRE = "model name\t: Xeon 4\nflags\t\t: avx512_vnni amx_tile amx_int8\n"
ROME = "model name\t: EPYC\nflags\t\t: fpu sse avx2\n"
GRAVITON = "processor\t: 0\nFeatures\t: fp asimd asimddp\n"


@pytest.mark.parametrize(
    ("text", "machine", "path", "saturates"),
    [
        (ICE_LAKE, "x86_64", "vnni", False),
        (SAPPHIRE, "x86_64", "amx", False),
        (ROME, "x86_64", "none", True),
        (GRAVITON, "aarch64", "arm-dot", False),
        ("", "arm64", "arm-dot", False),
        ("", "AMD64", "unknown", False),
    ],
)
def test_the_int8_path_is_read_from_the_flags(text, machine, path, saturates):
    cpu = describe_cpu(text, machine)
    assert cpu.int8 == path
    assert cpu.saturates is saturates
    assert cpu.words


def test_this_machine_has_a_name():
    cpu = describe_cpu()
    assert cpu.name
    assert cpu.cores >= 1
    assert set(cpu.to_json()) == {"name", "cores", "int8"}
