/**
 * Figure "transport": tilt one variable, watch the other answer.
 *
 * The left plane is spanned by ψ₁, ψ₂ of X, the right one by those of Y. The reader drags the information vector
 * φ^X = a ψ₁ + b ψ₂ in the unit disk; the matrix B̃ answers with φ^Y = σ₁ a ψ₁ + σ₂ b ψ₂, in an ellipse.
 *
 * @typedef {Object} Side
 * @property {string} name
 * @property {string[]} labels                 one for each symbol
 * @property {[number, number][]} modes        for each symbol z, [f₁(z), f₂(z)]
 *
 * @typedef {{eps: number, sigma: [number, number], x: Side, y: Side}} Transport
 */
ufsFigures.register("transport", (root, /** @type {Transport} */ data, store) => {
  const { html, svg, place, letter, fixed, percent, degrees, radians, turn } = ufsFigures;
  const { button, controls, output, announcer, bars, labelWidth, disk, axisName, diskPoint } = ufsFigures;
  const WIDTH = 340;
  const HEIGHT = 266;
  const UNIT = 104; // pixels for length one
  const { eps, sigma, x, y } = data;

  // the largest relative change that any tilt in the disk can cause; Y's changes are averages of X's
  const range = eps * Math.max(...x.modes.map(([f1, f2]) => Math.hypot(f1, f2)));

  const unitDisk = disk(WIDTH, HEIGHT, UNIT);
  const { toScreen, at } = unitDisk;
  const [cx, cy] = toScreen(0, 0);
  const image = ([a, b]) => [sigma[0] * a, sigma[1] * b];
  const changes = (side, [a, b]) => side.modes.map(([first, second]) => eps * (a * first + b * second));

  // ---- the planes -----------------------------------------------------------------------------------------------

  /** One plane: the unit circle, the two axes, the direction of every symbol. */
  function plane(side, letterOfSide) {
    return svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}` },
      ...unitDisk.axes(),
      unitDisk.circle(),
      axisName("ψ", "1", letterOfSide, cx + UNIT - 24, cy - 7),
      axisName("ψ", "2", letterOfSide, cx + 6, cy - UNIT + 19),
      ...rim(side),
    );
  }

  /** The ellipse into which B̃ turns the disk, its semi-axes named. */
  function ellipse() {
    const [end] = toScreen(sigma[0], 0);
    const [, top] = toScreen(0, sigma[1]);
    return [
      svg("ellipse", { class: "ufs-ellipse", cx, cy, rx: end - cx, ry: cy - top }),
      axisName("σ", "1", "", sigma[0] < 0.8 ? end + 4 : end - 26, cy + 14),
      axisName("σ", "2", "", cx - 19, sigma[1] < 0.8 ? top - 6 : top + 20),
    ];
  }

  /** A tick at the rim in the direction of each symbol: the tilt that raises this symbol most, for its size. */
  function rim(side) {
    const marks = side.labels
      .map((label, i) => ({ label: shorten(label), point: side.modes[i] }))
      .filter(({ point }) => Math.hypot(...point) > 1e-6)
      .map(({ label, point }) => ({ label, angle: degrees(point), shown: degrees(point) }));
    spread(marks);
    return marks.flatMap(({ label, angle, shown }) => {
      const [x1, y1] = at(angle, 1);
      const [x2, y2] = at(angle, 1.05);
      const box = labelBox(label, shown);
      return [
        svg("line", { class: "ufs-tick", x1, y1, x2, y2 }),
        svg("text", { class: "ufs-rim", x: (box.left + box.right) / 2, y: box.middle + 4 }, label),
      ];
    });
  }

  const shorten = (label) => (label.length > 9 ? label.slice(0, 8) + "…" : label);

  /** Where a label stands outside the rim; its width is estimated, so that the layout is the same everywhere. */
  function labelBox(label, angle) {
    const width = 7 * label.length;
    const [px, py] = at(angle, 1.1);
    const cosine = Math.cos(radians(angle));
    const sine = Math.sin(radians(angle));
    return { left: px + (width * (cosine - 1)) / 2, right: px + (width * (cosine + 1)) / 2, middle: py - 5 * sine };
  }

  /** Turn labels away from each other until no two of them overlap (or there is no room for all). */
  function spread(marks) {
    for (let round = 0; round < 200; round++) {
      let apart = true;
      for (const [i, one] of marks.entries()) {
        for (const other of marks.slice(i + 1)) {
          const p = labelBox(one.label, one.shown);
          const q = labelBox(other.label, other.shown);
          if (Math.abs(p.middle - q.middle) >= 14 || p.left > q.right + 5 || q.left > p.right + 5) continue;
          apart = false;
          const ahead = turn(one.shown, other.shown) >= 0 ? 1 : -1;
          one.shown -= ahead;
          other.shown += ahead;
        }
      }
      if (apart) return;
    }
  }

  // ---- the bars -------------------------------------------------------------------------------------------------

  function barsOf(side) {
    const { node, update } = bars(side.labels, range, (value) => percent(value));
    place(node, { "aria-label": `Relative change of each ${side.name}` });
    const marks = [-range, 0, range].map((mark) => html("span", {}, percent(mark, 0)));
    return { nodes: [node, html("div", { class: "ufs-scale", "aria-hidden": "true" }, ...marks)], update };
  }

  function barsHeading(name) {
    const probability = (condition) => [html("i", {}, "P"), html("sub", {}, html("i", {}, name + condition))];
    return html(
      "p",
      { class: "ufs-caption" },
      html("span", { class: "ufs-math" }, ...probability("|V=v"), " / ", ...probability(""), " − 1"),
      " at ",
      letter("ε"),
      ` = ${fixed(eps)}`,
    );
  }

  // ---- putting it together --------------------------------------------------------------------------------------

  const left = plane(x, "X");
  place(left, { role: "group", "aria-label": `Unit disk of tilts of ${x.name}` });
  const tilt = svg("line", { class: "ufs-vector" });
  const handle = ufsFigures.handle(
    `Tilt of ${x.name}: left and right arrows turn it, up and down arrows lengthen and shorten it`,
    360,
  );
  left.append(tilt, handle);

  const right = plane(y, "Y");
  const shrink = svg("line", { class: "ufs-shrink" });
  const ghost = svg("circle", { class: "ufs-ghost", r: 5 });
  const answer = svg("line", { class: "ufs-vector" });
  const answerPoint = svg("circle", { class: "ufs-point", r: 7.5 });
  right.append(...ellipse(), shrink, ghost, answer, answerPoint);
  place(right, {
    role: "img",
    "aria-label":
      `The answer of ${y.name}: the disk becomes an ellipse with semi-axes ` +
      `${fixed(sigma[0])} along mode 1 and ${fixed(sigma[1])} along mode 2`,
  });

  const barsX = barsOf(x);
  const barsY = barsOf(y);
  const [normX, normY, kept] = ["norm-x", "norm-y", "kept"].map(output);
  const aloud = announcer();

  const semiAxis = (i) =>
    html("span", { class: "ufs-together" }, letter("σ", "", String(i + 1)), ` = ${fixed(sigma[i])}`);
  const named = (side, symbol) => [html("b", {}, side.name), side.name === symbol ? "" : ` (${symbol})`];

  const targets = [
    ["mode 1", [1, 0]],
    ["mode 2", [0, 1]],
    ...x.labels.map((label, i) => [label, x.modes[i]]).filter(([, mode]) => Math.hypot(...mode) > 1e-6),
  ];
  const buttons = targets.map(([label, mode]) => button(label, () => tip.glideTo(mode, 1)));

  root.append(
    html(
      "div",
      { class: "ufs-transport", style: labelWidth([...x.labels, ...y.labels]) },
      controls(`Tilt ${x.name} towards`,
        html("span", { class: "ufs-prompt" }, `Drag the point, or tilt ${x.name} towards`), ...buttons),
      html("div", { class: "ufs-plane ufs-x" },
        html("p", { class: "ufs-title" }, ...named(x, "X"), " is tilted by ", letter("φ", "X")), left),
      html("div", { class: "ufs-plane ufs-y" },
        html("p", { class: "ufs-title" }, ...named(y, "Y"), " answers with ", letter("φ", "Y"), " = ",
          letter("B̃"), letter("φ", "X")), right),
      html("div", { class: "ufs-bars ufs-x" }, barsHeading("X"), ...barsX.nodes),
      html("div", { class: "ufs-bars ufs-y" }, barsHeading("Y"), ...barsY.nodes),
      html("p", { class: "ufs-reading" },
        html("span", {}, "‖", letter("φ", "X"), "‖ = ", normX),
        html("span", {}, "‖", letter("φ", "Y"), "‖ = ", normY),
        html("span", {}, "length kept: ", kept, " (between ", semiAxis(1), " and ", semiAxis(0), ")")),
      aloud.node,
    ),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  function draw() {
    const phi = tip.point();
    const psi = image(phi);
    const [px, py] = toScreen(...phi);
    const [qx, qy] = toScreen(...psi);
    place(tilt, { x1: cx, y1: cy, x2: px, y2: py });
    place(handle, { transform: `translate(${px} ${py})` });
    place(answer, { x1: cx, y1: cy, x2: qx, y2: qy });
    place(answerPoint, { cx: qx, cy: qy });
    place(ghost, { cx: px, cy: py });
    place(shrink, { x1: px, y1: py, x2: qx, y2: qy });
    barsX.update(changes(x, phi));
    barsY.update(changes(y, psi));
    const [lengthX, lengthY] = [Math.hypot(...phi), Math.hypot(...psi)];
    const ratio = lengthX > 0 ? fixed(lengthY / lengthX) : "–";
    normX.textContent = fixed(lengthX);
    normY.textContent = fixed(lengthY);
    kept.textContent = ratio;
    place(handle, {
      "aria-valuenow": tip.angle(),
      "aria-valuetext": `angle ${tip.angle()} degrees, length ${fixed(lengthX, 2)}`,
    });
    aloud.say(
      lengthX > 0
        ? `Tilt of ${x.name} ${fixed(lengthX)}, answer of ${y.name} ${fixed(lengthY)}: ${ratio} of the length is kept.`
        : `No tilt of ${x.name}, no answer of ${y.name}.`,
    );
  }

  function share() {
    const [a, b] = tip.point();
    store.set({ a, b });
  }

  const tip = diskPoint({ plane: unitDisk, drawing: left, handle, end: () => [90, 1], draw, share });
  const readStore = () => tip.set([store.get("a"), store.get("b")]);

  store.onChange(["a", "b"], readStore);
  readStore();
});
