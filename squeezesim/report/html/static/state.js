// What is hovered, chosen and shown of one result. Its charts and its table listen to "hover", "choose" and "filter".

function resultState(count) {
  const events = d3.dispatch("hover", "choose", "filter");
  const state = {
    hovered: null,
    chosen: null,
    shown: Array(count).fill(true),
    on(type, listener) {
      events.on(type, listener);
      return state;
    },
    /** `from` names the part of the page that says so; it need not follow itself. */
    hover(layer, from) {
      if (state.hovered === layer) return;
      state.hovered = layer;
      events.call("hover", null, from);
    },
    choose(layer, from) {
      state.chosen = state.chosen === layer ? null : layer;
      events.call("choose", null, from);
    },
    show(shown) {
      state.shown = shown;
      events.call("filter");
    },
    /** Mark the nodes of a chart, each of which is bound to {layer}. */
    mark(nodes) {
      nodes
        .classed("hovered", (d) => d.layer === state.hovered)
        .classed("chosen", (d) => d.layer === state.chosen)
        .classed("dimmed", (d) => !state.shown[d.layer])
        .attr("aria-selected", (d) => String(d.layer === state.chosen));
    },
  };
  return state;
}
