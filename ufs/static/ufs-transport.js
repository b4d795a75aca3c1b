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
  const { html, svg, place, letter, fixed, percent, clamp, settled, glide } = ufsFigures;
  const WIDTH = 340;
  const HEIGHT = 266;
  const UNIT = 104; // pixels for length one
  const STEP = { angle: 5, radius: 0.1 };
  const { eps, sigma, x, y } = data;

  // the largest relative change that any tilt in the disk can cause; Y's changes are averages of X's
  const range = eps * Math.max(...x.modes.map(([f1, f2]) => Math.hypot(f1, f2)));

  const toScreen = (a, b) => [WIDTH / 2 + UNIT * a, HEIGHT / 2 - UNIT * b];
  const degrees = ([a, b]) => ((Math.atan2(b, a) * 180) / Math.PI + 360) % 360;
  const image = ([a, b]) => [sigma[0] * a, sigma[1] * b];
  const changes = (side, [a, b]) => side.modes.map(([first, second]) => eps * (a * first + b * second));

  // ---- the planes -----------------------------------------------------------------------------------------------

  /** One plane: the unit circle, the two axes, the direction of every symbol. */
  function plane(side, letterOfSide) {
    const [cx, cy] = toScreen(0, 0);
    const node = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}` });
    for (const [a, b] of [[1, 0], [0, 1]]) {
      const [x1, y1] = toScreen(-a, -b);
      const [x2, y2] = toScreen(a, b);
      node.append(svg("line", { class: "ufs-axis", x1, y1, x2, y2 }));
    }
    node.append(
      svg("circle", { class: "ufs-unit", cx, cy, r: UNIT }),
      axisName("ψ", "1", letterOfSide, cx + UNIT - 24, cy - 7),
      axisName("ψ", "2", letterOfSide, cx + 6, cy - UNIT + 19),
      ...rim(side),
    );
    return node;
  }

  function axisName(base, index, superscript, left, top) {
    const name = svg("text", { class: "ufs-axis-name", x: left, y: top }, svg("tspan", { class: "ufs-letter" }, base));
    if (superscript) name.append(svg("tspan", { class: "ufs-index ufs-letter", dy: -6 }, superscript));
    name.append(svg("tspan", { class: "ufs-index", dx: superscript ? -7 : 0, dy: superscript ? 10 : 4 }, index));
    return name;
  }

  /** The ellipse into which B̃ turns the disk, its semi-axes named. */
  function ellipse() {
    const [cx, cy] = toScreen(0, 0);
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

  const at = (angle, radius) =>
    toScreen(radius * Math.cos((angle * Math.PI) / 180), radius * Math.sin((angle * Math.PI) / 180));

  const shorten = (label) => (label.length > 9 ? label.slice(0, 8) + "…" : label);

  /** Where a label stands outside the rim; its width is estimated, so that the layout is the same everywhere. */
  function labelBox(label, angle) {
    const width = 7 * label.length;
    const [px, py] = at(angle, 1.1);
    const cosine = Math.cos((angle * Math.PI) / 180);
    const sine = Math.sin((angle * Math.PI) / 180);
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
          const ahead = ((other.shown - one.shown + 540) % 360) - 180 >= 0 ? 1 : -1;
          one.shown -= ahead;
          other.shown += ahead;
        }
      }
      if (apart) return;
    }
  }

  // ---- the bars -------------------------------------------------------------------------------------------------

  /** One bar per symbol, drawn from a zero line in the middle. */
  function bars(side) {
    const rows = side.labels.map((label) => {
      const bar = html("span", { class: "ufs-bar" });
      const value = html("span", { class: "ufs-value" });
      const name = html("span", { class: "ufs-label", title: label }, label);
      const track = html("span", { class: "ufs-track" }, bar);
      return { bar, value, node: html("div", { class: "ufs-row", role: "listitem" }, name, track, value) };
    });
    const list = html("div", { class: "ufs-rows", role: "list", "aria-label": `Relative change of each ${side.name}` });
    list.append(...rows.map((row) => row.node));
    const marks = [-range, 0, range].map((mark) => html("span", {}, percent(mark, 0)));
    return {
      nodes: [list, html("div", { class: "ufs-scale", "aria-hidden": "true" }, ...marks)],
      update(values) {
        rows.forEach(({ bar, value }, i) => {
          const share = clamp(values[i] / range, -1, 1);
          bar.style.left = `${50 + 50 * Math.min(share, 0)}%`;
          bar.style.width = `${50 * Math.abs(share)}%`;
          value.textContent = percent(values[i]);
        });
      },
    };
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
  const handle = svg(
    "g",
    {
      class: "ufs-handle",
      role: "slider",
      tabindex: 0,
      "aria-label": `Tilt of ${x.name}: left and right arrows turn it, up and down arrows lengthen and shorten it`,
      "aria-valuemin": 0,
      "aria-valuemax": 360,
    },
    svg("circle", { class: "ufs-reach", r: 22 }),
    svg("circle", { class: "ufs-ring", r: 13 }),
    svg("circle", { class: "ufs-point", r: 7.5 }),
  );
  left.append(tilt, handle);

  const right = plane(y, "Y");
  const [cx, cy] = toScreen(0, 0);
  const shrink = svg("line", { class: "ufs-shrink" });
  const ghost = svg("circle", { class: "ufs-ghost", r: 5 });
  const answer = svg("line", { class: "ufs-vector" });
  const answerPoint = svg("circle", { class: "ufs-point", r: 7.5 });
  right.append(
    ...ellipse(),
    shrink,
    ghost,
    answer,
    answerPoint,
  );
  place(right, {
    role: "img",
    "aria-label":
      `The answer of ${y.name}: the disk becomes an ellipse with semi-axes ` +
      `${fixed(sigma[0])} along mode 1 and ${fixed(sigma[1])} along mode 2`,
  });

  const barsX = bars(x);
  const barsY = bars(y);
  const normX = html("output", { class: "ufs-norm-x" });
  const normY = html("output", { class: "ufs-norm-y" });
  const kept = html("output", { class: "ufs-kept" });
  const aloud = html("p", { class: "ufs-aloud", "aria-live": "polite" });
  for (const node of [normX, normY, kept]) node.setAttribute("aria-live", "off"); // aloud says it, less often

  const semiAxis = (i) =>
    html("span", { class: "ufs-together" }, letter("σ", "", String(i + 1)), ` = ${fixed(sigma[i])}`);
  const named = (side, symbol) => [html("b", {}, side.name), side.name === symbol ? "" : ` (${symbol})`];

  const targets = [
    ["mode 1", [1, 0]],
    ["mode 2", [0, 1]],
    ...x.labels.map((label, i) => [label, x.modes[i]]).filter(([, mode]) => Math.hypot(...mode) > 1e-6),
  ];
  const longest = Math.max(...[...x.labels, ...y.labels].map((label) => label.length));
  const labelWidth = `--ufs-label-width: ${clamp(longest + 1, 4, 14)}ch`; // one for both sides: equal bars are equally long
  const buttons = targets.map(([label, [a, b]]) => {
    const button = html("button", { type: "button" }, label);
    button.addEventListener("click", () => glideTo(degrees([a, b]), 1));
    return button;
  });

  root.append(
    html(
      "div",
      { class: "ufs-transport", style: labelWidth },
      html("div", { class: "ufs-controls", role: "group", "aria-label": `Tilt ${x.name} towards` },
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
      aloud,
    ),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  let angle = 0; // degrees; kept while the radius is zero
  let radius = 0;
  let stop = () => {};
  const point = () => {
    // exact zeros at the modes
    const turn = (angle * Math.PI) / 180;
    const round = (value) => Math.round(value * 1e12) / 1e12;
    return [round(radius * Math.cos(turn)), round(radius * Math.sin(turn))];
  };

  function draw() {
    const phi = point();
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
      "aria-valuenow": Math.round(angle) % 360,
      "aria-valuetext": `angle ${Math.round(angle) % 360} degrees, length ${fixed(lengthX, 2)}`,
    });
    speak(lengthX, lengthY, ratio);
  }

  const speak = settled((lengthX, lengthY, ratio) => {
    aloud.textContent =
      lengthX > 0
        ? `Tilt of ${x.name} ${fixed(lengthX)}, answer of ${y.name} ${fixed(lengthY)}: ${ratio} of the length is kept.`
        : `No tilt of ${x.name}, no answer of ${y.name}.`;
  });

  function moveTo(newAngle, newRadius) {
    angle = (newAngle + 360) % 360;
    radius = clamp(newRadius, 0, 1);
    draw();
  }

  function share() {
    const [a, b] = point();
    store.set({ a, b });
  }

  function glideTo(newAngle, newRadius) {
    stop();
    const [startAngle, startRadius] = [angle, radius];
    const turn = ((newAngle - startAngle + 540) % 360) - 180; // the shorter way round
    stop = glide((t) => {
      if (t < 1) moveTo(startAngle + t * turn, startRadius + t * (newRadius - startRadius));
      else moveTo(newAngle, newRadius);
      if (t === 1) share();
    });
  }

  function readStore() {
    stop();
    const [a, b] = [store.get("a"), store.get("b")];
    moveTo(a || b ? degrees([a, b]) : angle, Math.hypot(a, b));
  }

  // ---- mouse, touch, keyboard -----------------------------------------------------------------------------------

  function follow(event) {
    const box = left.getBoundingClientRect();
    const a = (((event.clientX - box.left) / box.width) * WIDTH - cx) / UNIT;
    const b = (cy - ((event.clientY - box.top) / box.height) * HEIGHT) / UNIT;
    moveTo(degrees([a, b]), Math.hypot(a, b));
    share();
  }

  // a finger on the point drags it, elsewhere it scrolls the page, and a tap moves the point there
  let dragging = false;
  let tapping = false;
  left.addEventListener("pointerdown", (event) => {
    tapping = event.pointerType === "touch" && !handle.contains(event.target);
    if (event.button !== 0 || tapping) return;
    stop();
    dragging = true;
    left.setPointerCapture(event.pointerId);
    event.preventDefault(); // no text selection
    handle.focus({ preventScroll: true });
    follow(event);
  });
  left.addEventListener("pointermove", (event) => dragging && follow(event));
  for (const end of ["pointerup", "pointercancel"]) left.addEventListener(end, () => (dragging = false));
  handle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false }); // no scrolling
  left.addEventListener("click", (event) => {
    if (!tapping) return;
    stop();
    follow(event);
  });

  const keys = {
    ArrowLeft: () => [angle - STEP.angle, radius],
    ArrowRight: () => [angle + STEP.angle, radius],
    ArrowDown: () => [angle, radius - STEP.radius],
    ArrowUp: () => [angle, radius + STEP.radius],
    Home: () => [0, 1],
    End: () => [90, 1],
  };
  handle.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // a notebook moves between cells by arrow keys
    stop();
    moveTo(...keys[event.key]());
    share();
  });

  store.onChange(["a", "b"], readStore);
  readStore();
});
