// Line charts as SVG: axes, a legend, a read-out by pointer and arrow keys, and the same as a table.
import { fillTable, summarize } from "./chart-words.js";
import { h, number, svg } from "./dom.js";
import { logTicks, nearest, smooth, thin, ticks } from "./series.js";

const HEIGHT = 190;
const EDGE = { top: 8, right: 10, bottom: 22 };
const DIGIT = 6.7; // pixels of an axis label
const MAX_POINTS = 1000;

let count = 0;

/**
 * A chart: {element, update(series)}, where series are {name, points: [[x, y], …]} by x.
 *
 * `format` writes a y; `x` names the x axis. `log` and `smooth` offer a switch to each.
 */
export function lineChart({
  title,
  x = "step",
  format = number,
  log = false,
  smooth: smoothable = false,
  note,
}) {
  const id = `chart-${(count += 1)}`;
  const state = { series: [], log: false, smooth: false, at: null, width: 0 };
  const drawing = svg("svg", {
    role: "img",
    tabindex: 0,
    height: HEIGHT,
    "aria-labelledby": `${id}-title`,
    "aria-describedby": `${id}-summary`,
  });
  const readout = h("output", { class: "readout small" });
  const legend = h("ul", { class: "legend small" });
  const summary = h("p", { id: `${id}-summary`, class: "summary muted small" });
  const rows = h("details", { class: "small" }, h("summary", {}, "As a table"));
  const toggle = (name, label) =>
    h(
      "button",
      {
        class: "quiet small",
        "aria-pressed": "false",
        onclick: (event) => {
          state[name] = !state[name];
          event.target.setAttribute("aria-pressed", String(state[name]));
          redraw();
        },
      },
      label,
    );
  const element = h(
    "figure",
    { class: "chart" },
    h(
      "figcaption",
      { class: "chart-head" },
      h("h3", { id: `${id}-title`, title: note }, title),
      h("span", {}, smoothable && toggle("smooth", "Smooth"), log && toggle("log", "Log")),
    ),
    legend,
    h("div", { class: "plot" }, drawing, readout),
    summary,
    rows,
  );

  const options = { x, format };
  const redraw = () => draw(drawing, readout, state, options);
  new ResizeObserver(([entry]) => {
    state.width = Math.round(entry.contentRect.width);
    redraw();
  }).observe(drawing.parentElement);
  follow(drawing, state, redraw);
  rows.addEventListener("toggle", () => fillTable(rows, state.series, options));

  function update(series) {
    // By its place among all, a series has the same colour in every chart, wherever others have no points.
    state.series = series.map((one, index) => ({ ...one, index })).filter((one) => one.points.length);
    legend.hidden = series.length < 2;
    if (!legend.hidden)
      legend.replaceChildren(...state.series.map((one) => h("li", {}, sample(one.index), one.name)));
    summary.textContent = summarize(state.series, options);
    summary.classList.toggle("sr-only", series.length > 1); // the legend and the read-out do for eyes
    if (rows.open) fillTable(rows, state.series, options);
    redraw();
  }

  return { element, update };
}

/** A short piece of a line as the chart draws it: colour and dashes tell series apart. */
function sample(index) {
  return svg(
    "svg",
    { width: 22, height: 8, "aria-hidden": "true" },
    svg("path", { class: lineClass(index), d: "M0 4h22" }),
  );
}

const lineClass = (index) => `line series-${(index % 6) + 1} dash-${Math.floor(index / 6) % 3}`;

/** Move the read-out by pointer and by keys. */
function follow(drawing, state, redraw) {
  const xs = () =>
    [...new Set(state.series.flatMap((one) => one.points.map(([x]) => x)))].sort((a, b) => a - b);
  drawing.addEventListener("pointermove", (event) => {
    if (!state.scale) return;
    state.at = state.scale.invert(event.clientX - drawing.getBoundingClientRect().left);
    redraw();
  });
  const leave = () => {
    state.at = null;
    redraw();
  };
  drawing.addEventListener("pointerleave", leave);
  drawing.addEventListener("blur", leave);
  drawing.addEventListener("keydown", (event) => {
    const all = xs();
    const now = state.at == null ? all.length : all.findIndex((x) => x >= state.at);
    const far = Math.max(Math.round(all.length / 10), 1);
    const moves = {
      ArrowLeft: now - 1,
      ArrowRight: now + 1,
      PageDown: now - far,
      PageUp: now + far,
      Home: 0,
      End: all.length - 1,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    state.at = all[Math.min(Math.max(moves[event.key], 0), all.length - 1)];
    redraw();
  });
}

function draw(drawing, readout, state, options) {
  const { width } = state;
  drawing.setAttribute("width", width);
  const lines = state.series.map((one) => {
    const points = state.log ? one.points.filter(([, y]) => y > 0) : one.points;
    return { ...one, points, drawn: state.smooth ? smooth(points, weightOf(points.length)) : points };
  });
  if (!width || !lines.some((one) => one.points.length)) {
    drawing.replaceChildren();
    return;
  }
  const scale = makeScale(lines, width, state.log, options.format);
  state.scale = scale;
  const path = (points) =>
    `M${thin(points, MAX_POINTS)
      .map(([x, y]) => `${scale.x(x).toFixed(1)} ${scale.y(y).toFixed(1)}`)
      .join("L")}`;
  drawing.replaceChildren(
    ...axes(scale, width, options),
    ...lines.flatMap((one) =>
      one.points.length === 0
        ? []
        : [
            state.smooth && svg("path", { class: `${lineClass(one.index)} faint`, d: path(one.points) }),
            svg("path", { class: lineClass(one.index), d: path(one.drawn) }),
            one.points.length === 1 &&
              svg("circle", {
                class: lineClass(one.index),
                cx: scale.x(one.points[0][0]),
                cy: scale.y(one.points[0][1]),
                r: 2.5,
              }),
          ].filter(Boolean),
    ),
  );
  mark(drawing, readout, lines, scale, state, options);
}

/** Functions from values to pixels, and ticks. */
function makeScale(lines, width, log, format) {
  const all = lines.flatMap((one) => one.points);
  const range = (index) =>
    all.reduce(
      ([low, high], point) => [Math.min(low, point[index]), Math.max(high, point[index])],
      [Infinity, -Infinity],
    );
  const [x0, x1] = range(0);
  let [y0, y1] = range(1);
  if (y0 === y1)
    [y0, y1] = y0 > 0 && log ? [y0 / 2, y0 * 2] : [y0 - Math.abs(y0 || 1) / 10, y1 + Math.abs(y1 || 1) / 10];
  if (!log) {
    const margin = (y1 - y0) * 0.06;
    [y0, y1] = [y0 >= 0 ? Math.max(y0 - margin, 0) : y0 - margin, y1 + margin];
  }
  const map = log ? Math.log10 : (value) => value;
  const yTicks = log ? logTicks(y0, y1) : ticks(y0, y1, 4);
  const left = 12 + DIGIT * Math.max(...yTicks.map((value) => format(value).length));
  const across = (width - left - EDGE.right) / (x1 - x0 || 1);
  const down = (HEIGHT - EDGE.top - EDGE.bottom) / (map(y1) - map(y0));
  return {
    left,
    x: (x) => left + (x - x0) * across,
    y: (y) => HEIGHT - EDGE.bottom - (map(y) - map(y0)) * down,
    invert: (pixel) => x0 + (pixel - left) / across,
    xTicks: ticks(x0, x1, Math.max(Math.floor(width / 90), 2)),
    yTicks,
  };
}

function axes(scale, width, { format }) {
  const bottom = HEIGHT - EDGE.bottom;
  return [
    ...scale.yTicks.flatMap((value) => {
      const y = scale.y(value).toFixed(1);
      return [
        svg("line", { class: "grid", x1: scale.left, x2: width - EDGE.right, y1: y, y2: y }),
        svg("text", { x: scale.left - 8, y: Number(y) + 4, "text-anchor": "end" }, format(value)),
      ];
    }),
    ...scale.xTicks.map((value) => {
      const x = scale.x(value);
      const anchor = x > width - 30 ? "end" : "middle";
      return svg(
        "text",
        { x: x.toFixed(1), y: bottom + 16, "text-anchor": anchor },
        value.toLocaleString("en"),
      );
    }),
  ];
}

/** How much smoothing so many points bear. */
const weightOf = (count) => Math.min(Math.max(1 - 8 / count, 0.5), 0.97);

/** Draw the read-out where the pointer or the keys are. */
function mark(drawing, readout, lines, scale, state, { x, format }) {
  readout.hidden = state.at == null;
  if (state.at == null) return;
  const found = lines
    .map((one) => ({ ...one, point: nearest(one.points, state.at) }))
    .filter((one) => one.point);
  const at = found.reduce(
    (best, one) => (Math.abs(one.point[0] - state.at) < Math.abs(best - state.at) ? one.point[0] : best),
    found[0].point[0],
  );
  const left = scale.x(at);
  drawing.append(
    svg("line", { class: "cursor", x1: left, x2: left, y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
    ...found.map(({ index, point }) =>
      svg("circle", {
        class: `dot series-${(index % 6) + 1}`,
        cx: scale.x(point[0]),
        cy: scale.y(point[1]),
        r: 3.5,
      }),
    ),
  );
  readout.replaceChildren(
    h("span", { class: "muted" }, `${x} ${at.toLocaleString("en")}`),
    ...found.map(({ index, name, point }) =>
      h("span", {}, lines.length > 1 && [sample(index), `${name} `], h("strong", {}, format(point[1]))),
    ),
  );
  readout.classList.toggle("left", left > state.width / 2);
}
