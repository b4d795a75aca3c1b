/**
 * Figure "ranking": networks as points, a measure to the right and accuracy upwards.
 *
 * The two shaded corners hold the networks that the measure orders wrongly against the chosen one. Kendall's τ counts
 * all such pairs; networks of one name, which differ in their seed only, are no pair.
 *
 * @typedef {Object} Network
 * @property {number} family     index into families
 * @property {string} name
 * @property {number} seed
 * @property {number} accuracy   0 to 1; networks come in ascending order of it
 * @property {number[]} values   one for each measure, larger for better
 *
 * @typedef {{families: string[], measures: string[], networks: Network[]}} Data
 */
ufsFigures.register("ranking", (root, /** @type {Data} */ data, store) => {
  const { html, svg, place, fixed, clamp, button, press, controls, output, announcer } = ufsFigures;
  const { keepArrows, whenNarrow } = ufsFigures;
  const NARROW = 540; // pixels of the figure, below which the drawing has other proportions
  const SIZES = { wide: [680, 360], narrow: [343, 330] };
  const EDGE = { left: 52, right: 14, top: 16, bottom: 46 };
  const COLOURS = ["var(--ufs-x-side)", "var(--ufs-y-side)", "currentcolor"];
  const MARKS = ["●", "■", "▲"];

  // ---- order ----------------------------------------------------------------------------------------------------

  const inScope = (one, family) => family === 0 || one.family === family - 1;

  /** 1 for a pair that the measure orders rightly, −1 wrongly, 0 for a tie. */
  const agreement = (a, b, measure) =>
    Math.sign(a.values[measure] - b.values[measure]) * Math.sign(a.accuracy - b.accuracy);

  function kendall(networks, measure) {
    let [total, pairs] = [0, 0];
    networks.forEach((a, i) => {
      for (const b of networks.slice(i + 1)) {
        if (a.name === b.name) continue;
        total += agreement(a, b, measure);
        pairs += 1;
      }
    });
    return total / pairs;
  }

  // ---- the drawing ----------------------------------------------------------------------------------------------

  /** A round number of steps over an interval, at most `most`: {first, step, digits}. */
  function scale(low, high, most) {
    const raw = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw * (1 - 1e-9));
    return { first: Math.ceil(low / step - 1e-9) * step, step, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }

  function interval(values) {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = 0.06 * (high - low) || 0.05;
    return [low - room, high + room];
  }

  function mark(family, x, y) {
    const style = `fill: ${COLOURS[family]}; fill-opacity: 0.75`;
    if (family === 0) return svg("circle", { class: "ufs-dot", cx: x, cy: y, r: 4.2, style });
    if (family === 1) return svg("rect", { class: "ufs-dot", x: x - 3.8, y: y - 3.8, width: 7.6, height: 7.6, style });
    return svg("path", { class: "ufs-dot", d: `M${x} ${y - 5}L${x + 4.8} ${y + 3.8}L${x - 4.8} ${y + 3.8}Z`, style });
  }

  /** The frame, the points and what moves, for one measure and one scope. */
  function chart(measure, family) {
    const [width, height] = narrow ? SIZES.narrow : SIZES.wide;
    const { left, right, top, bottom } = EDGE;
    const [x0, x1] = interval(data.networks.map((one) => one.values[measure]));
    const [y0, y1] = interval(data.networks.map((one) => one.accuracy));
    const toX = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
    const toY = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - top - bottom);
    const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", style: "max-width: none; cursor: pointer",
      "aria-label": `Accuracy of ${data.networks.length} networks against ${data.measures[measure]}` });
    const corners = [0, 1].map(() =>
      svg("rect", { class: "ufs-corner", style: "fill: currentcolor; fill-opacity: 0.08" }));
    node.append(...corners);
    const across = scale(x0, x1, narrow ? 4 : 7);
    for (let value = across.first; value <= x1; value += across.step) {
      node.append(svg("text", { x: toX(value), y: height - bottom + 18, "text-anchor": "middle" },
        fixed(value, across.digits)));
    }
    const upward = scale(100 * y0, 100 * y1, 6);
    for (let value = upward.first; value <= 100 * y1; value += upward.step) {
      const y = toY(value / 100);
      node.append(svg("line", { class: "ufs-axis", x1: left, x2: width - right, y1: y, y2: y }),
        svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, `${fixed(value, upward.digits)}\u00a0%`));
    }
    node.append(
      svg("text", { class: "ufs-measure", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" },
        data.measures[measure]),
      svg("text", { x: left - 46, y: 11, style: "font-size: 12px" }, "accuracy"));
    const spots = data.networks.map((one) => [toX(one.values[measure]), toY(one.accuracy)]);
    const marks = data.networks.map((one, i) => mark(one.family, ...spots[i]));
    marks.forEach((dot, i) => {
      if (!inScope(data.networks[i], family)) dot.style.fillOpacity = "0.12";
    });
    const rings = data.networks.map(() =>
      svg("circle", { r: 7.5, style: "fill: none; stroke: currentcolor; stroke-width: 1.2; stroke-dasharray: 2 2" }));
    const here = svg("circle", { class: "ufs-here", r: 9, style: "fill: none; stroke: currentcolor; stroke-width: 2" });
    node.append(...marks, ...rings, here);
    return {
      node,
      spots,
      update(chosen) {
        const [x, y] = spots[chosen];
        const { name } = data.networks[chosen];
        place(corners[0], { x: left, y: top, width: Math.max(0, x - left), height: Math.max(0, y - top) });
        place(corners[1], { x, y, width: Math.max(0, width - right - x), height: Math.max(0, height - bottom - y) });
        place(here, { cx: x, cy: y });
        rings.forEach((ring, i) => place(ring, { cx: spots[i][0], cy: spots[i][1],
          visibility: i !== chosen && data.networks[i].name === name ? "visible" : "hidden" }));
      },
    };
  }

  // ---- putting it together --------------------------------------------------------------------------------------

  const PRESSED = { fontWeight: "700", borderColor: "var(--ufs-x-side)" };
  const group = (label, ...nodes) =>
    controls(label, html("span", { class: "ufs-prompt", style: "flex-basis: auto; min-width: 4.6rem" }, label), ...nodes);

  const measureButtons = data.measures.map((name, i) => button(name, () => choose({ measure: i })));
  const familyButtons = [
    button("all", () => choose({ family: 0 })),
    ...data.families.map((name, i) =>
      button([html("span", { style: `color: ${COLOURS[i]}`, "aria-hidden": "true" }, `${MARKS[i]} `), name],
        () => choose({ family: i + 1 }))),
  ];
  const slider = html("input", { type: "range", min: 0, step: 1, "aria-label": "Network, in order of accuracy",
    style: "accent-color: var(--ufs-x-side); align-self: center; flex: 1 1 8rem; min-width: 6rem" });
  const panel = html("div", { class: "ufs-plane", style: "grid-column: 1 / -1" });
  const outputs = Object.fromEntries(
    ["tau", "pairs", "name", "accuracy", "value", "wrong"].map((name) => [name, output(`out-${name}`)]),
  );
  const aloud = announcer();

  root.append(
    html("div", { class: "ufs-transport ufs-ranking" },
      group("Rank by", ...measureButtons), group("Compare", ...familyButtons), group("Network", slider),
      panel,
      html("p", { class: "ufs-reading" },
        html("span", {}, "Kendall’s τ: ", outputs.tau),
        html("span", {}, "pairs in the right order: ", outputs.pairs),
        html("span", {}, outputs.name, ": accuracy ", outputs.accuracy, ", measure ", outputs.value),
        html("span", {}, "wrongly ordered against it: ", outputs.wrong)),
      aloud.node),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  const state = { measure: 0, family: 0, network: 0 };
  let narrow = false;
  let drawn = null;
  let scope = []; // indices of the networks that are compared

  function build() {
    scope = data.networks.map((_, i) => i).filter((i) => inScope(data.networks[i], state.family));
    const nearest = (i) => Math.abs(i - state.network);
    state.network = scope.reduce((best, i) => (nearest(i) < nearest(best) ? i : best), scope[0]);
    drawn = chart(state.measure, state.family);
    panel.replaceChildren(drawn.node);
    drawn.node.addEventListener("click", select);
    press(measureButtons, state.measure, PRESSED);
    press(familyButtons, state.family, PRESSED);
    slider.max = String(scope.length - 1);
  }

  function draw() {
    const { measure, network } = state;
    const one = data.networks[network];
    const compared = scope.map((i) => data.networks[i]);
    const tau = kendall(compared, measure);
    const others = compared.filter((other) => other.name !== one.name);
    const wrong = others.filter((other) => agreement(one, other, measure) < 0).length;
    drawn.update(network);
    slider.value = String(scope.indexOf(network));
    slider.setAttribute("aria-valuetext", `${one.name}, seed ${one.seed}`);
    outputs.tau.textContent = fixed(tau, 2);
    outputs.pairs.textContent = `${Math.round(50 * (1 + tau))}\u00a0%`;
    outputs.name.textContent = `${one.name}, seed ${one.seed}`;
    outputs.accuracy.textContent = `${fixed(100 * one.accuracy, 1)}\u00a0%`;
    outputs.value.textContent = fixed(one.values[measure], 3);
    outputs.wrong.textContent = `${wrong} of ${others.length}`;
    aloud.say(`${one.name}: accuracy ${fixed(100 * one.accuracy, 1)} percent, ${wrong} of ${others.length} networks ` +
      `wrongly ordered against it. Kendall’s tau ${fixed(tau, 2)}.`);
  }

  function choose(changes) {
    Object.assign(state, changes);
    build();
    draw();
    store.set({ ...state });
  }

  /** Choose the network that is nearest to where the reader pointed. */
  function select(event) {
    const box = drawn.node.getBoundingClientRect();
    const { width, height } = drawn.node.viewBox.baseVal;
    const point = [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    const distance = (i) => Math.hypot(drawn.spots[i][0] - point[0], drawn.spots[i][1] - point[1]);
    state.network = scope.reduce((best, i) => (distance(i) < distance(best) ? i : best), scope[0]);
    draw();
    store.set({ ...state });
  }

  function readStore() {
    for (const key of Object.keys(state)) state[key] = store.get(key);
    state.measure = clamp(state.measure, 0, data.measures.length - 1);
    state.family = clamp(state.family, 0, data.families.length);
    build();
    draw();
  }

  slider.addEventListener("input", () => {
    state.network = scope[Number(slider.value)];
    draw();
    store.set({ ...state });
  });
  keepArrows(slider);

  narrow = whenNarrow(root, NARROW, (now) => {
    narrow = now;
    build();
    draw();
  });

  store.onChange(Object.keys(state), readStore);
  readStore();
});
