"""The layer that docs/counting.md works out by hand."""

from squeezesim.load import load


def test_the_hand_worked_layer():
    (layer,) = [layer for layer in load("squeezenext_23").fused.layers if layer.name == "stage1.block1.conv1"]
    sizes = (layer.n, layer.g, layer.k, layer.c, layer.oy, layer.ox, layer.fy, layer.fx)
    assert sizes == (1, 1, 16, 8, 55, 55, 3, 1)
    assert layer.padding == (1, 0)
    assert layer.macs == 16 * 8 * 55 * 55 * 3 == 1_161_600
    assert layer.params == 16 * 8 * 3 + 2 * 16 == 416
    assert layer.vector_ops == 2 * 16 * 55 * 55 == 96_800
    assert (layer.input_elements, layer.weight_elements, layer.output_elements) == (24_200, 384, 48_400)
    assert layer.fused == ("batch_norm", "relu")
    assert layer.weights_are_activations is False
