// Buttons that take a chart or a table out of the page: SVG, CSV, a copy for a spreadsheet or a terminal.

const FORMULA = ["=", "+", "-", "@", "\t", "\r", "'"]; // a cell that starts so would be one in a spreadsheet
const STYLED = [
  ...["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "opacity", "paint-order"],
  ...["font-family", "font-size", "font-weight", "text-anchor", "dominant-baseline"],
];

function tool(text, says, act) {
  const button = node("button", { type: "button", class: "tool", title: says }, text);
  button.addEventListener("click", () => act(button));
  return button;
}

function download(name, type, content) {
  const link = node("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Copy, also where a page from disk has no clipboard of its own, and say so on the button. */
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = node("textarea", { class: "hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const before = button.textContent;
  button.textContent = "copied";
  setTimeout(() => (button.textContent = before), 1200);
}

/** The cells of a table as they are read, without what stands for screen readers and bars alone. */
function cells(table) {
  return [...table.rows]
    .filter((row) => !row.hidden && !row.classList.contains("opened"))
    .map((row) => [...row.cells].map((cell) => (cell.dataset.value ?? cell.innerText).replace(/\s+/g, " ").trim()));
}

function csv(rows) {
  const quoted = (value) => {
    let text = String(value ?? "");
    if (typeof value !== "number" && FORMULA.includes(text[0])) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(quoted).join(",")).join("\n") + "\n";
}

/** A drawing by itself, with the colours that it has on the page now. */
function standalone(svg) {
  const made = svg.cloneNode(true);
  const [from, to] = [svg, made].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((element, place) => {
    const style = getComputedStyle(element);
    for (const name of STYLED) to[place].setAttribute(name, plainColour(style.getPropertyValue(name)));
    for (const name of ["class", "id", "role", "tabindex"]) to[place].removeAttribute(name);
  });
  const paper = document.createElementNS(svg.namespaceURI, "rect");
  const sides = { width: "100%", height: "100%", fill: getComputedStyle(document.body).backgroundColor };
  for (const [name, value] of Object.entries(sides)) paper.setAttribute(name, value);
  made.prepend(paper);
  made.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new XMLSerializer().serializeToString(made);
}

/** A colour that other programs know: mixed ones are computed. */
function plainColour(value) {
  if (!/^(color|oklab|oklch|lab|lch)\(/.test(value)) return value;
  pencil.clearRect(0, 0, 1, 1);
  pencil.fillStyle = value;
  pencil.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = pencil.getImageData(0, 0, 1, 1).data;
  return `rgba(${red}, ${green}, ${blue}, ${alpha / 255})`;
}

/** Give every chart and table below `root` its buttons; files are called `name` and what they hold. */
function exports(root, name, rowsOf = cells) {
  const file = (part) => `${name}__${part}`.replace(/[^\w.-]+/g, "_");
  for (const figure of root.querySelectorAll("figure.chart")) {
    const save = () => {
      const drawings = [...figure.querySelectorAll("svg[role]")];
      drawings.forEach((svg, place) => {
        const number = drawings.length > 1 ? `_${place + 1}` : "";
        download(file(`${figure.dataset.chart}${number}.svg`), "image/svg+xml", standalone(svg));
      });
    };
    figure.querySelector("figcaption").prepend(tools(tool("SVG", "Save this chart as SVG", save)));
  }
  for (const box of root.querySelectorAll("div.table")) {
    const table = box.querySelector("table");
    const part = table.className.split(" ")[0];
    const save = () => download(file(`${part}.csv`), "text/csv", csv(rowsOf(table)));
    const tabs = () => rowsOf(table).map((row) => row.join("\t")).join("\n");
    box.before(
      tools(
        tool("CSV", "Save this table as CSV", save),
        tool("copy", "Copy this table for a spreadsheet", (button) => copy(tabs(), button)),
      ),
    );
  }
  for (const box of root.querySelectorAll("div.code")) {
    const text = () => box.querySelector("pre").textContent;
    box.prepend(tools(tool("copy", "Copy this text", (button) => copy(text(), button))));
  }
}

const tools = (...buttons) => node("div", { class: "tools" }, ...buttons);
