"""An accelerator as text, as HTML in notebooks and as a JSON schema for editors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from squeezesim.errors import HardwareError
from squeezesim.escapes import visible
from squeezesim.hardware.buffer_part import BufferPart
from squeezesim.hardware.config import (
    CHANGES,
    CONSTRAINTS,
    LIKE,
    OVERRIDES,
    PARTS,
    STORES,
    UNITS,
    Parameter,
    parameters,
    shown,
    to_dict,
)
from squeezesim.hardware.energy import energy_costs
from squeezesim.hardware.part import Part
from squeezesim.hardware.parts import LEVELS, SHARED, Specification
from squeezesim.hardware.rate import TEXT, MacRate
from squeezesim.hardware.store import Store
from squeezesim.hardware.unit import Unit
from squeezesim.markup import Markdown, block, chain, code, markdown_table, table


class Row(NamedTuple):
    """One parameter for display; ``provenance`` and ``source`` are empty where the file states none."""

    path: str
    value: str
    unit: str
    provenance: str
    source: str


SIZE = "memory.global_buffer.size_kib"


def rows(accelerator: Specification) -> list[Row]:
    """Return every parameter of *accelerator* in schema order, defaults included.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> rows(Accelerator.named("squeezelerator_8x8"))[4][:3]
        ('array.rows', '8', 'PEs')
    """
    data = to_dict(accelerator)
    data["array"]["units"] = {name: dict(unit) for name, unit in accelerator.array.units.items()}
    overridden = [f"{OVERRIDES}.{level}" for level in LEVELS if level in accelerator.energy.overrides]
    found = []
    shared = not accelerator.array.units or accelerator.array.dataflows
    left_out = [OVERRIDES] if shared else [OVERRIDES, *(f"array.{key}" for key in SHARED)]
    if accelerator.memory.global_buffer.parts:
        left_out += [SIZE, "memory.global_buffer.double_buffered"]
    for path in (*every_path(accelerator), *overridden):
        if path in left_out:
            continue
        value = _value(data, path)
        known = parameters().get(OVERRIDES if path in overridden else path)
        origin = accelerator.provenance.get(path)
        text = value if isinstance(value, str) else _text(value)
        found.append(
            Row(
                path,
                text,
                known.unit if known else _unit_of_named(path),
                origin.provenance if origin else "",
                origin.source if origin else "",
            )
        )
    last = max(place for place, row in enumerate(found) if row.path.startswith("mapper."))
    found[last + 1 : last + 1] = [
        Row(f"{CONSTRAINTS}[{number}]", str(each), "", "", "")
        for number, each in enumerate(accelerator.mapper.constraints)
    ]
    return found


def unit_of(path: str) -> str:
    """Return the unit of the parameter *path*; empty where it has none.

    Example:
        >>> unit_of("memory.dram.bandwidth_gb_s"), unit_of("memory.stores.flash.size_kib")
        ('GB/s', 'KiB')
    """
    known = parameters().get(path)
    return known.unit if known else _unit_of_named(path)


def _unit_of_named(path: str) -> str:
    """The unit of a parameter below a name that the file gives."""
    key = path.rpartition(".")[2]
    models: dict[str, type[Part]] = {UNITS: Unit, PARTS: BufferPart, STORES: Store}
    of = next((model for section, model in models.items() if path.startswith(f"{section}.")), Part)
    extra = of.model_fields[key].json_schema_extra if key in of.model_fields else None
    return str(extra["unit"]) if isinstance(extra, dict) and "unit" in extra else ""


def every_path(accelerator: Specification) -> Iterator[str]:
    """Yield the path of every parameter, and of what the file says of units, parts and stores."""
    memory = accelerator.memory
    above: dict[str, tuple[str, Mapping[str, Part]]] = {
        "array.rows": (UNITS, accelerator.array.units),
        SIZE: (PARTS, memory.global_buffer.parts),
        "memory.placement": (STORES, memory.stores),
    }
    for path in parameters():
        section, named = above.get(path, ("", {}))
        for name, each in named.items():
            for key, value in each:
                below = value if isinstance(value, dict) else {"": value}
                yield from (f"{section}.{name}.{key}{f'.{loop}' if loop else ''}" for loop in below)
        yield path


def ideals(accelerator: Specification) -> dict[str, str]:
    """Return what no real accelerator has, by the parameter that says so or that is left out.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> ideals(Accelerator.named("os_32x32").replace({"memory.dram.usable_fraction": 1}))
        {'memory.dram.usable_fraction': 'DRAM reaches 100 % of its peak'}
    """
    found = {}
    if accelerator.memory.dram.usable_fraction == 1:
        found["memory.dram.usable_fraction"] = "DRAM reaches 100 % of its peak"
    if accelerator.dram_latency_cycles == 0:
        cycles = accelerator.memory.dram.latency_cycles is not None
        found[f"memory.dram.latency_{'cycles' if cycles else 'ns'}"] = "DRAM has no latency"
    if accelerator.setup_cycles == 0:
        found["control.layer_setup_cycles"] = "layers need no set-up"
    return found


def ideal_text(accelerator: Specification) -> str:
    """Return what no real accelerator has, as heads say it: ``DRAM × 100 %, no latency, no set-up``; or nothing."""
    brief = {"usable_fraction": "DRAM × 100 %", "latency": "no latency", "layer_setup": "no set-up"}
    found = " ".join(ideals(accelerator))
    return ", ".join(text for key, text in brief.items() if key in found)


def dram_text(accelerator: Specification) -> str:
    """Return the DRAM in brief, as ``DRAM 12.8 GB/s × 80 %, latency 100 ns``."""
    dram = accelerator.memory.dram
    latency = (
        f"latency {dram.latency_cycles} cycles"
        if dram.latency_ns is None
        else f"latency {dram.latency_ns:g} ns"
    )
    if accelerator.dram_latency_cycles == 0:
        latency = "no latency"
    return f"DRAM {dram.bandwidth_gb_s:g} GB/s × {100 * dram.usable_fraction:g} %, {latency}"


def area_text(accelerator: Specification) -> str:
    """Return the area of what the energy table has one of, as ``1.798 mm², the buffer``; nothing where it has none.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> area_text(Accelerator.named("os_32x32")), area_text(Accelerator.named("eyeriss"))
        ('1.798 mm², the buffer', '')
    """
    area = _area_mm2(accelerator)
    return "" if area is None else f"{area:.4g} mm², the buffer"


def derived_rows(accelerator: Specification) -> list[Row]:
    """Return what follows from the parameters and is none of them, with the provenance ``derived``.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> [(row.path, row.unit, row.provenance) for row in derived_rows(Accelerator.named("os_32x32"))]
        [('memory.global_buffer.area_mm2', 'mm²', 'derived')]
    """
    area = _area_mm2(accelerator)
    source = f"energy table {accelerator.energy.table}"
    path = "memory.global_buffer.area_mm2"
    return [] if area is None else [Row(path, _text(area), "mm²", "derived", source)]


def _area_mm2(accelerator: Specification) -> float | None:
    """The area of the buffer; None where the energy table has none, or does not reach the buffer's size."""
    try:
        return energy_costs(accelerator).area_mm2
    except HardwareError:
        return None


def setup_text(accelerator: Specification) -> str:
    """Return the set-up of a layer, as ``set-up 1,000 cycles a layer``."""
    cycles = accelerator.setup_cycles
    return f"set-up {cycles:,} cycles a layer" if cycles else "no set-up"


def fixed_widths(accelerator: Specification, varying: Iterable[str]) -> str:
    """Return what stays as it is while the parameters *varying* change the array, as text; empty where nothing does.

    Widths that may follow the columns are named where these vary.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> fixed_widths(Accelerator.named("os_32x32").replace({"array.ports": 4}), ["array.cols"])
        'kept while array.cols varies: array.ports 4; null is one for each column'
        >>> fixed_widths(Accelerator.named("eyeriss"), ["array.rows", "array.network.psums_words"])
        'kept while array.rows varies: array.network.weights_words 4, array.network.inputs_words 1'
    """
    paths = tuple(varying)
    sizes = [path for path in ("array.rows", "array.cols") if path in paths]
    vector = accelerator.vector
    widths: dict[str, float | None] = {}
    if "array.cols" in paths:
        widths = {
            "array.ports": accelerator.array.ports,
            "vector.lanes": vector.lanes if vector.model == "lanes" else None,
        }
    rates: dict[str, float | None] = {
        "memory.global_buffer.bytes_per_cycle": accelerator.memory.global_buffer.bytes_per_cycle
    }
    if "rs" in accelerator.array.dataflows:
        network = accelerator.array.network
        rates |= {f"array.network.{name}": getattr(network, name) for name in type(network).model_fields}
    kept, others = (
        [f"{path} {value:g}" for path, value in each.items() if value is not None and path not in paths]
        for each in (widths, rates)
    )
    if not accelerator.array.dataflows or not sizes or not (kept or others):  # units have no rows and columns
        return ""
    verb = "varies" if len(sizes) == 1 else "vary"
    of = f" of {' and '.join(path.split()[0] for path in kept)}" if others else ""
    null = [f"null{of} is one for each column"] if kept else []
    first = [f"kept while {' and '.join(sizes)} {verb}: {', '.join([*others, *kept])}"]
    return "; ".join([*first, *null])


def summary(accelerator: Specification) -> str:
    """Return the accelerator on a few lines, for ``print``."""
    lines = [f"  {part:<9} {text}" for part, text in facts(accelerator).items()]
    return visible("\n".join([heading(accelerator), *lines]), keep="\n")


def heading(accelerator: Specification) -> str:
    """Return the accelerator's name and description."""
    return f"{accelerator.name}: {accelerator.description}".removesuffix(": ")


def facts(accelerator: Specification) -> dict[str, str]:
    """Return what there is to say of each part of *accelerator*."""
    array, buffer, dram = accelerator.array, accelerator.memory.global_buffer, accelerator.memory.dram
    bits, sparsity = accelerator.precision, accelerator.sparsity
    energy, mapper, stays = accelerator.energy, accelerator.mapper, accelerator.memory.stays.size_kib
    rate = "" if buffer.bytes_per_cycle is None else f", {buffer.bytes_per_cycle:g} B/cycle"
    double_buffered = " ".join(buffer.double_buffered) or "nothing"
    skipped = f", zeros skipped by {' '.join(sparsity.skipped_by)}" if sparsity.skipped_by else ""
    if sparsity.structured:
        skipped += f", {' '.join(sparsity.structured)} packed"
    if sparsity.compressed:
        skipped += f", compressed in {' '.join(sparsity.compressed)} ({sparsity.form})"
    return {
        "clock": f"{accelerator.clock_mhz:g} MHz",
        "array": array.shape
        + (
            f", {array.interconnect}, {array.port_words} port words/cycle, "
            f"{array.register_file.psum_words} partial sums/PE"
        )
        * bool(array.dataflows),
        "precision": f"{bits.weight_bits}-bit weights, {bits.activation_bits}-bit activations, "
        f"{bits.accumulator_bits}-bit partial sums"
        + (f", MACs/cycle {' '.join(map(str, bits.rates))}" if bits.rates else ""),
        "buffer": f"{buffer.size_kib:g} KiB{rate}, "
        + ("; ".join(buffer.texts()) if buffer.parts else f"double-buffered: {double_buffered}")
        + (", partial sums stay in the array" if buffer.psums == "array" else "")
        + "".join(f", {what} may stay" for what in _kept(accelerator)),
        "dram": f"{dram.bandwidth_gb_s:g} GB/s × {dram.usable_fraction:g} = "
        f"{accelerator.dram_bytes_per_cycle:.4g} B/cycle, latency {accelerator.dram_latency_cycles} cycles",
        **({"stays": f"{stays:g} KiB for weights that stay from one inference to the next"} if stays else {}),
        **{
            name: f"{store}, {accelerator.bytes_per_cycle(store):.4g} B/cycle, latency "
            f"{accelerator.latency_cycles(store)} cycles"
            for name, store in accelerator.memory.stores.items()
        },
        "control": f"{accelerator.setup_cycles} cycles set-up a layer, DMA granularity "
        f"{accelerator.dma.granularity}",
        "mapper": f"{mapper.objective}, slack {mapper.latency_slack:g}"
        + (", nothing stays but by the loop order" if mapper.residency == "order" else "")
        + "".join(f"; {each}" for each in mapper.constraints),
        "sparsity": f"{sparsity.weights:.0%} zero weights{skipped}",
        "vector": _lanes(accelerator) if accelerator.vector_lanes else "none",
        "energy": f"{energy.table}"
        + "".join(f", {level} {value:g}" for level, value in energy.overrides.items()),
    }


def _kept(accelerator: Specification) -> list[str]:
    """What the buffer may keep."""
    memory = accelerator.memory
    maps = ["feature maps"] * ("activations" in memory.global_buffer.keeps and memory.placement == "best")
    return [*maps, *["weights"] * ("weights" in memory.global_buffer.keeps)]


def _lanes(accelerator: Specification) -> str:
    own = [f", {lanes} for {kind}" for kind, lanes in accelerator.vector.own().items()]
    return f"{accelerator.vector_lanes} lanes{''.join(own)}"


def _value(data: dict[str, Any], path: str) -> object:
    value: Any = data
    for key in path.split("."):
        if key not in value:  # left out of files where it is the default
            return parameters()[path].default
        value = value[key]
    return value


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(str(MacRate(**each)) if isinstance(each, dict) else each for each in value)}]"
    return f"{value:.10g}" if isinstance(value, float) else shown(value)


def html(accelerator: Specification) -> str:
    """Return *accelerator* as HTML."""
    array, buffer = accelerator.array, accelerator.memory.global_buffer
    stays = accelerator.memory.stays.size_kib
    of_weights = f", and {stays:g} KiB for weights" if stays else ""
    boxes = (
        f"DRAM, {accelerator.dram_bytes_per_cycle:.4g} B/cycle",
        f"buffer, {buffer.size_kib:g} KiB{of_weights}",
        f"{array.shape}, {accelerator.clock_mhz:g} MHz",
    )
    return block(heading(accelerator), chain(boxes), table((), facts(accelerator).items(), left=2))


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of an accelerator file.

    Each parameter may be its value or ``{value: …, provenance: …, source: …}``.
    """
    whole = Specification.model_json_schema()
    definitions = whole["$defs"]
    annotation = definitions.pop("Provenance")
    del whole["properties"]["provenance"]
    # Units stand in place of rows, columns and dataflows, parts in place of one size.
    for name, some in (("Array", (SHARED, ("units",))), ("GlobalBuffer", (("size_kib",), ("parts",)))):
        definitions[name]["anyOf"] = [{"required": [*keys]} for keys in some]
        del definitions[name]["required"]
    plain = [definitions[name] for name in ("Constraint", "TileBounds", "SizeBounds", "MacRate")]
    rates = definitions["Precision"]["properties"]["rates"]
    rates["items"] = {"anyOf": [rates["items"], {"type": "string", "pattern": TEXT}]}
    for node in definitions["TileBounds"]["properties"].values():
        node["anyOf"].insert(0, definitions["SizeBounds"]["properties"]["min"]["anyOf"][0])
    for section in (whole, *definitions.values()):
        properties = section["properties"]
        for key, node in properties.items():
            beside = (
                (definitions.get("Energy"), "overrides"),
                (definitions["Mapper"], "constraints"),
                (definitions["Array"], "units"),
                (definitions["GlobalBuffer"], "parts"),
                (definitions["Memory"], "stores"),
                (definitions["Unit"], "unroll"),
            )
            if (
                "$ref" in node
                or section in plain
                or any(section is of and key == name for of, name in beside)
            ):
                continue
            properties[key] = _annotatable(node, annotation)
    for name, key in (("Energy", "overrides"), ("Unit", "unroll")):
        node = definitions[name]["properties"][key]
        node["additionalProperties"] = _annotatable(node["additionalProperties"], annotation)
    required = whole.pop("required")
    whole["anyOf"] = [{"required": required}, {"required": ["name", LIKE]}]
    whole["properties"][LIKE] = {
        "type": "string",
        "description": f"shipped accelerator whose parameters these are, but for those of `{CHANGES}`",
    }
    whole["properties"][CHANGES] = {
        "type": "object",
        "description": f"parameters in place of those of `{LIKE}`, by their dotted paths",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def key_table() -> str:
    """Return a Markdown table of every key: what it may be, its unit, its default and its meaning."""
    rows = []
    for parameter in parameters().values():
        unit = "–" if parameter.unit in ("", "1") else parameter.unit
        allowed = parameter.allowed.removesuffix(f" ({parameter.unit})")
        description = Markdown(parameter.description)
        rows.append((code(parameter.path), allowed, unit, _default(parameter), description))
    return markdown_table(("key", "allowed", "unit", "default", "meaning"), rows, left=range(5))


def _annotatable(node: dict[str, Any], annotation: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that may be given plainly or with its provenance."""
    outer: dict[str, Any] = {
        key: node[key] for key in ("title", "description", "default", "unit") if key in node
    }
    inner = {key: item for key, item in node.items() if key not in outer and key != "allowed"}
    properties = {"value": inner, **annotation["properties"]}
    annotated = {
        "type": "object",
        "properties": properties,
        "required": ["value", "provenance"],
        "additionalProperties": False,
    }
    return {**outer, "anyOf": [inner, annotated]}


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    if parameter.path == OVERRIDES:
        return code("{}")
    if parameter.default == "":
        return "empty"
    if isinstance(parameter.default, list):
        return code(f"[{', '.join(parameter.default)}]")
    if isinstance(parameter.default, float):
        return code(f"{parameter.default:g}")
    return code(parameter.default if isinstance(parameter.default, str) else shown(parameter.default))
