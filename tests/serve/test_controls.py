from __future__ import annotations

from itertools import pairwise

import pytest

from squeezesim.errors import SqueezesimError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.serve.controls import controls_of, depths_of, most_blocks, network_controls
from squeezesim.zoo.registry import catalogue, parse_spec


@pytest.mark.parametrize(
    "name", ["squeezelerator_8x8", "ethos_u55_64", "vta_pynq", "edge_tpu", "gemmini_16x16"]
)
def test_a_slider_goes_over_what_the_accelerator_may_have(name: str) -> None:
    accelerator = Accelerator.named(name)
    found = controls_of(accelerator)
    assert len({control.path for control in found}) == len(found)
    for control in found:
        assert control.value in control.values, control.path
        assert all(one < other for one, other in pairwise(control.values)), control.path
        for value in (control.values[0], control.values[-1]):
            accelerator.replace({control.path: value})


def test_the_ends_are_those_of_the_file() -> None:
    wide = Accelerator.named("squeezelerator_16x16").replace({"array.rows": 4096})
    rows = next(control for control in controls_of(wide) if control.path == "array.rows")
    assert rows.values[-1] == 4096
    with pytest.raises(SqueezesimError):
        wide.replace({"array.rows": 4097})


def test_what_a_machine_has_not_has_no_control() -> None:
    paths = [control.path for control in controls_of(Accelerator.named("ethos_u55_64"))]
    assert "array.rows" not in paths
    assert "memory.global_buffer.size_kib" not in paths
    assert "array.units.depthwise.unroll.g" in paths
    assert "memory.global_buffer.parts.shram.size_kib" in paths
    assert "memory.stores.flash.bandwidth_gb_s" in paths


def test_networks_have_width_resolution_and_the_blocks_of_each_stage() -> None:
    found = {control.path: control for control in network_controls(parse_spec("squeezenext_23"))}
    assert list(found) == ["width", "resolution", "depth.1", "depth.2", "depth.3", "depth.4"]
    assert found["resolution"].value == 227
    assert [found[f"depth.{stage}"].value for stage in (1, 2, 3, 4)] == [6, 6, 8, 1]
    assert found["depth.3"].values[-1] == most_blocks(parse_spec("squeezenext_23"))[2] == 16


def test_every_built_in_network_has_controls_at_its_own_values() -> None:
    for name in catalogue():
        spec = parse_spec(name)
        found = network_controls(spec)
        assert [control.path for control in found].count("resolution") == 1
        assert all(control.value in control.values for control in found), name
        assert len([control for control in found if control.path.startswith("depth.")]) == len(
            depths_of(spec)
        )
