from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim import Accelerator, simulate
from squeezesim.errors import ModelError
from squeezesim.frontends.scalesim import MAX_BYTES, read
from squeezesim.network import Layer

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
GEMM = "Layer, M, N, K,"


def topology(folder: Path, text: str) -> Path:
    file = folder / "net.csv"
    file.write_text(text, encoding="utf-8")
    return file


def layers(folder: Path, text: str) -> tuple[Layer, ...]:
    return read(topology(folder, text)).layers


def test_convolutions(tmp_path: Path) -> None:
    network = read(
        topology(
            tmp_path, f"{CONV}\nConv1, 227, 227, 11, 11, 3, 96, 4,\n\nConv2, 31, 31, 5, 5, 48, 128, 1,\n"
        )
    )
    first, second = network.layers
    assert (network.name, network.source) == ("net", "SCALE-Sim topology")
    assert (first.k, first.c, first.oy, first.ox, first.fy, first.stride) == (96, 3, 55, 55, 11, (4, 4))
    assert (first.iy, first.ix, first.padding, first.macs) == (227, 227, (0, 0), 105_415_200)
    assert (second.macs, second.inputs) == (27 * 27 * 25 * 48 * 128, ("Conv1",))
    assert network.params == 96 * 3 * 121 + 128 * 48 * 25


def test_matrix_products(tmp_path: Path) -> None:
    (layer,) = layers(tmp_path, f"{GEMM}\nqkv, 128, 1536, 512,\n")
    expected = Layer.matmul("qkv", m=128, n=1536, k=512, inputs=["input"])
    assert replace(layer, stage="") == expected


@pytest.mark.parametrize(
    ("size", "taps", "stride", "outputs"),
    [
        (8, 3, 1, 6),
        (9, 3, 4, 3),  # ⌈2.5⌉: the last window reaches beyond the input
        (8, 3, 4, 3),
        (7, 3, 4, 2),
        (5, 5, 3, 1),
    ],
)
def test_outputs_are_rounded_up(tmp_path: Path, size: int, taps: int, stride: int, outputs: int) -> None:
    (layer,) = layers(tmp_path, f"{CONV}\na,{size},{size + stride},{taps},{taps},2,5,{stride},\n")
    assert (layer.oy, layer.ox) == (outputs, outputs + 1)


SPELLINGS = [
    f"{CONV}\na, 9, 8, 3, 2, 4, 5, 2,\n",
    f"{CONV[:-1]}\na, 9, 8, 3, 2, 4, 5, 2\n",  # no comma at the end
    f"{CONV}\r\na,9,8,3,2,4,5,2\r\n\r\n,,,\r\n",
    f"\ufeff{CONV.upper()}\na,9,8,3,2,4,5,2,",
    "name,num_filter,channels,strides,filter_width,filter_height,ifmap_width,ifmap_height\na,5,4,2,2,3,8,9\n",
    "Layer name,IFMAP height,IFMAP width,Filter height,Filter width,Channels,Num filter,Stride height,Stride width,\n"
    "a,9,8,3,2,4,5,2,2,\n",
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides, Sparsity\n"
    "a,9,8,3,2,4,5,2,1:1\n",
    f"{CONV},,\n\ta, 9, 8, 3, 2, 4, 5, 2,#strided\n",  # remarks, as in topologies that SCALE-Sim ships
    f"{CONV}\na,9,8,3,2,4,5,2,,,,# strided, and, more\n",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_names_say_what_a_column_holds_and_commas_at_the_end_say_nothing(tmp_path: Path, text: str) -> None:
    assert layers(tmp_path, text) == layers(tmp_path, SPELLINGS[0])


def test_two_strides(tmp_path: Path) -> None:
    header = CONV.replace("Strides", "Stride Height, Stride Width")
    (layer,) = layers(tmp_path, f"{header}\na,9,9,3,3,4,5,2,3,\n")
    assert (layer.stride, layer.oy, layer.ox) == ((2, 3), 4, 3)


def test_dp_is_depthwise(tmp_path: Path) -> None:
    (layer,) = layers(tmp_path, f"{CONV}\nconv2 DP, 10, 10, 3, 3, 32, 2, 1,\n")
    assert (layer.g, layer.c, layer.k, layer.macs) == (32, 1, 2, 64 * 64 * 9)


def test_a_filter_as_wide_as_its_input_is_a_matrix_product(tmp_path: Path) -> None:
    rows = "fc,1024,13,1,13,1,512,1,\ndeep,9,4,1,4,3,5,2,\nheads DP,64,32,1,32,12,16,1,\n"
    found = layers(tmp_path, f"{CONV}\n{rows}")
    assert [layer.op for layer in found] == ["matmul"] * 3
    assert [(layer.g, layer.oy, layer.k, layer.c) for layer in found] == [
        (1, 1024, 512, 13),
        (1, 5, 5, 12),  # every second row, of 4 · 3 inputs
        (12, 64, 16, 32),
    ]


def test_many_rows_of_one_name_are_read_in_time_that_grows_with_their_number(tmp_path: Path) -> None:
    found = layers(tmp_path, GEMM + "\na,1,2,3" * 20_000)
    assert (found[0].name, found[-1].name) == ("a", "a#20000")


def test_names_that_repeat_are_numbered(tmp_path: Path) -> None:
    found = layers(tmp_path, f"{GEMM}\na,1,2,3\na,1,2,3\na#2,1,2,3\ninput,1,2,3\na,1,2,3\n")
    assert [layer.name for layer in found] == ["a", "a#2", "a#2#2", "input#2", "a#3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{CONV}\na,8,8,3,3,2,5,1,\nb,8,8,3,3,2,5,\n",
            ":3: the row has 7 values, the header names 8 columns",
        ),
        (f"{CONV}\n\na, 8, 8, 3, 3, 2, 5, 1, 1\n", ":3: the row has 9 values, the header names 8 columns"),
        (f"{CONV}\na,8,8,3,3,2,0,1,\n", ":2: num filter must be a positive integer, found '0'"),
        (f"{CONV}\na,8,8,3,3,2,-5,1,\n", ":2: num filter must be a positive integer, found '-5'"),
        (f"{CONV}\na,8,8,3,3,2,,1,\n", ":2: num filter must be a positive integer, found ''"),
        (f"{CONV}\na,8,8,3,3,2,5e1,1,\n", ":2: num filter must be a positive integer, found '5e1'"),
        (f"{CONV}\na,8,8,3,9,2,5,1,\n", ":2: filter width 9 is larger than IFMAP width 8"),
        (f"{CONV}\n,8,8,3,3,2,5,1,\n", ":2: the layer has no name"),
        (
            f"{GEMM}\na,4294967296,1,1,\n",
            ":2: layer 'a': oy must be an integer from 1 to 2147483648, found 4294967296",
        ),
        (f"{GEMM}\na,1,{'9' * 40},1,\n", f":2: n must be a positive integer, found '{'9' * 40}'"),
        (f"{GEMM}\na\x07,1,1,1,\n", ":2: layer 'a\\x07': name must be non-empty printable text"),
        (
            f"{GEMM}\n{'a' * 1000},1,1,1\n{'a' * 1000},1,1,1\n",
            ":3: layer 'aaaaaaaa",  # with its number, the name is too long
        ),
        (f"{CONV}\na,8,8,3,3,2,5,#1\n", ":2: the row has 7 values, the header names 8 columns"),
        (f"{CONV}\na,nan,8,3,3,2,5,1\n", ":2: ifmap height must be a positive integer, found 'nan'"),
        (f"{CONV}\na,8,8,3,3,2,5,{2**40}\n", ":2: layer 'a': stride must be an integer from 1 to "),
        (
            f"{CONV}\na,{2**31},{2**31},1,1,1,1,1\n",
            ":2: layer 'a': the product of its loop sizes, 4611686018427387904, is more than ",
        ),
        (f"{GEMM}\n", ":1: the topology lists no layer"),
        *(
            (
                f"Layer, M, N, K, Sparsity,\na,1,2,3,{ratio},\n",
                ":2: sparsity must be N:M, N of M weights that are ",
            )
            for ratio in ("5:4", "0:4", "1", "50%", "2:4:8")
        ),
        ("Layer, M, N,\na,1,2,\n", ":1: the header has no column 'k'; needed: layer name, m, n, k"),
        ("Layer, M, N, K, N,\na,1,2,3,4\n", ":1: column 'N' is there twice"),
        # A name that is unknown where another stands at a wrong place: neither names nor places tell.
        (
            "Layer name,IFMAP Width,IFMAP Hight,Filter Height,Filter Width,Channels,Num Filter,Strides",
            ":1: unknown column 'IFMAP Hight'; allowed: layer name, ifmap height, ",
        ),
        (f"{CONV} Channels\na,8,8,3,3,2,5,1,2\n", ":1: column 'Channels' is there twice"),
        (f"{CONV} Target\na,8,8,3,3,2,5,1,NPU,3\n", ":2: the row has 10 values, the header names 9 columns"),
        (f"{CONV} Batch Size\na,8,8,3,3,2,5,1,0\n", ":2: batch size must be a positive integer, found '0'"),
        (f"{CONV}\na;8;8;3;3;2;5;1\n", ":2: the row has 1 values, the header names 8 columns"),
        ("Op,H,W,R,S,C,F,Step,\na,8,8,3,3,2,five,1\n", ":1: this is no SCALE-Sim topology"),
        (
            "epoch,loss\n1,2\n",
            ":1: this is no SCALE-Sim topology: its header names neither IFMAP Height, IFMAP ",
        ),
        ("Conv1,227,227,11,11,3,96,4,\n", ":1: this is no SCALE-Sim topology"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = topology(tmp_path, text)
    with pytest.raises(ModelError) as error:
        read(file)
    assert str(error.value).startswith(f"{file}{message}")
    assert "\n" not in str(error.value)


def test_a_column_that_is_almost_right_has_its_name_suggested(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"unknown column 'Stides'.*; did you mean 'strides'"):
        read(topology(tmp_path, "num filter, channels, Stides"))


ROW = "a, 9, 8, 3, 2, 4, 5, 2"
ORDERED = "columns are read by their names, in another order than SCALE-Sim's, which reads by place: "
PLACED = "columns are read by their place, as SCALE-Sim does: "


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        (
            f"{CONV.replace('IFMAP Height', 'IFMAP Width')}\n{ROW},\n",
            (f"{PLACED}'IFMAP Width' as ifmap height",),
        ),
        (f"{CONV.replace('Strides', 'Stides')}\n{ROW},\n", (f"{PLACED}'Stides' as strides",)),
        (f"{CONV.replace('Layer name', 'Op')}\n{ROW},\n", (f"{PLACED}'Op' as layer name",)),
        (
            f"Op,H,W,R,S,C,K,Step,\n{ROW},\n",
            (
                f"{PLACED}'Op' as layer name, 'H' as ifmap height, 'W' as ifmap width, 'R' as filter height, "
                "'S' as filter width, 'C' as channels, 'K' as num filter, 'Step' as strides",
            ),
        ),
        (f"{CONV.replace('Channels', 'channel')}\n{ROW},\n", ()),
        (f"{CONV}\n\nAlexNet,\n{ROW},\n", ("lines with a name alone are no layers: 'AlexNet'",)),
        (
            f"{CONV}\nA\n{ROW}\nB,,\nC\nD\nE\n",
            ("lines with a name alone are no layers: 'A', 'B', 'C' and 2 more",),
        ),
        (f"{CONV} Strides,\n{ROW}, 2,\n", (f"{PLACED}'Strides' twice as stride height and stride width",)),
        (f"{CONV[: CONV.rindex(' Strides')]} Strides Height, Strides Width,\n{ROW}, 2,\n", ()),
        (f"{CONV} bases,\n{ROW}, 5,\n", ("columns that are not read: 'bases'",)),
        (f"{CONV} bases,\n{ROW},\n", ("columns that are not read: 'bases'",)),
        (f"{CONV},,Eh,Ew\n,,,,\n{ROW},,,110,110\n", ("columns that are not read: 'Eh', 'Ew'",)),
        (f"{CONV} Batch Size,\n{ROW},\n", ()),
        (f"{CONV} Batch Size, Sparsity\n{ROW}, , 1:1\n", ()),
        (f"{CONV}\n{ROW}\n".replace(",", "\t"), ()),
        (
            "Layer name, IFMAP Width, IFMAP Height, Filter Height, Filter Width, Channels, Num Filter, Strides\n"
            "a, 8, 9, 3, 2, 4, 5, 2\n",
            (f"{ORDERED}'IFMAP Width', 'IFMAP Height'",),
        ),
        (
            f"{CONV.replace('Layer name', 'Layer name, Id')}\n{ROW.replace('a', 'a, 1')}\n",
            (
                f"{ORDERED}'IFMAP Height', 'IFMAP Width', 'Filter Height' and 3 more",
                "columns that are not read: 'Id'",
            ),
        ),
    ],
)
def test_where_names_do_not_tell_places_do_and_a_note_says_it(
    tmp_path: Path, text: str, notes: tuple[str, ...]
) -> None:
    network = read(topology(tmp_path, text))
    assert network.layers == layers(tmp_path, SPELLINGS[0])
    assert network.notes == notes


@pytest.mark.parametrize("names", ["Stride, Stride", "Strides Height, Strides Width"])
def test_two_strides_are_those_of_rows_and_columns(tmp_path: Path, names: str) -> None:
    header = f"{CONV[: CONV.rindex(' Strides')]} {names},"
    (layer,) = read(topology(tmp_path, f"{header}\na, 9, 8, 3, 2, 4, 5, 1, 2,\n")).layers
    assert (layer.stride, layer.oy, layer.ox) == ((1, 2), 7, 4)


def test_a_misspelt_column_of_a_matrix_product_is_read_by_its_place(tmp_path: Path) -> None:
    network = read(topology(tmp_path, "Layer, M, N, Kdim,\nqkv, 128, 1536, 512,\n"))
    assert (network.macs, network.notes) == (128 * 1536 * 512, (f"{PLACED}'Kdim' as k",))
    assert network.layers[0].c == 512


def test_a_batch(tmp_path: Path) -> None:
    rows = "a,9,8,3,2,4,5,2,6\nfc,10,4,1,4,3,5,1,6\n"
    conv, product = layers(tmp_path, f"{CONV} Batch Size\n{rows}")
    assert (conv.n, conv.oy, conv.ox, conv.macs) == (6, 4, 4, 6 * 4 * 4 * 3 * 2 * 4 * 5)
    assert (product.op, product.oy, product.k, product.c) == ("matmul", 60, 5, 12)
    (gemm,) = layers(tmp_path, "Layer, M, N, K, Batch\na,2,3,4,5\n")
    assert (gemm.oy, gemm.macs, gemm.weight_elements) == (10, 120, 12)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^cannot read '.*none.csv': No such file or directory$"):
        read(tmp_path / "none.csv")
    with pytest.raises(ModelError, match="is no SCALE-Sim topology: it is empty"):
        read(topology(tmp_path, "\n ,, \n"))
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="is no SCALE-Sim topology: byte 1 is not UTF-8 text"):
        read(binary)
    large = tmp_path / "large.csv"
    large.write_bytes(b"a" * (MAX_BYTES + 1))
    with pytest.raises(ModelError, match="is larger than 1 MiB, the largest SCALE-Sim topology read"):
        read(large)


@given(st.text(st.sampled_from("a1,:\n #MNK-xé\x00\t"), max_size=60))
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = topology(tmp_path_factory.mktemp("any"), f"{GEMM}\n{text}")
    try:
        found = read(file).macs
    except ModelError as error:
        message = str(error)
        found = message.startswith(str(file)) and "\n" not in message
    assert found


def kept_by_scale_sim(window: int, kept: int, block: int) -> int:
    """Of each block of a filter's window, in order, the first *kept* weights stay."""
    return sum(place % block < kept for place in range(window))


@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 40)),
    block=st.integers(1, 8),
    data=st.data(),
)
def test_a_sparsity_is_a_density_and_a_pattern_of_channels(
    sizes: tuple[int, int, int], block: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kept = data.draw(st.integers(1, block))
    row = f"a, 9, 8, {sizes[0]}, {sizes[1]}, {sizes[2]}, 5, 1, {kept}:{block}"
    network = read(topology(tmp_path_factory.mktemp("t"), f"{CONV} Sparsity,\n{row},\n"))
    (layer,) = network.layers
    window = layer.c * layer.fy * layer.fx
    if kept == block:
        assert (layer.weight_density, layer.weight_pattern, network.notes) == (None, "", ())
        return
    density = layer.weight_density
    assert density is not None
    assert round(density * layer.weight_elements) == 5 * kept_by_scale_sim(window, kept, block)
    taps = [
        [place % block < kept for place in range(start, start + layer.c)]
        for start in range(0, window, layer.c)
    ]
    is_of_channels = all(tap == taps[0] for tap in taps)
    if layer.weight_pattern:
        assert layer.weight_pattern == f"{kept}:{block}"
        assert is_of_channels
        assert network.notes == ()
    else:
        assert network.notes == (
            "zeros of a sparsity N:M that is not of input channels are in no pattern: 'a'",
        )
        assert window > layer.c
        assert layer.c % block


def test_a_sparsity_of_a_product_saves_rows_where_they_are_packed(tmp_path: Path) -> None:
    """64 rows of the array hold 128 inputs of 2:4: a fold instead of two."""
    dense, sparse = (
        read(topology(tmp_path, f"{GEMM} Sparsity,\na,100,16,128,{ratio},\n")) for ratio in ("1:1", "2:4")
    )
    changes = {"array.rows": 64, "sparsity.structured": ("2:4",), "memory.dram.bandwidth_gb_s": 1000}
    packs = Accelerator.named("ws_32x32").replace(changes)
    cycles = [simulate(network, packs).totals["cycles"] for network in (dense, sparse)]
    assert (sparse.layers[0].weight_density, sparse.layers[0].weight_pattern) == (0.5, "2:4")
    assert cycles[1] < cycles[0]
