/**
 * Figure "cost": the time that an H-score takes, by a model, against one of its four sizes, and what it consists of.
 *
 * On the left the time and the limit that products alone set, both axes logarithmic, with the measured points: full
 * where their other sizes are those of the curve, faint elsewhere. On the right the parts of the time.
 *
 * @typedef {Object} Data
 * @property {{product: number, number: number, end: number, call: number}} rates
 * @property {{n: number, d: number, classes: number, seconds: number}[]} points
 * @property {number[]} networks               Gbit/s
 * @property {Object<string, [number, number]>} ranges
 * @property {[string, number, number, number, number][]} examples   name, n, d, classes, workers
 */
ufsFigures.register("cost", (root, /** @type {Data} */ data, store) => {
  const { html, svg, place, clamp, sum, button, press, controls, output, announcer, handle, draggable, onKeys } =
    ufsFigures;
  const BOX = { width: 340, height: 300, left: 50, right: 12, top: 12, bottom: 42 };
  const TIMES = [[1e-3, "1 ms"], [1, "1 s"], [60, "1 min"], [3600, "1 h"], [86400, "1 day"]];
  const [FAST, SLOW] = [2e-4, 1e6]; // seconds at bottom and top
  const SIZES = { n: "samples", d: "features", classes: "classes", workers: "machines" };
  const PARTS = { product: "products", pass: "reading, centring", network: "network", end: "solving at the end" };
  const STEP = 0.02; // of a slider, in powers of ten

  // ---- the model ------------------------------------------------------------------------------------------------

  function parts({ n, d, classes: g, workers: w, network, double }) {
    const { rates, networks } = data;
    const m = Math.min(d, g);
    const end = d ** 3 / 3 + 2 * d ** 2 * g + 2 * d * g * m + (4 / 3) * m ** 3;
    return {
      product: ((double ? 2 : 1) * n * d * (d + 1)) / rates.product / w,
      pass: (n * d * rates.number) / w,
      network: (16 * (w - 1) * (d * d + (d + 1) * g)) / w / ((networks[network] * 1e9) / 8),
      end: end / rates.end + rates.call,
    };
  }

  const total = (one) => sum(Object.values(parts(one)));

  // ---- words ----------------------------------------------------------------------------------------------------

  function duration(seconds) {
    const [size, unit] =
      seconds < 1 ? [1e-3, "ms"] : seconds < 120 ? [1, "s"] : seconds < 7200 ? [60, "min"]
        : seconds < 172800 ? [3600, "h"] : [86400, "days"];
    const value = seconds / size;
    return `${value < 0.995 ? value.toFixed(2) : value < 99.5 ? value.toPrecision(2) : Math.round(value)}\u00a0${unit}`;
  }

  function bytes(size) {
    const power = clamp(Math.floor(Math.log10(Math.max(size, 1)) / 3), 0, 5);
    return `${(size / 1000 ** power).toPrecision(3)}\u00a0${["B", "kB", "MB", "GB", "TB", "PB"][power]}`;
  }

  const count = (value) => Math.round(value).toLocaleString("en");

  // ---- the curve ------------------------------------------------------------------------------------------------

  const toY = (seconds) => {
    const share = Math.log(clamp(seconds, FAST, SLOW) / FAST) / Math.log(SLOW / FAST);
    return BOX.height - BOX.bottom - share * (BOX.height - BOX.top - BOX.bottom);
  };
  const scale = (axis) => {
    const [low, high] = data.ranges[axis].map(Math.log10);
    const width = BOX.width - BOX.left - BOX.right;
    return {
      low, high,
      toX: (value) => BOX.left + (width * (Math.log10(value) - low)) / (high - low),
      fromX: (x) => 10 ** clamp(low + ((x - BOX.left) / width) * (high - low), low, high),
    };
  };

  const grid = svg("g");
  const dots = svg("g");
  const curve = svg("path", { style: "fill: none; stroke: var(--ufs-x-side); stroke-width: 2" });
  const limit = svg("path", { style: "fill: none; stroke: currentcolor; stroke-width: 1.2; stroke-dasharray: 5 4" });
  const knob = handle("Size on the axis", 1);
  const limitName = svg("text", { style: "font-size: 11.5px" }, "products alone");
  const drawing = svg("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: "group",
    "aria-label": "Time against the size on the axis", style: "cursor: ew-resize; touch-action: pan-y" },
    grid, limit, curve, dots, limitName, knob);

  function drawGrid(axis) {
    const { low, high, toX } = scale(axis);
    grid.replaceChildren();
    for (const [seconds, name] of TIMES) {
      const y = toY(seconds);
      grid.append(svg("line", { class: "ufs-axis", x1: BOX.left, x2: BOX.width - BOX.right, y1: y, y2: y }),
        svg("text", { x: BOX.left - 6, y: y + 4, "text-anchor": "end", style: "font-size: 11.5px" }, name));
    }
    const every = high - low > 5 ? 2 : 1;
    for (let power = Math.ceil(low); power <= high; power += every) {
      const text = svg("text", { x: toX(10 ** power), y: BOX.height - BOX.bottom + 18, "text-anchor": "middle" }, "10",
        svg("tspan", { class: "ufs-index", dy: -5 }, String(power)));
      grid.append(text);
    }
    grid.append(svg("text", { x: (BOX.left + BOX.width - BOX.right) / 2, y: BOX.height - 5, "text-anchor": "middle" },
      SIZES[axis]));
  }

  function drawCurves() {
    const { low, high, toX } = scale(state.axis);
    const path = (height) => {
      const steps = Array.from({ length: 81 }, (_, i) => 10 ** (low + (i / 80) * (high - low)));
      const inside = steps.filter((value) => height(value) >= FAST && height(value) <= SLOW);
      const points = inside.map((value) => `${toX(value).toFixed(1)},${toY(height(value)).toFixed(1)}`);
      return points.length ? "M" + points.join("L") : "";
    };
    place(curve, { d: path((value) => total({ ...state, [state.axis]: value })) });
    place(limit, { d: path((value) => parts({ ...state, [state.axis]: value }).product) });
    // below the line, on the side where it is lower
    const falls = state.axis === "workers";
    const middle = 10 ** (low + (falls ? 0.55 : 0.62) * (high - low));
    const y = toY(parts({ ...state, [state.axis]: middle }).product) + 16;
    place(limitName, { x: toX(middle) + (falls ? -6 : 6), y: Math.min(y, BOX.height - BOX.bottom - 6),
      "text-anchor": falls ? "end" : "start" });
    dots.replaceChildren(...data.points.map((point) => {
      const here = { ...point, workers: 1 };
      const same = Object.keys(SIZES).every((key) => key === state.axis || Math.abs(here[key] / state[key] - 1) < 0.01);
      return svg("circle", { cx: toX(here[state.axis]).toFixed(1), cy: toY(point.seconds).toFixed(1), r: same ? 4 : 2.5,
        class: same ? "ufs-measured" : "ufs-elsewhere",
        style: `fill: var(--ufs-y-side); fill-opacity: ${same ? 1 : 0.3}` });
    }));
    const x = toX(state[state.axis]);
    place(knob, { transform: `translate(${x.toFixed(1)} ${toY(total(state)).toFixed(1)})`,
      "aria-label": `Number of ${SIZES[state.axis]}`,
      "aria-valuemin": Math.round(10 ** low), "aria-valuemax": Math.round(10 ** high),
      "aria-valuenow": Math.round(state[state.axis]),
      "aria-valuetext": `${count(state[state.axis])} ${SIZES[state.axis]}: ${duration(total(state))}` });
  }

  // ---- putting it together --------------------------------------------------------------------------------------

  const PRESSED = { fontWeight: "700", borderColor: "var(--ufs-x-side)" };
  const group = (label, ...nodes) =>
    controls(label, html("span", { class: "ufs-prompt", style: "flex-basis: auto; min-width: 4.6rem" }, label), ...nodes);

  const axes = Object.keys(SIZES);
  const axisButtons = axes.map((axis) => button(SIZES[axis], () => choose({ axis })));
  const precisions = [button("single", () => choose({ double: false })), button("double", () => choose({ double: true }))];
  const networks = data.networks.map((speed, i) => button(`${speed} Gbit/s`, () => choose({ network: i })));
  const examples = data.examples.map(([name, n, d, classes, workers]) =>
    button(name, () => choose({ n, d, classes, workers })));

  const sliders = Object.fromEntries(axes.map((axis) => {
    const [low, high] = data.ranges[axis].map(Math.log10);
    const node = html("input", { type: "range", min: low, max: high, step: "any", "aria-label": `Number of ${SIZES[axis]}`,
      style: "accent-color: var(--ufs-x-side); flex: 1 1 6rem; min-width: 5rem" });
    node.addEventListener("input", () => choose({ [axis]: whole(axis, 10 ** Number(node.value)) }));
    // a notebook moves between cells by arrow keys
    const keys = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    onKeys(node, keys, (steps) => choose({ [axis]: moved(axis, steps) }));
    return [axis, node];
  }));
  const values = Object.fromEntries(axes.map((axis) => [axis, output(`out-${axis}`)]));
  const rows = Object.fromEntries(Object.keys(PARTS).map((part) => {
    const bar = html("span", { class: "ufs-bar" });
    return [part, { bar, value: output(`out-${part}`) }];
  }));
  const outputs = Object.fromEntries(["total", "limit", "file", "sent"].map((name) => [name, output(`out-${name}`)]));
  const aloud = announcer();

  root.append(
    html("div", { class: "ufs-transport" },
      group("Example", ...examples), group("Against", ...axisButtons), group("Products", ...precisions),
      group("Network", ...networks),
      html("div", { class: "ufs-plane ufs-x" }, html("p", { class: "ufs-title" }, "time; dots: measured"), drawing),
      html("div", {},
        html("p", { class: "ufs-title" }, "what the time consists of"),
        html("div", { class: "ufs-bars ufs-x", style: "--ufs-label-width: 9.2rem; margin: 0.4rem 0 1rem" },
          ...Object.entries(PARTS).map(([part, name]) =>
            html("div", { class: "ufs-row" }, html("span", { class: "ufs-label" }, name),
              html("span", { class: "ufs-track", style: "background: color-mix(in srgb, currentcolor 5%, transparent)" },
                rows[part].bar),
              html("span", { class: "ufs-value" }, rows[part].value)))),
        ...axes.map((axis) => html("div", { style: "display: flex; gap: 0.6rem; align-items: center" },
          html("span", { style: "min-width: 4.8rem" }, SIZES[axis]), sliders[axis],
          html("span", { style: "min-width: 5.6rem; text-align: right; font-variant-numeric: tabular-nums" },
            values[axis])))),
      html("p", { class: "ufs-reading" },
        html("span", {}, "in all ", outputs.total),
        html("span", {}, "products alone ", outputs.limit),
        html("span", {}, "file, single precision ", outputs.file),
        html("span", {}, "statistics ", outputs.sent)),
      aloud.node),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  const state = { n: 1e6, d: 256, classes: 100, workers: 1, network: 1, double: false, axis: "n" };

  function whole(axis, value) {
    const [low, high] = data.ranges[axis];
    return clamp(Math.round(Number(value.toPrecision(3))), low, high);
  }

  function moved(axis, steps) {
    const next = whole(axis, state[axis] * 10 ** (steps * STEP));
    return next === state[axis] ? clamp(next + Math.sign(steps), ...data.ranges[axis]) : next;
  }

  function draw() {
    press(axisButtons, axes.indexOf(state.axis), PRESSED);
    press(precisions, Number(state.double), PRESSED);
    press(networks, state.network, PRESSED);
    press(examples, data.examples.findIndex(([, ...sizes]) => axes.every((axis, i) => sizes[i] === state[axis])), PRESSED);
    drawGrid(state.axis);
    drawCurves();
    const split = parts(state);
    const all = total(state);
    for (const [part, { bar, value }] of Object.entries(rows)) {
      bar.style.left = "0";
      bar.style.width = `${(100 * split[part]) / all}%`;
      value.textContent = split[part] > 0 ? duration(split[part]) : "0";
    }
    for (const axis of axes) {
      sliders[axis].value = String(Math.log10(state[axis]));
      sliders[axis].setAttribute("aria-valuetext", `${count(state[axis])} ${SIZES[axis]}`);
      values[axis].textContent = count(state[axis]);
    }
    outputs.total.textContent = duration(all);
    outputs.limit.textContent = duration(split.product);
    outputs.file.textContent = bytes(4 * state.n * state.d);
    outputs.sent.textContent = bytes(8 * (state.d ** 2 + (state.d + 1) * state.classes));
    aloud.say(`${count(state.workers)} machines take ${duration(all)}, of it ${duration(split.product)} for products.`);
  }

  function choose(changes) {
    Object.assign(state, changes);
    draw();
    store.set({ ...state });
  }

  function readStore() {
    for (const key of Object.keys(state)) state[key] = store.get(key);
    draw();
  }

  draggable(drawing, [knob], ([x]) => choose({ [state.axis]: whole(state.axis, scale(state.axis).fromX(x)) }));
  onKeys(knob, { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 },
    (steps) => choose({ [state.axis]: moved(state.axis, steps) }));

  store.onChange(Object.keys(state), readStore);
  readStore();
});
