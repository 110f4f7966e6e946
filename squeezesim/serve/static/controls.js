// Sliders with a field beside each: a slider goes over values that the server chose, a field takes any.

/** Make a control for each of `all`; `changed(path, value)` is told of every move. Returns what sets their values. */
function makeControls(form, all, changed) {
  const made = new Map();
  const groups = d3.group(all, (control) => control.group);
  const sets = [...groups].map(([group, members]) =>
    node(
      "fieldset",
      {},
      node("legend", {}, group),
      ...members.map((control) => {
        const one = makeControl(control, (value) => changed(control.path, value));
        made.set(control.path, one);
        return one.root;
      }),
    ),
  );
  form.replaceChildren(...sets);
  return {
    /** Show `values` by path; of others their own. */
    set(values) {
      for (const [path, one] of made) one.set(values[path] ?? one.control.value);
    },
    /** Mark the control that a message begins with, if any. */
    mark(message) {
      for (const [path, one] of made) one.mark(message.startsWith(`${path} `) || message.includes(`'${path}'`));
    },
    own: new Map([...made].map(([path, one]) => [path, one.control.value])),
  };
}

function makeControl(control, changed) {
  const id = `field-${control.path}`;
  const { values } = control;
  const slider = node("input", {
    ...{ type: "range", min: 0, max: Math.max(values.length - 1, 0), step: 1 },
    "aria-label": `${control.group}: ${control.label}`,
    "data-path": control.path,
  });
  slider.disabled = values.length < 2;
  const field = node("input", {
    ...{ type: "text", inputmode: "decimal", id, spellcheck: "false", title: control.allowed },
    "data-field": control.path,
  });
  const label = node("label", { for: id }, node("bdi", {}, control.label));
  if (control.unit) label.append(" ", node("small", {}, control.unit));
  const root = node("div", { class: "control" }, label, field, slider);
  const place = (value) => (typeof value === "number" ? d3.leastIndex(values, (one) => Math.abs(one - value)) : 0);
  const say = (value) => slider.setAttribute("aria-valuetext", `${value} ${control.unit}`.trim());
  slider.addEventListener("input", () => {
    const value = values[Number(slider.value)];
    field.value = String(value);
    say(value);
    changed(value);
  });
  field.addEventListener("change", () => {
    const text = field.value.trim();
    const number = Number(text);
    const value = text !== "" && Number.isFinite(number) ? number : text;
    slider.value = String(place(value));
    say(value);
    changed(value);
  });
  return {
    control,
    root,
    set(value) {
      field.value = String(value);
      slider.value = String(place(value));
      say(value);
      root.classList.toggle("moved", value !== control.value);
    },
    mark(wrong) {
      field.setAttribute("aria-invalid", String(wrong));
    },
  };
}
