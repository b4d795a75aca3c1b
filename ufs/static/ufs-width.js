/**
 * Figure "width": a free feature of X and its projection on a layer of m random units.
 *
 * On the left the feature as outlines and its projection as bars. On the right the share of σ² that the projection
 * keeps, for every width, with the share that a random span of m dimensions keeps on average.
 *
 * @typedef {Object} Table
 * @property {string} name
 * @property {string} x                        name of X
 * @property {string[]} labels
 * @property {number[]} px
 * @property {number[]} sigma                  of the modes that can be the target
 * @property {number[][]} modes                the targets, one row for each
 * @property {number[][][]} layers             for each layer orthonormal features; the first m span m units
 */
ufsFigures.register("width", (root, /** @type {{tables: Table[]}} */ data, store) => {
  const { html, svg, place, letter, fixed, percent, clamp, sum, glide, button, press, controls, output, announcer } =
    ufsFigures;
  const { keepArrows } = ufsFigures;
  const SIZE = 340;
  const MANY = 12; // symbols from which the bars stand upright, each over a short label
  const CHART = { height: 226, left: 44, right: 14, top: 16, bottom: 40 };

  const inner = (p, f, g) => sum(p.map((weight, i) => weight * f[i] * g[i]));

  /** The projections of one mode on the first m features of one layer, and their shares, for m = 0, 1, …. */
  function projections({ px, modes, layers }, mode, layer) {
    const target = modes[mode];
    const size = inner(px, target, target);
    const steps = [{ values: target.map(() => 0), share: 0 }];
    for (const feature of layers[layer]) {
      const along = inner(px, target, feature);
      const { values, share } = steps[steps.length - 1];
      steps.push({ values: values.map((value, i) => value + along * feature[i]), share: share + along ** 2 / size });
    }
    return steps;
  }

  // ---- the bars -------------------------------------------------------------------------------------------------

  /** Bars inside outlines of the target; lying where there are few symbols, standing where many. */
  function bars({ labels }, target, range) {
    const lying = labels.length <= MANY;
    const height = lying ? 26 * labels.length + 8 : 226;
    const longest = Math.min(19, Math.max(...labels.map((label) => label.length)));
    const from = lying ? clamp(7.2 * longest + 10, 40, 150) : 0;
    const middle = lying ? (from + SIZE) / 2 : (height - 22) / 2;
    const unit = (lying ? (SIZE - from) / 2 : (height - 26) / 2) / range;
    const pitch = lying ? 26 : SIZE / labels.length;
    const thick = lying ? 16 : 0.72 * pitch;
    const box = (i, value) => {
      const start = i * pitch + (pitch - thick) / 2 + (lying ? 4 : 0);
      const [low, size] = [unit * Math.min(0, value), unit * Math.abs(value)];
      return lying
        ? { x: middle + low, width: size, y: start, height: thick }
        : { x: start, width: thick, y: middle - low - size, height: size };
    };
    const filled = target.map(() => svg("rect", { style: "fill: var(--ufs-side); fill-opacity: 0.55" }));
    const outlines = target.map((value, i) =>
      svg("rect", { ...box(i, value), style: "fill: none; stroke: currentcolor; stroke-width: 1.2" }));
    const names = labels.map((label, i) =>
      lying
        ? svg("text", { x: from - 6, y: i * pitch + 21, "text-anchor": "end" },
            label.length > 19 ? `${label.slice(0, 18)}…` : label)
        : svg("text", { x: (i + 0.5) * pitch, y: height - 6, "text-anchor": "middle", style: "font-size: 11px" },
            label.slice(0, 2)));
    const zero = lying ? { x1: middle, x2: middle, y1: 0, y2: height } : { x1: 0, x2: SIZE, y1: middle, y2: middle };
    const node = svg("svg", { viewBox: `0 0 ${SIZE} ${height}`, role: "img", style: "cursor: default" },
      ...filled, svg("line", { ...zero, class: "ufs-axis" }), ...outlines, ...names);
    return { node, update: (values) => filled.forEach((bar, i) => place(bar, box(i, values[i]))) };
  }

  // ---- the chart ------------------------------------------------------------------------------------------------

  function chart(steps) {
    const { height, left, right, top, bottom } = CHART;
    const most = steps.length - 1;
    const toX = (m) => left + (m / most) * (SIZE - left - right);
    const toY = (share) => height - bottom - clamp(share, 0, 1) * (height - top - bottom);
    const node = svg("svg", { viewBox: `0 0 ${SIZE} ${height}`, role: "img", style: "cursor: default",
      "aria-label": "Share that the projection keeps, against the number of units" });
    for (const share of [0, 0.5, 1]) {
      node.append(svg("line", { class: "ufs-axis", x1: left, x2: SIZE - right, y1: toY(share), y2: toY(share) }),
        svg("text", { x: left - 6, y: toY(share) + 4, "text-anchor": "end" }, `${100 * share}\u00a0%`));
    }
    const step = most > 12 ? 5 : 1;
    for (let m = 0; m <= most; m += step) {
      node.append(svg("text", { x: toX(m), y: height - bottom + 18, "text-anchor": "middle" }, String(m)));
    }
    const here = svg("circle", { r: 8, style: "fill: none; stroke: var(--ufs-side); stroke-width: 2" });
    node.append(
      svg("text", { x: (left + SIZE - right) / 2, y: height - 4, "text-anchor": "middle" }, "units below, ",
        svg("tspan", { class: "ufs-letter" }, "m")),
      svg("line", { x1: toX(0), y1: toY(0), x2: toX(most), y2: toY(1),
        style: "stroke: currentcolor; stroke-opacity: 0.65; stroke-dasharray: 4 4" }),
      ...steps.map(({ share }, m) => svg("circle", { cx: toX(m), cy: toY(share), r: 4, style: "fill: var(--ufs-side)" })),
      here);
    return { node, update: (m) => place(here, { cx: toX(m), cy: toY(steps[m].share) }) };
  }

  // ---- putting it together --------------------------------------------------------------------------------------

  const PRESSED = { fontWeight: "700", borderColor: "var(--ufs-x-side)" };
  const group = (label, ...nodes) =>
    controls(label, html("span", { class: "ufs-prompt", style: "flex-basis: auto; min-width: 3.2rem" }, label), ...nodes);

  const tableButtons = data.tables.map((one, i) => button(one.name, () => choose({ table: i })));
  const count = Math.min(...data.tables.map((one) => one.sigma.length));
  const modeButtons = Array.from({ length: count }, (_, i) =>
    button([letter("f", "", String(i + 1))], () => choose({ mode: i })));
  const layerButtons = data.tables[0].layers.map((_, i) =>
    button(`layer ${String.fromCharCode(65 + i)}`, () => choose({ layer: i })));
  const slider = html("input", { type: "range", min: 1, step: 1, "aria-label": "Units below",
    style: "accent-color: var(--ufs-x-side); align-self: center; flex: 1 1 8rem; min-width: 6rem" });
  const left = html("div", { class: "ufs-plane ufs-x" });
  const rightPanel = html("div", { class: "ufs-plane ufs-x" });
  const outputs = Object.fromEntries(["units", "share", "lost", "turn"].map((name) => [name, output(`out-${name}`)]));
  const aloud = announcer();

  root.append(
    html("div", { class: "ufs-transport" },
      group("Table", ...tableButtons), group("Target", ...modeButtons), group("Below", ...layerButtons),
      group("Width", slider), left, rightPanel,
      html("p", { class: "ufs-reading" },
        html("span", {}, "units: ", outputs.units),
        html("span", {}, "kept of σ²: ", outputs.share),
        html("span", {}, "loss of the projection: ", outputs.lost, " nats"),
        html("span", {}, "turned by ", outputs.turn)),
      aloud.node),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  const state = { table: 0, mode: 0, layer: 0, units: 1 };
  let drawn = null;
  let shown = null; // the values that the bars have now
  let stop = () => {};

  function build() {
    const one = data.tables[state.table];
    const steps = projections(one, state.mode, state.layer);
    state.units = clamp(state.units, 1, steps.length - 1);
    const target = one.modes[state.mode];
    const range = 1.05 * Math.max(...[...target, ...steps.flatMap(({ values }) => values)].map(Math.abs));
    drawn = { steps, bars: bars(one, target, range), chart: chart(steps) };
    left.replaceChildren(
      html("p", { class: "ufs-title" }, "outline: ", letter("f", "", String(state.mode + 1)), " of ",
        html("b", {}, one.x), "; filled: its projection"),
      drawn.bars.node);
    rightPanel.replaceChildren(
      html("p", { class: "ufs-title" }, "kept; dashed: the average over random spans"), drawn.chart.node);
    press(tableButtons, state.table, PRESSED);
    press(modeButtons, state.mode, PRESSED);
    press(layerButtons, state.layer, PRESSED);
    slider.max = String(steps.length - 1);
    shown = null;
  }

  function draw() {
    const { steps, bars: drawing, chart: curve } = drawn;
    const { values, share } = steps[state.units];
    const one = data.tables[state.table];
    const from = shown ?? values;
    stop();
    stop = glide((t) => {
      shown = values.map((value, i) => (1 - t) * from[i] + t * value);
      drawing.update(shown);
    }, 250);
    curve.update(state.units);
    const name = `f${state.mode + 1}`;
    const lost = (one.sigma[state.mode] ** 2 * (1 - share)) / 2;
    const degrees = (Math.acos(Math.sqrt(clamp(share, 0, 1))) * 180) / Math.PI;
    slider.value = String(state.units);
    slider.setAttribute("aria-valuetext", `${state.units} of ${steps.length - 1} units`);
    outputs.units.textContent = `${state.units} of ${steps.length - 1}`;
    outputs.share.textContent = percent(share, 1).replace("+", "");
    outputs.lost.textContent = fixed(Math.max(0, lost), 4);
    outputs.turn.textContent = `${fixed(degrees, 1)}°`;
    place(drawing.node, {
      "aria-label": `Projection of ${name}: ` + one.labels.map((label, i) => `${label} ${fixed(values[i], 2)}`).join(", "),
    });
    aloud.say(`${state.units} units keep ${percent(share, 0).replace("+", "")} of the target.`);
  }

  function choose(changes) {
    Object.assign(state, changes);
    build();
    draw();
    store.set({ ...state });
  }

  function readStore() {
    for (const key of Object.keys(state)) state[key] = store.get(key);
    build();
    draw();
  }

  slider.addEventListener("input", () => {
    state.units = Number(slider.value);
    draw();
    store.set({ ...state });
  });
  keepArrows(slider);

  store.onChange(Object.keys(state), readStore);
  readStore();
});
