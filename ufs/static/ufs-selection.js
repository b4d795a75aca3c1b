/**
 * Figure "selection": choose features before the question is known.
 *
 * The left disk is a hemisphere of unit vectors a ψ₁ + b ψ₂ + c ψ₃ of Y, c ≥ 0, seen from above: with k = 1 the vector
 * of the feature, with k = 2 the direction that a pair of features leaves out. On the right, the answers B̃Φ of Y to
 * random attributes of X, as the features see them.
 *
 * @typedef {[number, number, number]} Triple   coordinates along the three modes
 * @typedef {Object} Selection
 * @property {Triple} sigma
 * @property {number} all                        ‖B̃‖², all that there is to capture
 * @property {number} dimension                  |X| − 1
 * @property {Triple[]} answers                  B̃Φ for each attribute
 * @property {{name: string}} x
 * @property {{name: string, labels: string[], modes: Triple[]}} y
 */
ufsFigures.register("selection", (root, /** @type {Selection} */ data, store) => {
  const { html, svg, place, letter, fixed, sum } = ufsFigures;
  const { button, press, controls, output, announcer, bars, labelWidth, disk, axisName, diskPoint } = ufsFigures;
  const WIDTH = 340;
  const HEIGHT = 266;
  const UNIT = 104; // pixels for length one on the left, for σ₁ on the right
  const { sigma, answers, x, y } = data;
  const unitDisk = disk(WIDTH, HEIGHT, UNIT);
  const { toScreen } = unitDisk;
  const [cx, cy] = toScreen(0, 0);
  const TURN = 2 * Math.PI;

  const dot = (u, v) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
  const cross = (u, v) => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  const norm = (u) => Math.hypot(...u);
  const scaled = (u, factor) => u.map((value) => factor * value);
  const minus = (u, v) => u.map((value, i) => value - v[i]);
  const squares = sigma.map((value) => value * value);
  const alongDirection = (u) => squares[0] * u[0] ** 2 + squares[1] * u[1] ** 2 + squares[2] * u[2] ** 2;

  /** The unit vectors that the features see along: the direction itself, or two perpendicular to it. */
  function frame(direction, k) {
    if (k === 1) return [direction];
    const start = Math.abs(direction[0]) < 0.999 ? [1, 0, 0] : [0, 1, 0];
    const first = minus(start, scaled(direction, dot(start, direction)));
    const unit = scaled(first, 1 / norm(first));
    return [unit, cross(direction, unit)];
  }

  function captured(direction, k) {
    const along = alongDirection(direction);
    return k === 1 ? along : sum(squares) - along;
  }

  const best = (k) => sum(squares.slice(0, k));

  // ---- the disk of directions -----------------------------------------------------------------------------------

  const path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${toScreen(a, b).map((v) => v.toFixed(1))}`).join("");

  /** A curve of directions with equal captured share: part of an ellipse around the middle. */
  function level(share) {
    const value = squares[2] + share * (squares[0] - squares[2]);
    const radii = [0, 1].map((i) => Math.sqrt((value - squares[2]) / Math.max(squares[i] - squares[2], 1e-9)));
    const runs = [[]];
    for (let step = 0; step <= 360; step++) {
      const angle = (step / 360) * TURN;
      const point = [radii[0] * Math.cos(angle), radii[1] * Math.sin(angle)];
      if (Math.hypot(...point) <= 1) runs[0].push(point);
      else if (runs[0].length) runs.unshift([]);
    }
    return svg("path", { class: "ufs-axis", d: runs.map(path).join(""), fill: "none", "stroke-dasharray": "3 3" });
  }

  /** The indicator of each symbol, centred, as a direction in the disk: where counting this symbol is. */
  function indicators() {
    return y.labels.map((label, i) => {
      const size = norm(y.modes[i]);
      const sign = y.modes[i][2] < 0 ? -1 : 1;
      return { label, point: size > 1e-6 ? scaled(y.modes[i], sign / size).slice(0, 2) : null };
    });
  }

  const shorten = (label) => (label.length > 11 ? label.slice(0, 10) + "…" : label);

  const left = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, style: "cursor: crosshair" });
  left.append(
    unitDisk.circle("ufs-unit ufs-ellipse"),
    ...[0.25, 0.5, 0.75].map(level),
    ...unitDisk.axes(),
    axisName("ψ", "1", "Y", cx + UNIT + 6, cy + 5),
    axisName("ψ", "2", "Y", cx - 6, cy - UNIT - 8),
    axisName("ψ", "3", "Y", cx + 5, cy + 15),
  );
  const named = indicators().filter(({ point }) => point);
  const few = named.length <= 8; // more names would cover each other
  for (const { label, point } of named) {
    const [px, py] = toScreen(...point);
    const inwards = point[0] > 0.45;
    left.append(svg("circle", { cx: px, cy: py, r: 3, style: "fill: currentcolor" }, svg("title", {}, label)));
    if (few)
      left.append(
        svg("text", { x: px + (inwards ? -6 : 6), y: py - 5, "text-anchor": inwards ? "end" : "start" }, shorten(label)),
      );
  }
  place(left, { role: "group", "aria-label": `Disk of directions of features of ${y.name}` });
  const arm = svg("line", { class: "ufs-vector" });
  const handle = ufsFigures.handle(
    "Direction: left and right arrows turn it, up and down arrows move it to the rim and to the middle",
    360,
  );
  left.append(arm, handle);

  // ---- what the features see ------------------------------------------------------------------------------------

  const SEEN = UNIT / sigma[0];
  const right = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const shadow = svg("path", { class: "ufs-ellipse ufs-shadow" });
  const dots = answers.map(() => svg("circle", { class: "ufs-answer", r: 2, style: "fill: var(--ufs-x-side); fill-opacity: 0.6" }));
  const seenAxes = unitDisk.axes();
  right.append(
    unitDisk.circle(),
    ...seenAxes,
    shadow,
    ...dots,
    axisName("σ", "1", "", cx + UNIT + 5, cy + 5),
  );

  /** The outline of all answers, as the features see it: a segment, or the shadow of an ellipsoid. */
  function outline(vectors) {
    if (vectors.length === 1) {
      const reach = (Math.sqrt(alongDirection(vectors[0])) * UNIT) / sigma[0];
      return `M${cx - reach},${cy - 24}V${cy + 24}M${cx - reach},${cy}H${cx + reach}M${cx + reach},${cy - 24}V${cy + 24}`;
    }
    // the covariance [[p, q], [q, r]] of the shadow, and its square root by Cholesky's factors
    const inner = (u, v) => squares[0] * u[0] * v[0] + squares[1] * u[1] * v[1] + squares[2] * u[2] * v[2];
    const [p, q, r] = [inner(vectors[0], vectors[0]), inner(vectors[0], vectors[1]), inner(vectors[1], vectors[1])];
    const [l1, l2] = [Math.sqrt(p), q / Math.sqrt(p)];
    const l3 = Math.sqrt(Math.max(r - l2 * l2, 0));
    const points = Array.from({ length: 121 }, (_, i) => [Math.cos((i / 120) * TURN), Math.sin((i / 120) * TURN)]);
    return path(points.map(([c, s]) => [(l1 * c) / sigma[0], (l2 * c + l3 * s) / sigma[0]])) + "Z";
  }

  // ---- the gauge: what is captured, against the best and all ------------------------------------------------------

  const GAUGE = { left: 8, right: WIDTH - 8, top: 26, height: 14 };
  const gaugeX = (value) => GAUGE.left + ((GAUGE.right - GAUGE.left) * value) / data.all;
  const fill = svg("rect", { class: "ufs-fill", x: GAUGE.left, y: GAUGE.top, height: GAUGE.height, style: "fill: var(--ufs-side)" });
  const mark = svg("line", { y1: GAUGE.top - 5, y2: GAUGE.top + GAUGE.height + 5, style: "stroke: currentcolor; stroke-width: 2" });
  const markName = svg("text", { y: GAUGE.top - 10, "text-anchor": "end" });
  const gauge = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} 66`, role: "img" },
    svg("rect", {
      x: GAUGE.left, y: GAUGE.top, width: GAUGE.right - GAUGE.left, height: GAUGE.height,
      style: "fill: none; stroke: currentcolor; stroke-opacity: 0.5",
    }),
    fill,
    mark,
    markName,
    svg("text", { x: GAUGE.right, y: GAUGE.top + 31, "text-anchor": "end" }, `all: ${fixed(data.all, 4)}`),
    svg("text", { x: GAUGE.left, y: GAUGE.top + 31 }, "0"),
  );

  // ---- bars: the feature, or the one that is left out -------------------------------------------------------------

  const range = Math.max(...y.modes.map(norm));
  const values = bars(y.labels, range, (value) => fixed(value, 2));
  const barsCaption = html("p", { class: "ufs-caption" });

  // ---- putting it together --------------------------------------------------------------------------------------

  const [isCaptured, isShare, isDrawn] = ["captured", "share", "drawn"].map(output);
  const aloud = announcer();
  const leftTitle = html("p", { class: "ufs-title" });
  const prompt = html("span", { class: "ufs-prompt" });

  const kButtons = ["one feature", "two features"].map((label, i) =>
    button(label, () => {
      tip.stop();
      k = i + 1;
      draw();
      share();
    }));
  const targets = [
    ["mode 1", [1, 0]],
    ["mode 2", [0, 1]],
    ["mode 3", [0, 0]],
    ...(few ? named.map(({ label, point }) => [label, point]) : []),
  ];
  const buttons = targets.map(([label, point]) => button(label, () => tip.glideTo(point, Math.hypot(...point))));

  root.append(
    html(
      "div",
      { class: "ufs-transport", style: labelWidth(y.labels) },
      controls("Number of features", html("span", { class: "ufs-prompt" }, "Keep"), ...kButtons),
      controls("Direction", prompt, ...buttons),
      html("div", { class: "ufs-plane ufs-y" }, leftTitle, left),
      html("div", { class: "ufs-plane ufs-y" },
        html("p", { class: "ufs-title" }, `${answers.length} random attributes of `,
          html("span", { class: "ufs-x" }, html("b", {}, x.name)), ", as seen"), right),
      html("div", { class: "ufs-bars ufs-y" }, barsCaption, values.node),
      html("div", { class: "ufs-plane ufs-y" },
        html("p", { class: "ufs-caption" }, "captured: ", html("span", { class: "ufs-math" }, "‖", html("i", {}, "Ξ"),
          html("sup", {}, "T"), html("i", {}, "B̃"), "‖", html("sup", {}, "2"))), gauge),
      html("p", { class: "ufs-reading" },
        html("span", {}, "captured: ", isCaptured),
        html("span", {}, "of the best: ", isShare),
        html("span", {}, "estimate from the points: ", isDrawn)),
      aloud.node,
    ),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  let k = 1;

  function draw() {
    const [a, b] = tip.point();
    const direction = [a, b, Math.sqrt(Math.max(0, 1 - a * a - b * b))];
    const vectors = frame(direction, k);
    const [px, py] = toScreen(a, b);
    place(arm, { x1: cx, y1: cy, x2: px, y2: py });
    place(handle, { transform: `translate(${px} ${py})` });

    const seen = answers.map((answer) => vectors.map((vector) => dot(vector, answer)));
    // one feature sees a number: the points are spread in height only to be told apart
    const height = (second, i) => (k === 1 ? 30 * (((i * 0.618034) % 1) - 0.5) : SEEN * second);
    seen.forEach(([first, second], i) => place(dots[i], { cx: cx + SEEN * first, cy: cy - height(second, i) }));
    place(shadow, { d: outline(vectors) });
    seenAxes[1].style.visibility = k === 1 ? "hidden" : "visible";

    const value = captured(direction, k);
    const most = best(k);
    const drawn = (data.dimension * sum(seen.map((s) => sum(s.map((v) => v * v))))) / answers.length;
    place(fill, { width: Math.max(0, gaugeX(value) - GAUGE.left) });
    place(mark, { x1: gaugeX(most), x2: gaugeX(most) });
    place(markName, { x: gaugeX(most) + 4 });
    markName.textContent = `best ${k === 1 ? "σ₁²" : "σ₁² + σ₂²"} = ${fixed(most, 4)}`;
    place(gauge, { "aria-label": `Captured ${fixed(value, 4)}, at best ${fixed(most, 4)}, all ${fixed(data.all, 4)}` });
    isCaptured.textContent = fixed(value, 4);
    isShare.textContent = `${(100 * value / most).toFixed(1)}\u00a0%`;
    isDrawn.textContent = fixed(drawn, 4);

    values.update(y.modes.map((mode) => dot(direction, mode)));
    const what = k === 1 ? "the feature" : "the feature left out";
    leftTitle.replaceChildren(k === 1 ? "The vector of " : "The direction that ", html("b", {}, k === 1 ? "the feature" : "two features"),
      k === 1 ? ` of ${y.name}` : ` of ${y.name} leave out`);
    barsCaption.replaceChildren(what, ", ", letter("h", "", ""), "(", html("i", {}, "y"), ")");
    place(values.node, { "aria-label": `Values of ${what} for each ${y.name}` });
    prompt.textContent = k === 1 ? "Drag the feature, or take" : "Drag what is left out, or leave out";
    press(kButtons, k - 1, { fontWeight: "600", borderColor: "currentcolor" });
    place(right, { "aria-label": `What ${k === 1 ? "one feature sees" : "two features see"} of the attributes` });
    place(handle, {
      "aria-valuenow": tip.angle(),
      "aria-valuetext": `angle ${tip.angle()} degrees, distance ${fixed(tip.radius(), 2)} from the middle`,
    });
    aloud.say(`Captured ${fixed(value, 4)}, ${Math.round((100 * value) / most)} percent of the best.`);
  }

  function share() {
    const [a, b] = tip.point();
    store.set({ a, b, k });
  }

  const tip = diskPoint({ plane: unitDisk, drawing: left, handle, end: (angle) => [angle, 0], draw, share });

  function readStore() {
    k = store.get("k");
    tip.set([store.get("a"), store.get("b")]);
  }

  store.onChange(["a", "b", "k"], readStore);
  readStore();
});
