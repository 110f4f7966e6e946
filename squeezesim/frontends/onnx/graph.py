"""An ONNX graph → Network: inputs, patterns of several operators, layers and edges."""

from __future__ import annotations

import contextlib
import shlex
from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    ValueInfoProto,
    helper,
)
from onnx.helper import tensor_dtype_to_np_dtype

from squeezesim.errors import ModelError
from squeezesim.frontends.elements import Ledger, Use, unrepeated
from squeezesim.frontends.onnx import contrib, elementwise
from squeezesim.frontends.onnx.names import Place, Places, place_of, unique_names
from squeezesim.frontends.onnx.node import Node, Part, Rule, Stated, UnmodelledError
from squeezesim.frontends.onnx.operators import WINDOW_RULES as WINDOWS
from squeezesim.frontends.onnx.ownership import made_of, narrowed
from squeezesim.frontends.onnx.patterns import PART, composed
from squeezesim.frontends.onnx.rules import ADDED, ARITHMETIC, OPERANDS, UserRule, moves, rule_for, shapes_of
from squeezesim.frontends.onnx.values import (
    MAX_VALUES,
    QUANTISED,
    Array,
    Inference,
    Piece,
    Value,
    carried_bits,
    quantised,
    runs_of,
    scales_of,
    shape_of,
    sizes_of,
    tensor_type,
    values_of,
)
from squeezesim.frontends.open_sizes import Shape, check_names, check_shape, filled
from squeezesim.frontends.torch.operators import Operand
from squeezesim.frontends.torch.rules import check_agrees, registered_rule, registered_shape
from squeezesim.network import Layer, Network, Unmodelled, ops
from squeezesim.network.checks import shape_text, show
from squeezesim.network.compress.rules import learnt
from squeezesim.network.network import value_note
from squeezesim.network.transforms import scales_of_products, without

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def input_shapes(
    graph: GraphProto, given: Mapping[str, Sequence[int]], batch: int | None, values: Mapping[str, Array]
) -> list[tuple[str, Shape, Array | None]]:
    """Return every input that is no initializer, with all its sizes, *given* ones where the file leaves any open.

    The last of each is its values, where *values* has them or a scalar is given a size.

    Raises:
        ModelError: a size is open and not given, or what is given does not fit the file.
    """
    initial = {tensor.name for tensor in graph.initializer}
    declared = [value for value in graph.input if value.name not in initial]
    check_names({**given, **values}, [value.name for value in declared])
    found = []
    for value in declared:
        array, sizes = values.get(value.name), given.get(value.name)
        tensor = value.type.tensor_type
        if sizes is not None and len(sizes) == 1 and tensor.HasField("shape") and not tensor.shape.dim:
            array, sizes = np.asarray(sizes[0]), None
        if array is not None:
            array, sizes = _of_type(value, array), array.shape
        found.append((value.name, _shape(value, sizes, batch), array))
    return found


def _of_type(value: ValueInfoProto, array: Array) -> Array:
    """The values that are given for an input, in its type."""
    element = value.type.tensor_type.elem_type
    dtype = None if element == TensorProto.STRING else tensor_dtype_to_np_dtype(element)
    result = None if dtype is None else array.astype(dtype)
    if result is None or (result.dtype.kind in "biu" and not (result == array).all()):
        label = TensorProto.DataType.Name(element).lower()
        raise ModelError(f"input {show(value.name)} is of type {label}; {show(array.tolist())} does not fit")
    return result


def _shape(value: ValueInfoProto, given: Sequence[int] | None, batch: int | None) -> Shape:
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or (not tensor.HasField("shape") and given is None):
        raise ModelError(f"input {show(value.name)} is no tensor of known rank: give its shape")
    if not tensor.HasField("shape") and given is not None:
        check_shape(f"input {show(value.name)}", given)
        return tuple(given)
    dims = tensor.shape.dim
    # Exporters write 0 and -1 for open; 0 elsewhere than for the batch is an empty tensor, as a past of no tokens.
    sizes = [
        dim.dim_value
        if dim.dim_value > 0 or (index and given is None and dim.HasField("dim_value") and not dim.dim_value)
        else None
        for index, dim in enumerate(dims)
    ]
    labels = {index: dim.dim_param for index, dim in enumerate(dims) if dim.dim_param}
    try:
        return filled(value.name, sizes, labels, given, batch)
    except ModelError as error:
        if given is None or len(given) != 1 or sizes != [1]:
            raise
        written = f"{shlex.quote(value.name)}=[{given[0]}]"
        raise ModelError(f"{error}; a value, not a shape, is written --input {written}") from error


MAX_LAYERS = 200_000
"""Most layers: a recurrent layer becomes some for each time step."""

MAX_REPEATED = 20_000
"""Most nodes that loops and scans run, all trips together; those that run more are not modelled."""

_SCAN = 9  # the operator set from which a scan has no batch of its own

MAX_SOURCES = 1000
"""Most layers, or weights, that a tensor comes from where no layer joins them."""

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def network_of(
    model: ModelProto,
    given: Mapping[str, Sequence[int]],
    batch: int | None,
    *,
    values: Mapping[str, Array],
    name: str,
    source: str,
) -> Network:
    """Return the network of *model*, whose functions are inlined; see ``file.read``.

    Raises:
        ModelError: the graph is not valid, or an input's dimension is open and not given.
    """
    walk = _Walk(model)
    found = input_shapes(model.graph, given, batch, values)
    inputs = [(label, shape) for label, shape, _ in found]
    walk.enter_inputs(model.graph, found)
    walk.run(model.graph)
    recorded = _unscaled(walk.recorded)
    owning = [_owning(number, item, walk.ledger) for number, item in enumerate(recorded)]
    placed = [(layer, item.place) for (layer, _), item in zip(owning, recorded, strict=True)]
    names = unique_names(placed, [label for label, _ in inputs])
    layers = []
    for (layer, owners), item, own in zip(owning, recorded, names, strict=True):
        sources = tuple(names[index] if index >= 0 else inputs[-1 - index][0] for index in item.reads)
        carried, shared = (tuple(names[index] for index in found) for found in (item.carried, owners))
        layers.append(
            replace(layer, name=own, module=item.place.module, inputs=sources, carried=carried, shared=shared)
        )
    empty = [(label, shape) for label, shape in inputs if not prod(shape) and label not in given]
    network = Network(
        name=name,
        layers=tuple(layers),
        inputs=tuple(inputs),
        unread_params=walk.ledger.partly_unread,
        unmodelled=walk.unmodelled,
        notes=(
            *(value_note(label, array.tolist()) for label, _, array in found if array is not None),
            *walk.notes,
            *(
                f"input {show(label)} is empty, {shape_text(shape)}, as the file says; --input gives it a size"
                for label, shape in empty
            ),
        ),
        source=source,
    )
    return network.with_stages()


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A layer with the numbers of those that it reads and carries from step to step, and the weights that it uses."""

    layer: Layer
    place: Place
    reads: tuple[int, ...]
    carried: tuple[int, ...] = ()
    factors: tuple[Use, ...] = ()
    others: tuple[Use, ...] = ()
    is_scale: bool = False  # it multiplies or divides by one number
    scales: int = 0  # scales and zero points of its weights


def _unscaled(recorded: Sequence[_Recorded]) -> Sequence[_Recorded]:
    """The layers without scales of products of activations."""
    scales = [number for number, item in enumerate(recorded) if item.is_scale]
    reads = [item.reads for item in recorded]
    free = scales_of_products(
        [item.layer for item in recorded], reads, [item.carried for item in recorded], scales
    )
    renumbered = without(free, reads)
    return [
        replace(item, reads=renumbered(item.reads), carried=renumbered(item.carried))
        for number, item in enumerate(recorded)
        if number not in free
    ]


def _owning(number: int, item: _Recorded, ledger: Ledger) -> tuple[Layer, tuple[int, ...]]:
    """A layer with what it owns, and the layers that own what it uses as well."""
    layer = item.layer
    if not (item.factors or item.others):
        return layer if not layer.params else replace(layer, params=0), ()
    layer = unrepeated(layer, item.factors)
    owned, shared = ledger.claim(number, ledger.used(item.factors))
    more, also = ledger.claim(number, ledger.used(item.others))
    if not layer.weight_elements:
        layer = replace(layer, weight_elements=ledger.read((*item.factors, *item.others)))
    params = owned + more
    if not learnt(layer):
        return replace(layer, params=params), tuple(sorted({*shared, *also} - {number}))
    layer = layer.owning(params, owned)
    scales = ledger.read(item.factors) - layer.weight_elements if layer.weight_bits is not None else 0
    layer = layer.reading(ledger.read(item.others) + max(scales, 0) + item.scales)
    return layer, tuple(sorted({*shared, *also} - {number}))


class _Walk:
    """The state of the walk: what is known of every tensor, and the layers so far with what they read."""

    def __init__(self, model: ModelProto):
        opsets = {
            "" if item.domain == "ai.onnx" else item.domain: item.version for item in model.opset_import
        }
        self.recorded: list[_Recorded] = []
        self.ledger = Ledger()
        self.notes: dict[str, None] = {}
        self._inference = Inference(opsets, model.ir_version)
        self._values: ChainMap[str, Value] = ChainMap()  # those of graphs within nodes end with these
        self._entered: dict[int, tuple[TensorProto, Value]] = {}
        self._repeated = 0
        self._declared: dict[str, TypeProto] = {}
        self._written: dict[int, tuple[AttributeProto, tuple[Piece, ...]]] = {}  # of nodes Constant
        self._weights: list[str] = []
        self._added: set[str] = set()  # biases, scaled or not
        self._unmodelled: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self._places = Places()

    @property
    def unmodelled(self) -> tuple[Unmodelled, ...]:
        """Operators without a rule, in the order in which they first ran."""
        return tuple(Unmodelled(op, count, self._first[op]) for op, count in self._unmodelled.items())

    def enter_inputs(self, graph: GraphProto, inputs: Sequence[tuple[str, Shape, Array | None]]) -> None:
        """Make the network's inputs known; one whose values are given is a constant."""
        types = {value.name: value.type.tensor_type.elem_type for value in graph.input}
        for index, (name, shape, values) in enumerate(inputs):
            layers = (-1 - index,) if values is None else ()
            self._values[name] = Value(tensor_type(types[name], shape), values, layers=layers)

    def run(self, graph: GraphProto) -> None:
        """Walk over *graph*, or over one within a node of it."""
        for declared in (*graph.value_info, *graph.output):
            self._declared[declared.name] = declared.type
        self._added |= {name for node in graph.node for name in _added(node)}
        for tensor in graph.initializer:
            self._enter_initializer(tensor)
        for sparse in graph.sparse_initializer:
            self._enter_initializer(sparse.values, tuple(sparse.dims))
        made = Counter(name for node in graph.node for name in node.output if name)
        activations = composed(graph)
        for index, node in enumerate(graph.node):
            for name in node.input:
                if name and name not in self._values:
                    why = "only a later node makes" if name in made else "nothing makes"
                    raise ModelError(f"{_called(node)} reads {show(name)}, which {why}")
            for name in node.output:
                if name in self._values:
                    raise ModelError(f"{_called(node)} makes {show(name)}, which is there already")
            self._step(node, activations.get(index))

    def _enter_initializer(self, tensor: TensorProto, dims: Shape | None = None) -> None:
        if id(tensor) in self._entered:  # of a loop's body, which is walked over again
            self._values[tensor.name] = self._entered[id(tensor)][1]
            return
        shape = tuple(tensor.dims) if dims is None else dims
        check_shape(f"initializer {show(tensor.name)}", shape)
        params = self._entered_params(tensor.name, tensor.data_type, shape, tensor.name in self._added)
        constant = values_of(tensor) if dims is None else None
        value = Value(tensor_type(tensor.data_type, shape), constant, params=params)
        self._values[tensor.name] = value
        self._entered[id(tensor)] = tensor, value  # which keeps its id

    def _entered_params(
        self, name: str, element: int, shape: Shape, is_added: bool = False
    ) -> tuple[Piece, ...]:
        """The elements of a tensor of the file that may be learnt; none where it is no such tensor.

        Biases of quantised products are integers of 32 bits, as sizes and indices are.
        """
        known = element in _FLOATS or element in QUANTISED or (is_added and element == TensorProto.INT32)
        if not known or not shape:
            return ()
        self._weights.append(name)
        number = self.ledger.enter(prod(shape))
        return (Piece((0,) * len(shape), Use.whole(number, shape)),)

    def _step(self, node: NodeProto, activation: str | None) -> None:
        inputs: Sequence[Value | None] = [self._values[name] if name else None for name in node.input]
        followed = self._followed(node, inputs)
        if followed is not None:
            self._values.update(
                {name: value for name, value in zip(node.output, followed, strict=False) if name}
            )
            return
        try:
            inputs = self._unpacked(node, inputs)
            types = self._types(node, inputs)
            constants = self._inference.evaluate(node, inputs, types)
            rule = _rule(node, activation)
            made = self._constant(node, inputs) if constants else self._layers(node, inputs, types, rule)
            if node.op_type == "Constant":
                made = replace(made, params=self._written_params(node, types))
            if max(len(made.layers), len(made.params)) > MAX_SOURCES:
                raise ModelError(f"comes from more than {MAX_SOURCES} layers or weights that no layer joins")
        except ModelError as error:
            raise ModelError(f"{_called(node)}: {error}") from error.__cause__
        self._enter_outputs(node, inputs, made, types, constants)

    def _written_params(self, node: NodeProto, types: Mapping[str, TypeProto]) -> tuple[Piece, ...]:
        """The elements that a node ``Constant`` holds, in any of the ways to write them."""
        held = node.attribute[0]
        if id(held) not in self._written:  # a loop's body is walked over again
            kind = types[node.output[0]]
            name = held.t.name if held.name == "value" else node.output[0]
            is_added = node.output[0] in self._added
            pieces = self._entered_params(name, kind.tensor_type.elem_type, shape_of(kind) or (), is_added)
            self._written[id(held)] = held, pieces
        return self._written[id(held)][1]

    def _enter_outputs(
        self,
        node: NodeProto,
        inputs: Sequence[Value | None],
        made: Value,
        types: Mapping[str, TypeProto],
        constants: Sequence[Array] | None,
    ) -> None:
        """Make what a node makes known: *made*, with the type, the constant and the weights of each output."""
        found: dict[str, Value] = {}
        for index, name in enumerate(name for name in node.output if name):
            if constants is None or index >= len(constants):
                found[name] = replace(made, type=types[name])
                continue
            values = constants[index]
            kind = tensor_type(helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
            found[name] = replace(made, type=kind, constant=values)
        if made.params and node.op_type != "Constant":
            view = _node(node, inputs, [value.shape for value in found.values()])
            given = [
                (place, pieces) for place, pieces in self._learnt(node, inputs, range(len(inputs))) if pieces
            ]
            for index, (name, value) in enumerate(found.items()):
                found[name] = replace(value, params=made_of(view, index, given))
        self._values.update(found)

    def _followed(self, node: NodeProto, inputs: Sequence[Value | None]) -> list[Value] | None:
        """What a node with graphs within it makes, where it is known which of them run, and how often."""
        follow = {"If": self._chosen, "Loop": self._looped, "Scan": self._scanned}.get(node.op_type)
        if follow is None or node.domain not in ("", "ai.onnx"):
            return None
        recorded = len(self.recorded)
        unmodelled, values = self._unmodelled.copy(), self._values
        try:
            made = follow(node, inputs)
        except UnmodelledError:
            made = None
            bound = f"{_called(node)} is not modelled: loops and scans run more than {MAX_REPEATED:,} nodes"
            self.notes[bound] = None
        if made is None:
            del self.recorded[recorded:]
            self._unmodelled, self._values = unmodelled, values
        return made

    def _within(self, node: NodeProto, graph: GraphProto, given: Sequence[Value]) -> list[Value]:
        """What a graph within *node* makes of the values that it is given."""
        if len(given) != len(graph.input):
            raise ModelError(f"{_called(node)}: its graph has {len(graph.input)} inputs, not {len(given)}")
        self._values = self._values.new_child(
            {value.name: item for value, item in zip(graph.input, given, strict=True)}
        )
        self.run(graph)
        for value in graph.output:
            if value.name not in self._values:
                raise ModelError(
                    f"{_called(node)}: its graph returns {show(value.name)}, which nothing makes"
                )
        made = [self._values[value.name] for value in graph.output]
        self._values = self._values.parents
        return made

    def _chosen(self, node: NodeProto, inputs: Sequence[Value | None]) -> list[Value] | None:
        """What the branch makes that a condition takes, if its value is known."""
        branch = _branch(node, inputs)
        return None if branch is None else self._within(node, branch, [])

    def _again(self, body: GraphProto) -> None:
        """Count one more walk over the body of a loop.

        Raises:
            UnmodelledError: all loops together have run too many nodes.
        """
        self._repeated += max(1, len(body.node))
        if self._repeated > MAX_REPEATED:
            raise UnmodelledError

    def _looped(self, node: NodeProto, inputs: Sequence[Value | None]) -> list[Value] | None:
        """What a loop makes: the last of what it carries, and of each trip what it stacks up."""
        most, condition, *rest = inputs
        state = [value for value in rest if value is not None]
        body = _graph(node, "body")
        known = all(value is None or value.constant is not None for value in (most, condition))
        if body is None or not known or len(state) < len(rest):
            return None
        trips = None if most is None else _number(most)
        going = condition is None or bool(_number(condition))
        stacked: list[list[Value]] = [[] for _ in body.output[1 + len(state) :]]
        trip = 0
        while going and (trips is None or trip < trips):
            self._again(body)
            counter = Value(tensor_type(TensorProto.INT64, ()), np.asarray(trip))
            running = Value(tensor_type(TensorProto.BOOL, ()), np.asarray(True))
            made = self._within(node, body, [counter, running, *state])
            if not made or made[0].constant is None:
                return None  # the data decides when it ends
            going, state = bool(_number(made[0])), made[1 : 1 + len(state)]
            for values, value in zip(stacked, made[1 + len(state) :], strict=True):
                values.append(value)
            trip += 1
        return [*state, *(self._stacked(node, values, 0) for values in stacked)]

    def _scanned(self, node: NodeProto, inputs: Sequence[Value | None]) -> list[Value] | None:
        """What a scan makes: a trip for each slice of its inputs, whose results are stacked up."""
        body, view = _graph(node, "body"), _node(node, (), ())
        given = [value for value in inputs if value is not None]
        sliced = view.integer("num_scan_inputs", 0)
        if body is None or self._inference.opsets.get("", 0) < _SCAN or not 1 <= sliced <= len(given):
            return None
        if len(given) < len(inputs) or any(value.shape is None for value in given[-sliced:]):
            return None
        state, sources = given[:-sliced], given[-sliced:]
        axes = view.integers("scan_input_axes", [0] * sliced)
        turned = view.integers("scan_input_directions", [0] * sliced)
        trips = {_extent(source, axis) for source, axis in zip(sources, axes, strict=True)}
        if len(trips) > 1:
            raise ModelError(
                f"{_called(node)}: its inputs have {' and '.join(map(str, sorted(trips)))} slices"
            )
        (count,) = trips
        outputs = len(body.output) - len(state)
        into = view.integers("scan_output_axes", [0] * outputs)
        back = view.integers("scan_output_directions", [0] * outputs)
        stacked: list[list[Value]] = [[] for _ in range(outputs)]
        for trip in range(count):
            self._again(body)
            parts = [
                _slice(source, axis, count - 1 - trip if reverse else trip)
                for source, axis, reverse in zip(sources, axes, turned, strict=True)
            ]
            made = self._within(node, body, [*state, *parts])
            state = made[: len(state)]
            for values, value in zip(stacked, made[len(state) :], strict=True):
                values.append(value)
        ordered = [values[::-1] if reverse else values for values, reverse in zip(stacked, back, strict=True)]
        return [
            *state,
            *(self._stacked(node, values, axis) for values, axis in zip(ordered, into, strict=True)),
        ]

    def _stacked(self, node: NodeProto, values: Sequence[Value], axis: int) -> Value:
        """What the trips of a loop make, along a new axis; a layer joins what several layers made."""
        shapes = {value.shape for value in values}
        each = next(iter(shapes)) if len(shapes) == 1 else None
        layers = tuple(dict.fromkeys(number for value in values for number in value.layers))
        uses = dict.fromkeys(piece.use for value in values for piece in value.params)
        params = tuple(Piece((), use.scattered(())) for use in uses)
        if each is None:
            return Value(TypeProto(), layers=layers, params=params)
        axis += len(each) + 1 if axis < 0 else 0
        shape: Shape = (*each[:axis], len(values), *each[axis:])
        check_shape("what a loop stacks up", shape)
        constants = [value.constant for value in values if value.constant is not None]
        constant = None
        if len(constants) == len(values) and prod(shape) <= MAX_VALUES:
            constant = np.stack(constants, axis)
        if len(layers) > 1 and 0 not in shape:
            if len(self.recorded) >= MAX_LAYERS:
                raise ModelError(f"the network has more than {MAX_LAYERS} layers")
            self.recorded.append(
                _Recorded(ops.view("concat", shape, [each] * len(values)), place_of(node), layers)
            )
            layers = (len(self.recorded) - 1,)
        return Value(tensor_type(_element(values), shape), constant, layers=layers, params=params)

    def _types(self, node: NodeProto, inputs: Sequence[Value | None]) -> dict[str, TypeProto]:
        """Types of the outputs: as inferred, else as the file says, else with no shape."""
        schema = self._inference.schema(node)
        found, stated = {}, {}
        if schema is not None:
            known = {name: self._values[name] for name in node.input if name}
            found = self._inference.types(node, schema, known)
        operator = _listed(node)
        is_registered = registered_shape(operator) is not None
        if (shapes := shapes_of(operator)) is not None and (schema is None or is_registered):
            stated = _stated(node, inputs, shapes)
        for name in node.output if is_registered else ():
            if name in stated:
                self._check_agrees(node, name, shape_of(stated[name]), found)
        for name in node.output:
            if name and (name not in found or not found[name].tensor_type.HasField("shape")):
                known_types = (types.get(name) for types in (stated, self._declared, found))
                found[name] = next((kind for kind in known_types if kind is not None), TypeProto())
        return found

    def _check_agrees(
        self, node: NodeProto, name: str, said: Shape | None, inferred: Mapping[str, TypeProto]
    ) -> None:
        """Check that the shape that a rule of the user's *said* of a result is as *inferred*, or as the file states."""
        sizes = sizes_of(inferred.get(name)) or sizes_of(self._declared.get(name))
        if said is not None and sizes is not None:
            check_agrees(_listed(node), said, sizes)

    def _layers(
        self,
        node: NodeProto,
        inputs: Sequence[Value | None],
        types: dict[str, TypeProto],
        rule: Rule | None,
    ) -> Value:
        """Record what the node computes; the value that its outputs share."""
        data = self._data(node, inputs)
        shapes = [shape_of(types[name]) for name in node.output if name]
        reads_nothing = node.op_type != "Concat" and any(value and _is_empty_data(value) for value in inputs)
        is_empty = reads_nothing or (bool(shapes) and shapes[0] is not None and not prod(shapes[0]))
        if is_empty and not reads_nothing and node.op_type in WINDOWS:
            sizes = ", ".join(show(value.shape) for value in inputs[:1] if value is not None)
            raise ModelError(
                f"its window does not fit: an input of {sizes} gives an output of {show(shapes[0])}"
            )
        if rule is moves or is_empty:
            runs = runs_of(node, inputs[0], shapes[0]) if inputs and shapes else None
            data = replace(data, scales=0 if data.layers else scales_of(node, inputs))
            return replace(data, bits=carried_bits(node, inputs), rows=_rows(inputs, shapes), runs=runs)
        is_open = any(value and value.shape is None for value in inputs)
        result: Layer | list[Part] | None = None
        if rule is not None and not is_open:
            view = replace(_node(node, inputs, shapes), version=self._inference.opsets.get("", 0))
            if shapes and shapes[0] is not None:
                with contextlib.suppress(UnmodelledError):
                    result = rule(view)
            elif isinstance(rule, UserRule) and (made := rule.of_unknown_shape(view)) is not None:
                result = made[0]
                for name in node.output[:1]:
                    self._check_agrees(node, name, made[1], types)
                    types[name] = tensor_type(_element(inputs), made[1])
        if result is None:
            if data.layers:
                is_unknown = rule is not None and (is_open or not shapes or shapes[0] is None)
                self._leave_out(node, " of unknown shape" if is_unknown else "")
            return replace(data, params=())
        parts = [Part(result, tuple(range(len(inputs))))] if isinstance(result, Layer) else result
        if not parts or not (data.layers or any(part.layer.kind == "mac" for part in parts)):
            return data
        scaled = (
            next((value for value in inputs if value and value.runs), None) if _scales(node, inputs) else None
        )
        runs = runs_of(node, scaled, shapes[0]) if shapes else None
        return Value(data.type, layers=(self._append(node, inputs, parts),), runs=runs)

    def _unpacked(self, node: NodeProto, inputs: Sequence[Value | None]) -> Sequence[Value | None]:
        """The inputs, where one holds several weights in each element with the width of these."""
        packed = contrib.packed(_listed(node), {item.name: _attribute(item) for item in node.attribute})
        if packed is None:
            return inputs
        index, count, bits = packed
        value = inputs[index] if index < len(inputs) else None
        if value is None or len(value.params) != 1:
            return inputs
        param = value.params[0].use.param
        self.ledger.resize(param, count)
        params = (Piece((0,), Use.whole(param, (count,))),)
        return [
            replace(value, bits=bits, params=params) if place == index else item
            for place, item in enumerate(inputs)
        ]

    def _data(self, node: NodeProto, inputs: Sequence[Value | None]) -> Value:
        """What the node's result comes from: its data and learnt inputs, without sizes and limits."""
        layers = dict.fromkeys(number for value in inputs if value is not None for number in value.layers)
        learnt_inputs = self._learnt(node, inputs, range(len(inputs)))
        params = dict.fromkeys(piece for _, pieces in learnt_inputs for piece in pieces)
        return Value(TypeProto(), layers=tuple(layers), params=tuple(params))

    def _learnt(
        self, node: NodeProto, inputs: Sequence[Value | None], among: Iterable[int]
    ) -> list[tuple[int, tuple[Piece, ...]]]:
        """The weights behind some inputs, by place, without those behind sizes, limits and single factors."""
        data = OPERANDS.get(_listed(node))
        found: dict[int, tuple[Piece, ...]] = {}
        for index in among:
            value = inputs[index] if index < len(inputs) else None
            if value is not None and (data is None or index in data):
                is_factor = node.op_type in ARITHMETIC and prod(value.shape or ()) == 1
                if value.params and not is_factor:
                    found[index] = value.params
        return list(found.items())

    def _constant(self, node: NodeProto, inputs: Sequence[Value | None]) -> Value:
        """What a constant comes from: a shape does not depend on the data."""
        return replace(self._data(node, inputs), layers=())

    def _append(self, node: NodeProto, inputs: Sequence[Value | None], parts: Sequence[Part]) -> int:
        """Record the layers of a node; the number of the last."""
        first, added = len(self.recorded), ADDED.get(_listed(node), ())
        if first + len(parts) > MAX_LAYERS:
            raise ModelError(f"the network has more than {MAX_LAYERS} layers")
        for part in parts:
            read = [inputs[index] for index in part.inputs if index < len(inputs)]
            sources = [value for value in read if value is not None]
            reads = dict.fromkeys(number for value in sources for number in value.layers)
            reads.update(dict.fromkeys(first + index for index in part.after))
            uses: dict[bool, list[Use]] = {True: [], False: []}
            weights: dict[int, tuple[Piece, ...]] = {}
            for index, pieces in self._learnt(node, inputs, part.inputs):
                held = (piece if part.at is None else narrowed(piece, part.at) for piece in pieces)
                weights[index] = tuple(piece for piece in held if piece is not None)
                uses[index not in added].extend(piece.use for piece in weights[index])
            read_here = [piece for pieces in weights.values() for piece in pieces]
            place = self._places.of(node, part, (self._weights[piece.use.param] for piece in read_here))
            known = [(index, inputs[index]) for index in part.inputs if index < len(inputs)]
            widths = [value for index, value in known if value and (value.layers or index in weights)]
            layer = quantised(part.layer, widths)
            carried = tuple(first + index for index in part.carried)
            factors, others = tuple(uses[True]), tuple(uses[False])
            scales = scales_of(node, inputs, added) if layer.kind == "mac" and factors else 0
            recorded = _Recorded(
                layer, place, tuple(reads), carried, factors, others, _scales(node, inputs), scales
            )
            self.recorded.append(recorded)
        return len(self.recorded) - 1

    def _leave_out(self, node: NodeProto, why: str) -> None:
        op = f"{_listed(node)}{why}"
        self._unmodelled[op] += 1
        self._first.setdefault(op, place_of(node).module)


def _node(node: NodeProto, inputs: Sequence[Value | None], shapes: Sequence[Shape | None]) -> Node:
    """A node as the rules see it."""
    attributes = {item.name: _attribute(item) for item in node.attribute}
    operands = [
        None
        if value is None
        else Operand(value.shape or (), bool(value.layers), value.rows, distinct=value.distinct)
        for value in inputs
    ]
    constants = [None if value is None else value.constant for value in inputs]
    return Node(node.op_type, attributes, operands, constants, shapes)


def _stated(
    node: NodeProto, inputs: Sequence[Value | None], shapes: Callable[[Node], Stated]
) -> dict[str, TypeProto]:
    """The types of the outputs of an operator that onnx does not define, where its inputs have shapes."""
    if any(value is not None and value.shape is None for value in inputs):
        return {}
    try:
        stated = shapes(_node(node, inputs, ()))
    except UnmodelledError:
        return {}
    return {
        name: tensor_type(_element(inputs, typed), shape)
        for name, (shape, typed) in zip(node.output, stated, strict=False)
        if name
    }


def _added(node: NodeProto) -> list[str]:
    """The inputs of a node that are biases, or integers which a scale makes numbers of."""
    places = (0,) if node.op_type == "DequantizeLinear" else ADDED.get(_listed(node), ())
    return [node.input[place] for place in places if place < len(node.input)]


def _is_empty_data(value: Value) -> bool:
    """Whether a tensor of data has no elements: what reads it has nothing to do."""
    return bool(value.layers) and value.shape is not None and not prod(value.shape)


def _element(inputs: Sequence[Value | None], index: int = 0) -> int:
    """The type of an input's elements, float where it is not known."""
    value = inputs[index] if index < len(inputs) else None
    return (value.element if value is not None else 0) or TensorProto.FLOAT


def _called(node: NodeProto) -> str:
    return (
        f"node {show(node.name)}, {show(node.op_type)[1:-1]}"
        if node.name
        else f"a node {show(node.op_type)[1:-1]}"
    )


def _scales(node: NodeProto, inputs: Sequence[Value | None]) -> bool:
    """Whether a node multiplies or divides by one number."""
    numbers = {"Mul": inputs, "Div": inputs[1:]}.get(_listed(node), ())
    return any(
        value and not value.layers and value.shape is not None and prod(value.shape) == 1 for value in numbers
    )


def _listed(node: NodeProto) -> str:
    """What a node's operator is called where it has no rule."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _rule(node: NodeProto, activation: str | None) -> Rule | None:
    """What a node becomes; *activation* is what it is part of."""
    if registered := registered_rule(_listed(node)):
        return UserRule(_listed(node), registered)
    if activation is not None:
        return moves if activation == PART else elementwise.first(activation)
    return rule_for(_listed(node))


def _branch(node: NodeProto, inputs: Sequence[Value | None]) -> GraphProto | None:
    """The branch that a condition takes, if its value is known."""
    if node.op_type != "If" or not inputs or inputs[0] is None or inputs[0].constant is None:
        return None
    return _graph(node, "then_branch" if _number(inputs[0]) else "else_branch")


def _graph(node: NodeProto, name: str) -> GraphProto | None:
    """A graph within a node, by the attribute that holds it."""
    return next((item.g for item in node.attribute if item.name == name and item.HasField("g")), None)


def _number(value: Value) -> int:
    """The number that a known tensor of one element holds."""
    assert value.constant is not None
    found = value.constant.reshape(-1)
    return int(found[0]) if found.size else 0


def _extent(value: Value, axis: int) -> int:
    """How many slices a tensor has along *axis*."""
    shape = value.shape or ()
    if not -len(shape) <= axis < len(shape):
        raise ModelError(f"a scan along axis {axis} does not fit {show(shape)}")
    return shape[axis]


def _slice(value: Value, axis: int, index: int) -> Value:
    """One slice of a tensor along *axis*."""
    shape = value.shape or ()
    axis %= len(shape)
    constant = None if value.constant is None else np.take(value.constant, index, axis)
    kind = tensor_type(value.element, (*shape[:axis], *shape[axis + 1 :]))
    return replace(value, type=kind, constant=constant, rows=None, runs=None)


def _attribute(attribute: AttributeProto) -> Any:
    return None if attribute.type in _NOT_VALUES else helper.get_attribute_value(attribute)


_NOT_VALUES = (
    AttributeProto.UNDEFINED,
    AttributeProto.TENSOR,
    AttributeProto.TENSORS,
    AttributeProto.GRAPH,
    AttributeProto.GRAPHS,
)


def _rows(inputs: Sequence[Value | None], shapes: Sequence[Shape | None]) -> Shape | None:
    """The shape of what is flattened to a matrix, to tell batch and rows of a linear layer."""
    source = inputs[0].shape if inputs and inputs[0] is not None else None
    result = shapes[0] if shapes else None
    if source is None or result is None or len(source) < 3 or len(result) != 2:
        return None
    return source if source[-1] == result[-1] else None
