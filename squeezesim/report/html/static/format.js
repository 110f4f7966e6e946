// Numbers as people read them, by the rules of the tables.

const SI = ["", "k", "M", "G", "T", "P", "E"];
const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

function prefixed(value, base, prefixes) {
  let power = 0;
  while (power + 1 < prefixes.length && Math.round((value / base ** power) * 10) / 10 >= base) power += 1;
  const scaled = value / base ** power;
  if (power === 0) return `${scaled.toFixed(0)} ${prefixes[0]}`.trim();
  const digits = base === 1000 ? Math.max(0, 3 - Math.floor(Math.log10(Math.max(scaled, 1)))) : 1;
  return `${scaled.toFixed(digits)} ${prefixes[power]}`;
}

const format = {
  count: (value) => (value === null ? "–" : prefixed(value, 1000, SI)),
  size: (value) => (value === null ? "–" : prefixed(value, 1024, IEC)),
  share: (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`),
  decimal(value) {
    if (value === null) return "–";
    if (value === 0) return "0";
    const digits = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value))));
    return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  },
  change(value, base) {
    if (value === null || base === null || base === 0) return "";
    const ratio = value / base;
    if (ratio >= 2) return `×${ratio.toPrecision(3)}`;
    const percent = 100 * (ratio - 1);
    if (Math.abs(percent) < 0.05) return "±0 %";
    return `${percent > 0 ? "+" : "−"}${Math.abs(percent).toFixed(1)} %`;
  },
  energy: (absolute) => (value) =>
    absolute ? `${format.decimal(value)} µJ` : `${format.count(value)} MAC-equivalents`,
  /** Ticks of an axis: as few digits as they need. */
  tick: (value) =>
    d3
      .format("~s")(value)
      .replace(/([kMGTPEmµn])$/, " $1"),
};
