/**
 * Figure "convergence": alternating conditional expectations with k = 1, sweep by sweep.
 *
 * Above, the features f of X and g of Y as bars, with the first mode as outlines. Below, the tangent of the angle
 * between f and f₁ after each sweep, on a logarithmic scale, and the slope (σ₂/σ₁)². The sweeps are computed here.
 *
 * @typedef {Object} Side
 * @property {string} name
 * @property {string[]} labels
 * @property {number[]} mode                   f₁ or g₁
 *
 * @typedef {Object} Table
 * @property {string} name
 * @property {number[][]} P                    joint distribution, rows indexed by x
 * @property {[number, number]} sigma          σ₁ and σ₂
 * @property {number} sweeps                   how many can be made
 * @property {{name: string, f: number[]}[]} starts
 * @property {Side} x
 * @property {Side} y
 */
ufsFigures.register("convergence", (root, /** @type {{tables: Table[]}} */ data, store) => {
  const { html, svg, place, letter, fixed, clamp, sum, glide, button, press, controls, output, announcer } = ufsFigures;
  const { keepArrows, whenNarrow } = ufsFigures;
  const WIDTH = 340;
  const MANY = 12; // symbols from which the bars stand upright, each over a short label
  const CHART = { wide: 700, narrow: 340, height: 240, left: 52, right: 16, top: 14, bottom: 40 };
  const NARROW = 544; // pixels, as in the style sheet: 34rem
  const LEAST = 1e-6; // the lowest tangent of the chart
  const REFINE = 300; // sweeps from the given mode, rounded as it is, to the mode of P to all digits

  // ---- the sweeps -----------------------------------------------------------------------------------------------

  const mean = (values, p) => sum(values.map((value, i) => value * p[i]));

  function standardised(values, p) {
    const m = mean(values, p);
    const centred = values.map((value) => value - m);
    const deviation = Math.sqrt(mean(centred.map((value) => value * value), p));
    return centred.map((value) => value / deviation);
  }

  /** Marginals, a sweep, and the mode, of one table. */
  function model(table) {
    const total = sum(table.P.map(sum));
    const P = table.P.map((row) => row.map((value) => value / total));
    const px = P.map(sum);
    const py = P[0].map((_, j) => sum(P.map((row) => row[j])));
    const givenY = (f) => py.map((p, j) => sum(P.map((row, i) => row[j] * f[i])) / p);
    const givenX = (g) => px.map((p, i) => sum(P[i].map((cell, j) => cell * g[j])) / p);
    const sweep = (f) => {
      const g = standardised(givenY(f), py);
      return { f: standardised(givenX(g), px), g };
    };
    let first = { f: table.x.mode, g: table.y.mode };
    for (let t = 0; t < REFINE; t++) first = sweep(first.f);
    const tangent = (f) => {
      const along = mean(f.map((value, i) => value * first.f[i]), px);
      const rest = f.map((value, i) => value - along * first.f[i]);
      return Math.sqrt(mean(rest.map((value) => value * value), px)) / Math.abs(along);
    };
    const correlation = (f, g) => sum(P.map((row, i) => f[i] * sum(row.map((cell, j) => cell * g[j]))));
    return { px, sweep, first, tangent, correlation };
  }

  const models = data.tables.map(() => null);
  const runs = new Map();

  /** All sweeps from one start: [{f, g, tangent, correlation}], the first without g. */
  function run(t, s) {
    const key = `${t} ${s}`;
    if (!runs.has(key)) {
      const table = data.tables[t];
      models[t] ??= model(table);
      const { px, sweep, first, tangent, correlation } = models[t];
      let f = standardised(table.starts[s].f, px);
      if (mean(f.map((value, i) => value * first.f[i]), px) < 0) f = f.map((value) => -value); // the same start
      const steps = [{ f, g: null, tangent: tangent(f), correlation: null }];
      for (let i = 0; i < table.sweeps; i++) {
        const next = sweep(f);
        steps.push({ ...next, tangent: tangent(next.f), correlation: correlation(next.f, next.g) });
        f = next.f;
      }
      runs.set(key, steps);
    }
    return runs.get(key);
  }

  // ---- the bars -------------------------------------------------------------------------------------------------

  /** Bars with outlines of the mode, for one side of one table; lying where labels are long, standing where many. */
  function bars(side, mode, range) {
    const count = mode.length;
    const lying = count <= MANY;
    const height = lying ? 26 * count + 8 : 210;
    const node = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, style: "cursor: default" });
    const longest = Math.max(...side.labels.map((label) => label.length));
    const from = lying ? clamp(7.2 * longest + 10, 40, 150) : 0;
    const middle = lying ? (from + WIDTH) / 2 : (height - 22) / 2;
    const unit = (lying ? (WIDTH - from) / 2 : (height - 26) / 2) / range;
    const pitch = lying ? 26 : WIDTH / count;
    const thick = lying ? 16 : pitch * 0.72;
    const box = (i, value) => {
      const [low, high] = [Math.min(0, value) * unit, Math.max(0, value) * unit];
      const across = i * pitch + (pitch - thick) / 2 + (lying ? 4 : 0);
      return lying
        ? { x: middle + low, width: high - low, y: across, height: thick }
        : { x: across, width: thick, y: middle - high, height: high - low };
    };
    const filled = mode.map(() => svg("rect", { style: "fill: var(--ufs-side); fill-opacity: 0.55" }));
    const outlines = mode.map((value, i) =>
      svg("rect", { ...box(i, value), style: "fill: none; stroke: currentcolor; stroke-width: 1.2" }));
    const labels = side.labels.map((label, i) => {
      const short = label.length > 19 ? label.slice(0, 18) + "…" : label;
      return lying
        ? svg("text", { x: from - 6, y: i * pitch + 21, "text-anchor": "end" }, short)
        : svg("text", { x: (i + 0.5) * pitch, y: height - 6, "text-anchor": "middle", style: "font-size: 11px" },
            label.slice(0, 2));
    });
    const zero = lying
      ? { x1: middle, x2: middle, y1: 0, y2: height }
      : { x1: 0, x2: WIDTH, y1: middle, y2: middle };
    node.append(...filled, svg("line", { ...zero, class: "ufs-axis" }), ...outlines, ...labels);
    return {
      node,
      update: (values) => filled.forEach((bar, i) => place(bar, box(i, values ? values[i] : 0))),
    };
  }

  // ---- the chart of the angle -----------------------------------------------------------------------------------

  function chart(table, steps) {
    const { height, left, right, top, bottom } = CHART;
    const width = narrow ? CHART.narrow : CHART.wide; // letters stay as large as they are
    const high = Math.max(10, ...steps.map((step) => Math.min(step.tangent, 1e3)));
    const [upper, lower] = [Math.log10(high), Math.log10(LEAST)];
    const toX = (t) => left + (t / table.sweeps) * (width - left - right);
    const toY = (value) =>
      top + ((upper - clamp(Math.log10(Math.max(value, 1e-300)), lower, upper)) / (upper - lower)) *
        (height - top - bottom);
    const node = svg("svg", {
      viewBox: `0 0 ${width} ${height}`, role: "img", style: "max-width: none; cursor: default",
      "aria-label": "Tangent of the angle between f and the first mode after each sweep, on a logarithmic scale",
    });
    for (let power = 0; power >= lower; power -= 2) {
      const y = toY(10 ** power);
      const name = svg("text", { x: left - 14, y: y + 4, "text-anchor": "end" }, power === 0 ? "1" : "10");
      if (power) name.append(svg("tspan", { dy: -5, style: "font-size: 9.5px" }, `−${-power}`));
      node.append(svg("line", { class: "ufs-axis", x1: left, x2: width - right, y1: y, y2: y }), name);
    }
    const step = table.sweeps > 20 ? 10 : table.sweeps > 10 ? 5 : 2;
    for (let t = 0; t <= table.sweeps; t += step) {
      node.append(svg("text", { x: toX(t), y: height - bottom + 18, "text-anchor": "middle" }, String(t)));
    }
    node.append(
      svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "sweep"),
      svg("text", { x: left + 6, y: top + 8 }, "tan of the angle to ",
        svg("tspan", { class: "ufs-letter" }, "f"), svg("tspan", { dy: 4, style: "font-size: 10px" }, "1")),
    );
    // the promise: from every point the tangent falls by this factor or faster
    const rate = (table.sigma[1] / table.sigma[0]) ** 2;
    const promise = svg("path", { style: "fill: none; stroke: currentcolor; stroke-opacity: 0.65" });
    const slope = svg("text", { style: "font-size: 12px" }, "(σ₂/σ₁)² a sweep");
    const dots = steps.map((one, t) =>
      svg("circle", { cx: toX(t), cy: toY(one.tangent), r: 4, style: "fill: var(--ufs-x-side)" }));
    const here = svg("circle", { r: 8, style: "fill: none; stroke: var(--ufs-x-side); stroke-width: 2" });
    node.append(promise, slope, ...dots, here);
    return {
      node,
      update(sweep) {
        dots.forEach((dot, t) => place(dot, { visibility: t <= sweep && steps[t].tangent >= LEAST ? "visible" : "hidden" }));
        place(here, { cx: toX(sweep), cy: toY(steps[sweep].tangent) });
        const points = [];
        for (let t = sweep; t <= table.sweeps; t++) {
          const value = steps[sweep].tangent * rate ** (t - sweep);
          if (value < LEAST && t > sweep) {
            const share = rate > 0 ? Math.log(LEAST / steps[sweep].tangent) / Math.log(rate) : 1;
            if (steps[sweep].tangent > LEAST) points.push([toX(sweep + share), toY(LEAST)]);
            break;
          }
          points.push([toX(t), toY(value)]);
        }
        place(promise, { d: points.length > 1 ? `M${points.map((point) => point.join(" ")).join("L")}` : "" });
        const [[x1, y1], [x2, y2]] = [points[0], points[points.length - 1]];
        const fits = points.length > 1 && y2 - y1 > 40;
        place(slope, { x: Math.min((x1 + x2) / 2 + 10, width - right - 96), y: (y1 + y2) / 2 - 6,
          visibility: fits ? "visible" : "hidden" });
      },
    };
  }

  // ---- putting it together --------------------------------------------------------------------------------------

  const group = (label, ...nodes) =>
    controls(label, html("span", { class: "ufs-prompt", style: "flex-basis: auto; min-width: 3.2rem" }, label), ...nodes);
  const PRESSED = { fontWeight: "700", borderColor: "var(--ufs-x-side)" };

  const tableButtons = data.tables.map((table, i) => button(table.name, () => choose(i, 0)));
  const startControls = group("Start");
  let startButtons = [];
  const forward = button("Sweep", () => go(sweep + 1));
  const back = button("Back", () => go(sweep - 1));
  const over = button("Start over", () => go(0));
  const slider = html("input", { type: "range", min: 0, step: 1, "aria-label": "Sweeps made",
    style: "accent-color: var(--ufs-x-side); align-self: center; flex: 1 1 8rem; min-width: 6rem" });
  const panels = { x: html("div", { class: "ufs-plane ufs-x" }), y: html("div", { class: "ufs-plane ufs-y" }) };
  const below = html("div", { class: "ufs-plane", style: "grid-column: 1 / -1" });
  const outputs = Object.fromEntries(
    ["sweep", "angle", "factor", "correlation"].map((name) => [name, output(`out-${name}`)]),
  );
  const sigmaOne = html("span", {});
  const rateText = html("span", {});
  const aloud = announcer();

  root.append(
    html("div", { class: "ufs-transport ufs-convergence" },
      group("Table", ...tableButtons), startControls, group("ACE", forward, back, over, slider),
      panels.x, panels.y, below,
      html("p", { class: "ufs-reading" },
        html("span", {}, "sweep ", outputs.sweep),
        html("span", {}, "angle to ", letter("f", "", "1"), ": ", outputs.angle),
        html("span", {}, "tangent × ", outputs.factor, " in this sweep (promised: at most ", rateText, ")"),
        html("span", {}, "correlation of ", letter("f"), " and ", letter("g"), ": ", outputs.correlation,
          " (", letter("σ", "", "1"), " = ", sigmaOne, ")")),
      aloud.node),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  let table = 0;
  let start = 0;
  let sweep = 0;
  let narrow = false;
  let drawn = null; // the drawing of the present table and start
  let shown = null; // the values that the bars have now
  let stop = () => {};

  const small = (value) => {
    if (value >= 1e-3) return fixed(value, value >= 10 ? 1 : 3);
    const power = Math.floor(Math.log10(value));
    return `${fixed(value / 10 ** power, 1)} · 10^−${-power}`;
  };

  /** Draw the frame of the present table and start anew. */
  function build() {
    const one = data.tables[table];
    const steps = run(table, start);
    const { first } = models[table];
    const range = 1.08 * Math.max(...[...first.f, ...first.g, ...steps.flatMap((step) => [...step.f, ...(step.g ?? [])])]
      .map(Math.abs).map((value) => Math.min(value, 6)));
    const sides = { x: bars(one.x, first.f, range), y: bars(one.y, first.g, range) };
    const curve = chart(one, steps);
    for (const [side, name, verb] of [["x", "f", "a feature of "], ["y", "g", "a feature of "]]) {
      const outline = html("span", {}, "; outline: ", letter(name, "", "1"));
      panels[side].replaceChildren(
        html("p", { class: "ufs-title" }, letter(name), ", ", verb, html("b", {}, one[side].name), outline),
        sides[side].node);
      place(sides[side].node, { role: "img" });
    }
    below.replaceChildren(curve.node);
    startButtons = one.starts.map((option, i) => button(option.name, () => choose(table, i)));
    startControls.replaceChildren(startControls.firstChild, ...startButtons);
    press(tableButtons, table, PRESSED);
    press(startButtons, start, PRESSED);
    slider.max = String(one.sweeps);
    sigmaOne.textContent = fixed(one.sigma[0], 4);
    rateText.textContent = fixed((one.sigma[1] / one.sigma[0]) ** 2);
    drawn = { steps, sides, curve };
    shown = null;
  }

  function paint(f, g) {
    drawn.sides.x.update(f);
    drawn.sides.y.update(g);
    shown = { f, g };
  }

  /** Show the present sweep; the bars glide to it from where they are. */
  function draw() {
    const { steps, curve, sides } = drawn;
    const step = steps[sweep];
    const old = shown;
    stop();
    const mixed = (from, to, t) => to && to.map((value, i) => (from ? from[i] : 0) * (1 - t) + value * t);
    if (old && step.g) stop = glide((t) => paint(mixed(old.f, step.f, t), mixed(old.g, step.g, t)));
    else paint(step.f, step.g);
    curve.update(sweep);
    slider.value = String(sweep);
    slider.setAttribute("aria-valuetext", `sweep ${sweep} of ${steps.length - 1}`);
    forward.disabled = sweep >= steps.length - 1;
    back.disabled = sweep <= 0;
    for (const node of [forward, back]) node.style.opacity = node.disabled ? "0.45" : "";
    const degrees = (Math.atan(step.tangent) * 180) / Math.PI;
    outputs.sweep.textContent = String(sweep);
    outputs.angle.textContent = `${small(degrees)}°`;
    const before = sweep > 0 ? steps[sweep - 1].tangent : 0;
    outputs.factor.textContent = before > 1e-9 ? fixed(step.tangent / before) : "–";
    outputs.correlation.textContent = step.correlation === null ? "–" : fixed(step.correlation, 4);
    for (const [side, name] of [["x", "f"], ["y", "g"]]) {
      const values = step[name];
      place(sides[side].node, {
        "aria-label": `Feature ${name} of ${data.tables[table][side].name} after ${sweep} sweeps: ` +
          (values ? data.tables[table][side].labels.map((label, i) => `${label} ${fixed(values[i], 2)}`).join(", ") : "none yet"),
      });
    }
    aloud.say(`After ${sweep} sweeps the angle to the first mode is ${small(degrees)} degrees.`);
  }

  const share = () => store.set({ table, start, sweep });

  function go(target) {
    sweep = clamp(target, 0, drawn.steps.length - 1);
    draw();
    share();
  }

  function choose(newTable, newStart) {
    const focused = startButtons.indexOf(document.activeElement);
    [table, start, sweep] = [newTable, newStart, 0];
    build();
    draw();
    if (focused >= 0) startButtons[start].focus();
    share();
  }

  function readStore() {
    table = clamp(store.get("table"), 0, data.tables.length - 1);
    start = clamp(store.get("start"), 0, data.tables[table].starts.length - 1);
    sweep = clamp(store.get("sweep"), 0, data.tables[table].sweeps);
    build();
    draw();
  }

  slider.addEventListener("input", () => go(Number(slider.value)));
  keepArrows(slider);

  narrow = whenNarrow(root, NARROW, (now) => {
    narrow = now;
    build();
    draw();
  });

  store.onChange(["table", "start", "sweep"], readStore);
  readStore();
});
