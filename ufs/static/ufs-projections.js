/**
 * Figure "projections": backward and forward projection with one feature on an alphabet of three, step by step.
 *
 * The left plane is spanned by ψ₁, ψ₂ of X and is all there is perpendicular to √P_X. The reader turns the feature ξ^X
 * on the unit circle. Backward, B̃ carries it to the weights ξ^Y, on an ellipse; forward, the transpose carries them
 * back, and the feature is scaled to variance 1 again, which the next weights undo.
 *
 * @typedef {Object} Side
 * @property {string} name
 * @property {string[]} labels                 one for each symbol
 * @property {[number, number][]} modes        for each symbol z, [f₁(z), f₂(z)]
 *
 * @typedef {{sigma: [number, number], most: number, x: Side, y: Side}} Projections
 */
ufsFigures.register("projections", (root, /** @type {Projections} */ data, store) => {
  const { html, svg, place, letter, fixed, percent, clamp, degrees, radians, turn, glide } = ufsFigures;
  const { button, controls, output, announcer, bars, labelWidth, disk, axisName, draggable, onKeys } = ufsFigures;
  const WIDTH = 340;
  const HEIGHT = 266;
  const UNIT = 104; // pixels of the unit circle of X
  const SHARE = 0.88; // of that, the long semi-axis of the ellipse: the plane of Y is enlarged
  const TURN = 5; // degrees for an arrow key
  const { sigma, most, x, y } = data; // most: the last step
  const rate = (sigma[1] / sigma[0]) ** 2;

  const unitDisk = disk(WIDTH, HEIGHT, UNIT);
  const imageDisk = disk(WIDTH, HEIGHT, (SHARE * UNIT) / sigma[0]);
  const [cx, cy] = unitDisk.toScreen(0, 0);

  // ---- the steps ------------------------------------------------------------------------------------------------

  const direction = (angle) => [Math.cos(radians(angle)), Math.sin(radians(angle))];
  const image = ([a, b]) => [sigma[0] * a, sigma[1] * b];
  /** The feature after a backward and a forward step: B̃ᵀB̃ and back to length 1. */
  const pass = (angle) => degrees(image(image(direction(angle))));
  /** Angles of the feature after 0, 1, 2, … passes. */
  function passes(start, count) {
    const angles = [start];
    while (angles.length <= count) angles.push(pass(angles[angles.length - 1]));
    return angles;
  }
  /** Angle to the horizontal axis, 0 to 90. */
  const acute = (angle) => degrees([Math.abs(Math.cos(radians(angle))), Math.abs(Math.sin(radians(angle)))]);
  const tangent = (angle) => Math.abs(Math.tan(radians(angle)));
  const strength = sigma[0] ** 2 + sigma[1] ** 2;
  const values = (side, [a, b]) => side.modes.map(([first, second]) => a * first + b * second);

  // ---- the planes -----------------------------------------------------------------------------------------------

  const shorten = (label) => (label.length > 9 ? label.slice(0, 8) + "…" : label);

  /** Two axes, and a tick in the direction of each symbol. */
  function plane(side, letterOfSide) {
    const marks = side.labels.flatMap((label, i) => {
      if (Math.hypot(...side.modes[i]) < 1e-6) return [];
      const angle = degrees(side.modes[i]);
      const [[x1, y1], [x2, y2], [left, top]] = [1, 1.05, 1.1].map((radius) => unitDisk.at(angle, radius));
      const along = Math.cos(radians(angle));
      const anchor = along > 0.3 ? "start" : along < -0.3 ? "end" : "middle";
      const down = 4 - 5 * Math.sin(radians(angle));
      return [
        svg("line", { class: "ufs-tick", x1, y1, x2, y2 }),
        svg("text", { class: "ufs-rim", x: left, y: top + down, style: `text-anchor: ${anchor}` }, shorten(label)),
      ];
    });
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}` }, ...unitDisk.axes(),
      axisName("ψ", "1", letterOfSide, cx + UNIT - 24, cy + 22), axisName("ψ", "2", letterOfSide, cx + 6, cy - UNIT + 19),
      ...marks);
  }

  const trace = () => Array.from({ length: 1 + most / 2 }, () => svg("circle", { class: "ufs-tick", r: 3, fill: "none" }));
  const show = (node, visible) => place(node, { visibility: visible ? "visible" : "hidden" });

  const left = plane(x, "X");
  place(left, { role: "group", "aria-label": `The plane of features of ${x.name}` });
  const feature = svg("line", { class: "ufs-vector" });
  const handle = ufsFigures.handle(`Feature of ${x.name}: left and right arrows turn it, and start over`, 360);
  const featureTrace = trace();
  left.append(unitDisk.circle(), ...featureTrace, feature, handle);

  const right = plane(y, "Y");
  const [end] = imageDisk.toScreen(sigma[0], 0);
  const [, top] = imageDisk.toScreen(0, sigma[1]);
  const weights = svg("line", { class: "ufs-vector" });
  const weightsPoint = svg("circle", { class: "ufs-point", r: 7.5 });
  const weightsTrace = trace();
  right.append(unitDisk.circle(), svg("ellipse", { class: "ufs-ellipse", cx, cy, rx: end - cx, ry: cy - top }),
    ...weightsTrace, weights, weightsPoint);
  place(right, { role: "img" });

  // ---- the bars -------------------------------------------------------------------------------------------------

  function barsOf(side, scale, heading) {
    const range = Math.max(...side.modes.map(([first, second]) => Math.hypot(scale[0] * first, scale[1] * second)));
    const { node, update } = bars(side.labels, range, (value) => fixed(value, 2));
    place(node, { "aria-label": heading });
    return { node, update };
  }

  const barsX = barsOf(x, [1, 1], `Feature of each ${x.name}`);
  const barsY = barsOf(y, sigma, `Weight of each ${y.name}`);

  // ---- putting it together --------------------------------------------------------------------------------------

  const backward = button("Backward", () => go(step + 1));
  const forward = button("Forward", () => go(step + 1));
  const over = button("Start over", () => go(0));
  const outputs = Object.fromEntries(
    ["passes", "angle", "weights", "factor", "captured"].map((name) => [name, output(`out-${name}`)]),
  );
  const aloud = announcer();
  const named = (side, symbol) => [html("b", {}, side.name), side.name === symbol ? "" : ` (${symbol})`];

  root.append(
    html("div", { class: "ufs-transport ufs-projections", style: labelWidth([...x.labels, ...y.labels]) },
      controls("Project", html("span", { class: "ufs-prompt" }, "Drag the feature, then project"),
        backward, forward, over),
      html("div", { class: "ufs-plane ufs-x" },
        html("p", { class: "ufs-title" }, "feature ", letter("ξ", "X"), " of ", ...named(x, "X")), left),
      html("div", { class: "ufs-plane ufs-y" },
        html("p", { class: "ufs-title" }, "weights ", letter("ξ", "Y"), " of ", ...named(y, "Y"), ", enlarged"), right),
      html("div", { class: "ufs-bars ufs-x" }, html("p", { class: "ufs-caption" }, letter("s"), "(", letter("x"), ")"),
        barsX.node),
      html("div", { class: "ufs-bars ufs-y" }, html("p", { class: "ufs-caption" }, letter("v"), "(", letter("y"), ")"),
        barsY.node),
      html("p", { class: "ufs-reading" },
        html("span", {}, "full passes: ", outputs.passes),
        html("span", {}, "angle of ", letter("s"), " to ", letter("f", "", "1"), ": ", outputs.angle),
        html("span", {}, "of ", letter("v"), " to ", letter("g", "", "1"), ": ", outputs.weights),
        html("span", {}, "tangent × ", outputs.factor, " in the last pass ((σ₂/σ₁)² = ", fixed(rate), ")"),
        html("span", {}, "dependence captured: ", outputs.captured,
          ` (at best ${percent(sigma[0] ** 2 / strength).replace("+", "")})`)),
      aloud.node),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  let start = 0; // degrees
  let step = 0; // odd: backward was the last one
  let stop = () => {};
  let shown = null; // angle at which the feature is drawn, and the point at which the weights are

  function paint(angle, point) {
    const [px, py] = unitDisk.at(angle);
    place(feature, { x1: cx, y1: cy, x2: px, y2: py });
    place(handle, { transform: `translate(${px} ${py})` });
    const [qx, qy] = imageDisk.toScreen(...(point ?? [0, 0]));
    place(weights, { x1: cx, y1: cy, x2: qx, y2: qy });
    place(weightsPoint, { cx: qx, cy: qy });
    for (const node of [weights, weightsPoint]) show(node, point !== null);
    shown = { angle, point };
  }

  const small = (value) => (value >= 0.01 || value === 0 ? `${fixed(value, 2)}°` : "< 0.01°");

  function draw(moving) {
    const done = Math.floor(step / 2);
    const angles = passes(start, Math.ceil(step / 2));
    const angle = angles[done];
    const source = step > 0 ? angles[Math.ceil(step / 2) - 1] : null; // the feature that the weights belong to
    const point = source === null ? null : image(direction(source));
    const old = shown;
    stop();
    if (moving && old) {
      const way = turn(old.angle, angle);
      const from = old.point ?? [0, 0];
      stop = glide((t) => paint(old.angle + t * way, point && point.map((value, i) => from[i] + t * (value - from[i]))));
    } else paint(angle, point);
    featureTrace.forEach((node, i) => {
      show(node, i < done);
      if (i < done) place(node, { cx: unitDisk.at(angles[i])[0], cy: unitDisk.at(angles[i])[1] });
    });
    weightsTrace.forEach((node, i) => {
      const visible = i < Math.ceil(step / 2) - 1;
      show(node, visible);
      if (!visible) return;
      const [left, top] = imageDisk.toScreen(...image(direction(angles[i])));
      place(node, { cx: left, cy: top });
    });
    barsX.update(values(x, direction(angle)));
    barsY.update(values(y, point ?? [0, 0]));

    backward.disabled = step % 2 === 1 || step >= most;
    forward.disabled = step % 2 === 0;
    for (const node of [backward, forward]) node.style.opacity = node.disabled ? "0.45" : "";
    outputs.passes.textContent = String(done);
    outputs.angle.textContent = small(acute(angle));
    outputs.weights.textContent = point ? small(acute(degrees(point))) : "–";
    const before = done > 0 ? tangent(angles[done - 1]) : 0;
    outputs.factor.textContent = before > 1e-9 && before < 1e9 ? fixed(tangent(angle) / before) : "–";
    const captured = (step % 2 ? Math.hypot(...image(direction(source))) ** 2
      : point ? Math.hypot(...image(point)) ** 2 / Math.hypot(...point) ** 2 : 0) / strength;
    outputs.captured.textContent = percent(captured).replace("+", "");
    place(handle, { "aria-valuenow": Math.round(angle) % 360, "aria-valuetext": `angle ${Math.round(angle) % 360} degrees` });
    place(right, { "aria-label": point
      ? `The weights of ${y.name}, at ${small(acute(degrees(point)))} to the first mode, on an ellipse`
      : `The plane of ${y.name}: no weights yet` });
    const last = step === 0 ? "At the start" : `After ${step % 2 ? "a backward" : "a forward"} projection`;
    aloud.say(`${last} the feature is at ${small(acute(angle))} to the first mode.`);
  }

  const share = () => store.set({ angle: start, step });

  function go(target) {
    const focused = document.activeElement;
    step = clamp(target, 0, most);
    draw(true);
    share();
    if (focused === backward && backward.disabled && !forward.disabled) forward.focus();
    else if (focused === forward && forward.disabled) (backward.disabled ? over : backward).focus();
  }

  /** The reader turns the feature: a new start. */
  function turnTo(angle) {
    start = ((angle % 360) + 360) % 360;
    step = 0;
    draw(false);
    share();
  }

  draggable(left, [handle], (spot) => {
    const point = unitDisk.fromScreen(...spot);
    if (Math.hypot(...point) > 0.05) turnTo(Math.round(degrees(point)));
  });
  const present = () => Math.round(passes(start, Math.floor(step / 2))[Math.floor(step / 2)]);
  onKeys(handle, { ArrowLeft: -TURN, ArrowDown: -TURN, ArrowRight: TURN, ArrowUp: TURN }, (by) => turnTo(present() + by));

  function readStore() {
    start = ((store.get("angle") % 360) + 360) % 360;
    step = clamp(store.get("step"), 0, most);
    draw(false);
  }

  store.onChange(["angle", "step"], readStore);
  readStore();
});
