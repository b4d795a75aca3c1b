/**
 * Figure "approximation": features and weights of trained softmax networks beside the modes, as the dependence fades.
 *
 * Above, as bars, the part of a mode that the trained features can express, with the mode as outlines. Below, the
 * largest angle between the features and the modes against ε, on logarithmic axes; a point on it is dragged.
 *
 * @typedef {Object} Side
 * @property {string} name
 * @property {string[]} labels
 * @property {number[][]} modes                one row for each mode
 *
 * @typedef {Object} Fit
 * @property {number} angle                    degrees
 * @property {number[][]} part                 of each of the first k modes, its projection on the span of the features
 *
 * @typedef {Object} Run
 * @property {number} k
 * @property {Fit[]} x                         one for each ε
 * @property {Fit[]} y
 */
ufsFigures.register("approximation", (root, /** @type {{eps: number[], x: Side, y: Side, runs: Run[]}} */ data, store) => {
  const { html, svg, place, letter, fixed, clamp, glide, button, press, controls, output, announcer } = ufsFigures;
  const { handle, draggable, onKeys, keepArrows, whenNarrow } = ufsFigures;
  const WIDTH = 340;
  const ROW = 26;
  const CHART = { wide: 700, narrow: 340, height: 250, left: 52, right: 20, top: 14, bottom: 42 };
  const NARROW = 544; // pixels, as in the style sheet: 34rem
  const LEAST = 1e-3; // degrees: the lowest angle of the chart, below which one is as good as zero
  const SIDES = { x: "features", y: "weights" };
  const last = data.eps.length - 1;

  // ---- the bars -------------------------------------------------------------------------------------------------

  /** Bars with outlines, one row for each symbol; of the range, the same on both sides. */
  function bars(labels, range) {
    const height = ROW * labels.length + 8;
    const node = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", style: "cursor: default" });
    const from = clamp(7.2 * Math.max(...labels.map((label) => label.length)) + 10, 40, 150);
    const middle = (from + WIDTH) / 2;
    const unit = (WIDTH - from) / 2 / range;
    const box = (i, value) => {
      const low = middle + Math.min(0, value) * unit;
      return { x: low, width: Math.abs(value) * unit, y: i * ROW + 9, height: 16 };
    };
    const filled = labels.map(() => svg("rect", { style: "fill: var(--ufs-side); fill-opacity: 0.55" }));
    const outlines = labels.map(() =>
      svg("rect", { style: "fill: none; stroke: currentcolor; stroke-width: 1.2" }));
    const texts = labels.map((label, i) =>
      svg("text", { x: from - 6, y: i * ROW + 21, "text-anchor": "end" },
        label.length > 19 ? label.slice(0, 18) + "…" : label));
    node.append(...filled, svg("line", { x1: middle, x2: middle, y1: 0, y2: height, class: "ufs-axis" }), ...outlines,
      ...texts);
    return {
      node,
      fill: (values) => filled.forEach((bar, i) => place(bar, box(i, values[i]))),
      outline: (values) => outlines.forEach((bar, i) => place(bar, box(i, values[i]))),
    };
  }

  // ---- the chart of the angle -----------------------------------------------------------------------------------

  const decades = (low, high) => {
    const powers = [];
    for (let power = Math.ceil(low - 1e-9); power <= high + 1e-9; power++) powers.push(power);
    return powers;
  };

  const plain = (value) => String(Number(value.toPrecision(1))); // 0.001 … 100

  function chart(run) {
    const { height, left, right, top, bottom } = CHART;
    const width = narrow ? CHART.narrow : CHART.wide; // letters stay as large as they are
    const [first, end] = [Math.log10(data.eps[0]), Math.log10(data.eps[last])];
    const angles = ["x", "y"].flatMap((side) => run[side].map((fit) => fit.angle)).filter((angle) => angle >= LEAST);
    const low = Math.floor(Math.log10(Math.min(1, ...angles)));
    const upper = 2; // 100 degrees
    const toX = (eps) => left + ((Math.log10(eps) - first) / (end - first)) * (width - left - right);
    const toY = (angle) =>
      top + ((upper - Math.max(Math.log10(Math.max(angle, 1e-300)), low)) / (upper - low)) * (height - top - bottom);
    const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, style: "max-width: none" });
    for (const power of decades(low, upper)) {
      const y = toY(10 ** power);
      node.append(
        svg("line", { class: "ufs-axis", x1: left, x2: width - right, y1: y, y2: y }),
        svg("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, `${plain(10 ** power)}°`),
      );
    }
    for (const value of decades(first - 1, end).flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power))) {
      const x = toX(value);
      if (x < left - 1 || x > width - right + 1) continue;
      node.append(svg("text", { x, y: height - bottom + 18, "text-anchor": "middle" }, plain(value)));
    }
    node.append(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "ε"));
    for (const side of ["y", "x"]) {
      const shown = run[side].map((fit, i) => [toX(data.eps[i]), toY(fit.angle)]);
      const exact = run[side].every((fit) => fit.angle < LEAST);
      if (exact) continue;
      const colour = `var(--ufs-${side}-side)`;
      const at = Math.floor(last * 0.3);
      node.append(
        svg("path", { d: `M${shown.map((point) => point.join(" ")).join("L")}`, style: `fill: none; stroke: ${colour}; stroke-width: 1.6` }),
        ...shown.map(([cx, cy]) => svg("circle", { cx, cy, r: 3, style: `fill: ${colour}` })),
        svg("text", { x: shown[at][0] + (side === "x" ? -8 : 8), y: shown[at][1] + (side === "x" ? -10 : 20),
          "text-anchor": side === "x" ? "end" : "start", style: `fill: ${colour}` }, SIDES[side]),
      );
    }
    const point = handle("Strength of the dependence", last);
    node.append(point);
    const nearest = ([x]) => {
      const distances = data.eps.map((eps) => Math.abs(toX(eps) - x));
      return distances.indexOf(Math.min(...distances));
    };
    draggable(node, [point], (spot) => lead({ step: nearest(spot) }));
    onKeys(point, { ArrowLeft: () => step - 1, ArrowDown: () => step - 1, ArrowRight: () => step + 1,
      ArrowUp: () => step + 1, Home: () => 0, End: () => last }, (target) => lead({ step: target() }));
    return {
      node,
      point,
      update() {
        place(point, { transform: `translate(${toX(data.eps[step])} ${toY(run.x[step].angle)})` });
      },
    };
  }

  // ---- putting it together --------------------------------------------------------------------------------------

  const group = (label, ...nodes) =>
    controls(label, html("span", { class: "ufs-prompt", style: "flex-basis: auto; min-width: 4.6rem" }, label), ...nodes);
  const PRESSED = { fontWeight: "700", borderColor: "var(--ufs-x-side)" };

  const ks = data.runs.map((run) => run.k);
  const kButtons = ks.map((value) => button(`k = ${value}`, () => lead({ features: value })));
  const modeButtons = Array.from({ length: Math.max(...ks) }, (_, i) =>
    button(`mode ${i + 1}`, () => lead({ mode: i + 1 })));
  const slider = html("input", { type: "range", min: 0, max: last, step: 1, "aria-label": "Strength of the dependence",
    style: "accent-color: var(--ufs-x-side); align-self: center; flex: 1 1 8rem; min-width: 6rem" });
  const panels = { x: html("div", { class: "ufs-plane ufs-x" }), y: html("div", { class: "ufs-plane ufs-y" }) };
  const below = html("div", { class: "ufs-plane", style: "grid-column: 1 / -1; --ufs-side: var(--ufs-x-side)" });
  const names = ["eps", "x", "y"];
  const outputs = Object.fromEntries(names.map((name) => [name, output(`out-${name}`)]));
  const aloud = announcer();

  const range = 1.08 * Math.max(...["x", "y"].flatMap((side) => data[side].modes.flat().map(Math.abs)));
  const sides = Object.fromEntries(["x", "y"].map((side) => [side, bars(data[side].labels, range)]));
  const titles = { x: html("p", { class: "ufs-title" }), y: html("p", { class: "ufs-title" }) };
  for (const side of ["x", "y"]) panels[side].append(titles[side], sides[side].node);

  root.append(
    html("div", { class: "ufs-transport ufs-approximation" },
      group("Network", ...kButtons), group("Compare", ...modeButtons), group("Fade", slider),
      panels.x, panels.y, below,
      html("p", { class: "ufs-reading" },
        html("span", {}, letter("ε"), " = ", outputs.eps),
        html("span", {}, "angle of the features: ", outputs.x),
        html("span", {}, "angle of the weights: ", outputs.y)),
      aloud.node),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  let features = ks[0];
  let mode = 1;
  let step = last;
  let narrow = false;
  let curve = null;
  let shown = null; // the values that the bars have now
  let stop = () => {};

  const run = () => data.runs[ks.indexOf(features)];
  const degrees = (angle) =>
    angle < LEAST ? "0°" : `${fixed(angle, Math.max(0, Math.min(3, 1 - Math.floor(Math.log10(angle)))))}°`;

  function build() {
    curve = chart(run());
    const focused = below.contains(document.activeElement);
    below.replaceChildren(
      html("p", { class: "ufs-title" }, "Largest angle to the first ", features === 1 ? "mode" : `${features} modes`),
      curve.node);
    if (focused) curve.point.focus();
    press(kButtons, ks.indexOf(features), PRESSED);
    press(modeButtons, mode - 1, PRESSED);
    modeButtons.forEach((node, i) => {
      node.disabled = i >= features;
      node.style.opacity = node.disabled ? "0.45" : "";
    });
  }

  function paint(values) {
    for (const side of ["x", "y"]) sides[side].fill(values[side]);
    shown = values;
  }

  function draw() {
    const index = String(mode);
    const values = { x: run().x[step].part[mode - 1], y: run().y[step].part[mode - 1] };
    for (const [side, name] of [["x", "f"], ["y", "g"]]) {
      const whole = data[side].modes[mode - 1];
      sides[side].outline(whole);
      titles[side].replaceChildren("the ", SIDES[side], "’ part of ", letter(name, "", index), ", ",
        html("b", {}, data[side].name), "; outline: ", letter(name, "", index));
      place(sides[side].node, {
        "aria-label": `Part of ${name}${index} that the ${SIDES[side]} express, and ${name}${index}: ` +
          data[side].labels.map((label, i) => `${label} ${fixed(values[side][i], 2)} of ${fixed(whole[i], 2)}`).join(", "),
      });
    }
    stop();
    const old = shown;
    const mixed = (t) => Object.fromEntries(["x", "y"].map((side) =>
      [side, values[side].map((value, i) => old[side][i] * (1 - t) + value * t)]));
    if (old) stop = glide((t) => paint(t < 1 ? mixed(t) : values), 200);
    else paint(values);
    curve.update();
    const eps = fixed(data.eps[step], 3);
    outputs.eps.textContent = eps;
    const angles = { x: degrees(run().x[step].angle), y: degrees(run().y[step].angle) };
    for (const side of ["x", "y"]) outputs[side].textContent = angles[side];
    slider.value = String(step);
    const said = `ε ${eps}, angle of the features ${angles.x}`;
    slider.setAttribute("aria-valuetext", said);
    place(curve.point, { "aria-valuenow": step, "aria-valuetext": said });
    aloud.say(`With ${features} feature${features > 1 ? "s" : ""} at ε ${eps}: the features are ${angles.x} from the ` +
      `modes, the weights ${angles.y}.`);
  }

  /** Change part of the state, as the reader says. */
  function lead(changes) {
    const rebuilt = "features" in changes || "mode" in changes;
    ({ features, mode, step } = { features, mode, step, ...changes });
    mode = Math.min(mode, features);
    step = clamp(step, 0, last);
    if (rebuilt) build();
    draw();
    store.set({ features, mode, step });
  }

  function readStore() {
    features = ks.includes(store.get("features")) ? store.get("features") : ks[0];
    mode = clamp(store.get("mode"), 1, features);
    step = clamp(store.get("step"), 0, last);
    build();
    draw();
  }

  slider.addEventListener("input", () => lead({ step: Number(slider.value) }));
  keepArrows(slider);

  narrow = whenNarrow(root, NARROW, (now) => {
    narrow = now;
    build();
    draw();
  });

  store.onChange(["features", "mode", "step"], readStore);
  readStore();
});
