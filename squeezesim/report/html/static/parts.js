// Parts that charts share: where they are drawn, the legend, the tip, moving through marks with the keyboard.
// Texts come from models and are only ever set as text.

const node = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const PAPER = { width: 690, card: 300 }; // pixels across the column of an A4 page, and across a card there
const plots = new Map(); // by figure, what draws it anew
let printing = false;

/**
 * Draw into the figure's plot, and again when its width changes, on the screen or for the paper, and when one of its
 * controls does. What drew it before is forgotten.
 */
function plot(figure, draw) {
  const box = figure.querySelector(".plot");
  let last = 0;
  const redraw = () => {
    const width = Math.floor(box.clientWidth);
    if (width < 50) return;
    last = width;
    box.replaceChildren();
    draw(box, printing ? PAPER.width : width);
  };
  plots.get(figure)?.observer.disconnect();
  const observer = new ResizeObserver(() => {
    if (!printing && Math.floor(box.clientWidth) !== last) redraw();
  });
  observer.observe(box);
  plots.set(figure, { redraw, observer });
  figure.onchange = redraw;
  return redraw;
}

/** Draw everything for the paper, or for the screen again. */
function onPaper(on) {
  printing = on;
  for (const { redraw } of plots.values()) redraw();
}

const pencil = document.createElement("canvas").getContext("2d");
const widths = new Map();

/** Pixels that a text of a chart takes. */
function measure(text, style = "12px") {
  const key = `${style} ${text}`;
  if (!widths.has(key)) {
    pencil.font = `${style} ${getComputedStyle(document.body).fontFamily}`;
    widths.set(key, pencil.measureText(text).width);
  }
  return widths.get(key);
}

/** The text, or as much of both its ends as fits. */
function fit(text, width, style) {
  if (measure(text, style) <= width) return text;
  const letters = [...text];
  const cut = (count) => {
    const front = Math.ceil(count / 2);
    return `${letters.slice(0, front).join("")}…${letters.slice(letters.length - (count - front)).join("")}`;
  };
  let [low, high] = [0, letters.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (measure(cut(middle), style) <= width) low = middle;
    else high = middle - 1;
  }
  return low ? cut(low) : "";
}

function drawing(box, width, height, label) {
  return d3
    .select(box)
    .append("svg")
    .attr("viewBox", `0 0 ${width} ${height}`)
    .attr("width", width)
    .attr("height", height)
    .attr("role", "img")
    .attr("aria-label", label);
}

/** Name the parts of which any value is not zero. */
function legend(figure, kind, rows) {
  const box = figure.querySelector(".legend");
  const used = kind.keys.map((_, part) => rows.some((row) => row[part] > 0));
  box.replaceChildren(
    ...kind.labels
      .map((text, part) => [text, part])
      .filter(([, part]) => used[part])
      .map(([text, part]) =>
        node("span", {}, node("i", { class: `key fill-${kind.colours}-${kind.keys[part]}` }), text),
      ),
  );
}

const tip = {
  box: () => document.getElementById("tip"),
  show(target, heading, lines) {
    const box = tip.box();
    box.replaceChildren(node("strong", {}, heading), ...lines.map((line) => node("span", {}, line)));
    box.hidden = false;
    const at = target.getBoundingClientRect();
    const own = box.getBoundingClientRect();
    const left = Math.min(Math.max(at.left + at.width / 2 - own.width / 2, 8), innerWidth - own.width - 8);
    const above = Math.max(at.top, 0) - own.height - 10;
    box.style.left = `${Math.max(left, 8)}px`;
    box.style.top = `${above > 8 ? above : Math.min(Math.max(at.bottom, 0) + 10, innerHeight - own.height - 8)}px`;
  },
  hide() {
    tip.box().hidden = true;
  },
};

/** What the tip and a screen reader say of a layer. */
function layerLines(result, layer) {
  const of = result.layers;
  const energy = format.energy(result.absolute)(
    result.absolute ? of.energy_uj[layer] : of.energy_mac_equiv[layer],
  );
  const what = [of.op[layer], of.dataflow[layer], of.bound[layer] && `bound: ${of.bound[layer]}`];
  return [
    what.filter(Boolean).join(" · "),
    `${format.count(of.cycles[layer])} cycles, ${format.share(of.share[layer])} of the time`,
    of.macs[layer]
      ? `${format.share(of.utilization[layer])} utilization, ${format.count(of.macs[layer])} MACs`
      : "no MACs",
    `energy ${energy}, DRAM ${format.size(of.dram_bytes[layer])}`,
  ];
}

let marked = 0;

/**
 * Make marks, each bound to {layer}, options of a list: pointer and arrow keys hover, a click and Enter choose.
 * What is said of a mark is `lines`, by default that of its layer.
 */
function listed(list, marks, result, state, { label, from, lines = (d) => layerLines(result, d.layer) }) {
  const layers = marks.data().map((d) => d.layer);
  const say = (mark, d) => tip.show(mark, result.layers.name[d.layer], lines(d));
  list
    .attr("role", "listbox")
    .attr("tabindex", 0)
    .attr("aria-label", `${label}. Arrow keys move, Enter chooses.`);
  marks
    .attr("role", "option")
    .attr("id", () => `mark-${(marked += 1)}`)
    .attr("aria-label", (d) => `${result.layers.name[d.layer]}: ${lines(d).join(", ")}`)
    .on("pointerenter", (event, d) => {
      state.hover(d.layer, from);
      say(event.currentTarget, d);
    })
    .on("pointerleave", () => {
      state.hover(null, from);
      tip.hide();
    })
    .on("click", (_, d) => state.choose(d.layer, from));
  const go = (place) => {
    const bounded = Math.min(Math.max(place, 0), layers.length - 1);
    const mark = marks.nodes()[bounded];
    list.attr("aria-activedescendant", mark.id);
    state.hover(layers[bounded], from);
    mark.scrollIntoView({ block: "nearest", inline: "nearest" });
    say(mark, marks.data()[bounded]);
  };
  const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
  list
    .on("keydown", (event) => {
      const place = layers.indexOf(state.hovered);
      if (event.key in moves) go(place < 0 ? 0 : place + moves[event.key]);
      else if (event.key === "Home") go(0);
      else if (event.key === "End") go(layers.length - 1);
      else if ((event.key === "Enter" || event.key === " ") && place >= 0) state.choose(layers[place], from);
      else if (event.key === "Escape") tip.hide();
      else return;
      event.preventDefault();
    })
    .on("blur", () => {
      state.hover(null, from);
      tip.hide();
    });
  const mark = () => state.mark(marks);
  state.on(`hover.${from}`, mark).on(`choose.${from}`, mark).on(`filter.${from}`, mark);
  mark();
}
