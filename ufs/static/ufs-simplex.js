/**
 * Figure "simplex": two distributions on three symbols, dragged about a third.
 *
 * On the left all distributions, a triangle, and in it the neighbourhood of P₀, an ellipse. On the right the same in
 * the coordinates of information vectors, φ = (P − P₀) / (ε √P₀): there the neighbourhood is the unit disk, and half
 * of ε² times a squared distance is what divergence nearly is.
 *
 * @typedef {[number, number, number]} Triple
 * @typedef {{p0: Triple, eps: number, labels: [string, string, string], names: [string, string], least: number}} Simplex
 */
ufsFigures.register("simplex", (root, /** @type {Simplex} */ data, store) => {
  const { html, svg, place, letter, fixed, percent, clamp, sum, glide } = ufsFigures;
  const { button, controls, output, announcer, draggable, onKeys } = ufsFigures;
  const WIDTH = 340;
  const HEIGHT = 300;
  const SIDE = 290; // of the triangle
  const UNIT = 62; // pixels for length one of an information vector
  const STEP = 0.02; // of the triangle's side, with one press of an arrow key
  const { p0, eps, labels, names, least } = data;
  const roots = p0.map(Math.sqrt);
  const SYMBOLS = ["P₁", "P₂"];
  const STYLES = ["", "fill: var(--ufs-paper); stroke: var(--ufs-side); stroke-width: 3"];
  const DASHES = ["", "stroke-dasharray: 5 4"];

  // ---- geometry -------------------------------------------------------------------------------------------------

  const left0 = (WIDTH - SIDE) / 2;
  const base = HEIGHT - 22;
  const height = (SIDE * Math.sqrt(3)) / 2;

  /** Triangle: first symbol at the left, second at the right, third on top. */
  const toScreen = (p) => [left0 + SIDE * (p[1] + p[2] / 2), base - height * p[2]];

  function fromScreen(x, y) {
    const third = (base - y) / height;
    const second = (x - left0) / SIDE - third / 2;
    return inside([1 - second - third, second, third]);
  }

  /** The nearest distribution all of whose probabilities are at least `least`. */
  function inside(p) {
    const sorted = [...p].sort((a, b) => b - a);
    let shift = 0;
    for (let count = 1; count <= 3; count++) {
      const trial = (sum(sorted.slice(0, count)) + (3 - count) * least - 1) / count;
      if (sorted[count - 1] - trial > least) shift = trial;
    }
    const kept = p.map((value) => Math.max(value - shift, least));
    const total = sum(kept);
    return kept.map((value) => value / total);
  }

  const vector = (p) => p.map((value, z) => (value - p0[z]) / (eps * roots[z]));

  // an orthonormal basis of the plane perpendicular to √P₀, turned so that right and up mean what they mean on the left
  const low = Math.hypot(roots[0], roots[1]);
  const along = [-roots[1] / low, roots[0] / low, 0];
  const up = [-roots[0] * roots[2] / low, -roots[1] * roots[2] / low, low];
  const dot = (u, v) => sum(u.map((value, z) => value * v[z]));
  const toPlane = (phi) => [WIDTH / 2 + UNIT * dot(phi, along), HEIGHT / 2 - UNIT * dot(phi, up)];

  // ---- information ----------------------------------------------------------------------------------------------

  /** Σ q ((1 + t) log(1 + t) − t) with t = p/q − 1: the divergence, in a form that loses no digits where p ≈ q. */
  function divergence(p, q) {
    return sum(
      p.map((value, z) => {
        const t = (value - q[z]) / q[z];
        const k = Math.abs(t) < 1e-3 ? t * t * (1 / 2 - t / 6 + (t * t) / 12) : (1 + t) * Math.log1p(t) - t;
        return q[z] * k;
      }),
    );
  }

  // ---- the simplex ----------------------------------------------------------------------------------------------

  const corners = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  const path = (points) => points.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" ");
  const rim = Array.from({ length: 120 }, (_, i) => {
    const turn = (2 * Math.PI * i) / 120;
    return p0.map((value, z) => value + eps * roots[z] * (Math.cos(turn) * along[z] + Math.sin(turn) * up[z]));
  });

  const left = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": "All distributions on three symbols" },
    svg("polygon", { class: "ufs-axis", points: path(corners.map(toScreen)), fill: "none" }),
    svg("polygon", { class: "ufs-unit", points: path(rim.map(toScreen)) }),
    cornerName(0, "start", left0 - 18, base + 17),
    cornerName(1, "end", left0 + SIDE + 18, base + 17),
    cornerName(2, "middle", WIDTH / 2, base - height - 8),
    dotAt(toScreen(p0)),
    symbol("P₀", toScreen(p0), [8, 5]),
  );

  function cornerName(z, anchor, x, y) {
    return svg("text", { x, y, "text-anchor": anchor }, labels[z]);
  }

  function dotAt([cx, cy]) {
    return svg("circle", { cx, cy, r: 3, fill: "currentcolor" });
  }

  /** A name beside a point, readable where it crosses a line. */
  function symbol(text, [x, y] = [0, 0], [dx, dy] = [0, 0]) {
    const style = "paint-order: stroke; stroke: var(--ufs-paper); stroke-width: 3px";
    return svg("text", { x: x + dx, y: y + dy, style }, text);
  }

  const tie = svg("line", { class: "ufs-shrink" });
  const handles = SYMBOLS.map((name, i) => {
    const label = `${name}${names[i] ? ", " + names[i] : ""}: arrow keys move it`;
    const handle = ufsFigures.handle(label, 100, [20, 12, 7]);
    place(handle.lastChild, { style: STYLES[i] });
    return handle;
  });
  const tags = SYMBOLS.map((name) => symbol(name));
  left.append(tie, ...handles, ...tags);

  // ---- the plane of information vectors ---------------------------------------------------------------------------

  const middle = toPlane([0, 0, 0]);
  const right = svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      style: "overflow: hidden",
      "aria-label": "The plane of information vectors: the neighbourhood is the unit disk",
    },
    svg("polygon", { class: "ufs-axis", points: path(corners.map((p) => toPlane(vector(p)))), fill: "none" }),
    svg("circle", { class: "ufs-unit", cx: middle[0], cy: middle[1], r: UNIT }),
    dotAt(middle),
    symbol("0", middle, [9, 5]),
  );
  const gap = svg("line", { class: "ufs-shrink" });
  const arrows = SYMBOLS.map((_, i) => svg("line", { class: "ufs-vector", style: DASHES[i] }));
  const ends = SYMBOLS.map((_, i) => svg("circle", { class: "ufs-point", r: 6, style: STYLES[i] }));
  const ends_names = ["φ₁", "φ₂"].map((name) => symbol(name));
  right.append(gap, ...arrows, ...ends, ...ends_names);

  // ---- numbers --------------------------------------------------------------------------------------------------

  const cells = labels.map(() => Array.from({ length: 4 }, () => html("td", { style: "text-align: right" })));
  const heads = ["P₀", "P₁", "P₂", "φ₁", "φ₂"].map((name) =>
    html("th", { scope: "col", style: "text-align: right" }, name),
  );
  const table = html(
    "table",
    { style: "width: 100%; font-variant-numeric: tabular-nums; margin: 0" },
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, html("span", { class: "ufs-aloud" }, "symbol")), ...heads)),
    html(
      "tbody",
      {},
      ...labels.map((label, z) =>
        html(
          "tr",
          {},
          html("th", { scope: "row", style: "text-align: left" }, label),
          html("td", { style: "text-align: right" }, fixed(p0[z])),
          ...cells[z],
        ),
      ),
    ),
  );
  const [forward, backward, local, error, angle] = ["forward", "backward", "local", "error", "angle"].map(output);
  const aloud = announcer();
  const D = (one, other) => html("span", { class: "ufs-math" }, html("i", {}, "D"), `(${one}‖${other})`);

  // ---- putting it together ----------------------------------------------------------------------------------------

  const start = SYMBOLS.map((_, i) => store.get(`p${i + 1}`));
  const scaled = (factor) => points.map((p) => inside(p.map((value, z) => p0[z] + factor * (value - p0[z]))));
  const moves = [
    ["halve both", () => scaled(0.5)],
    ["double both", () => scaled(2)],
    ["P₂ to P₀", () => [points[0], p0]],
    ["P₂ opposite P₁", () => [points[0], inside(points[0].map((value, z) => 2 * p0[z] - value))]],
    ["as at first", () => start],
  ];
  const buttons = moves.map(([label, target]) => button(label, () => glideTo(target())));
  const called = (i) => html("b", {}, SYMBOLS[i] + (names[i] ? ` (${names[i]})` : ""));

  root.append(
    html(
      "div",
      { class: "ufs-transport" },
      controls("Move both points", html("span", { class: "ufs-prompt" }, "Drag a point, or"), ...buttons),
      html("div", { class: "ufs-plane ufs-x" },
        html("p", { class: "ufs-title" }, called(0), " and ", called(1), " in the simplex"), left),
      html("div", { class: "ufs-plane ufs-x" },
        html("p", { class: "ufs-title" }, "their information vectors, ", letter("ε"), ` = ${fixed(eps)}`), right),
      html("div", { style: "grid-column: 1 / -1" }, table),
      html("p", { class: "ufs-reading" },
        html("span", {}, D("P₁", "P₂"), " = ", forward),
        html("span", {}, D("P₂", "P₁"), " = ", backward),
        html("span", {}, html("span", { class: "ufs-math" }, "½ε²‖φ₁ − φ₂‖²"), " = ", local),
        html("span", {}, "off by ", error),
        html("span", {}, "angle of φ₁ and φ₂: ", angle)),
      aloud.node,
    ),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  let points = start.map((p) => inside(p));
  let stop = () => {};

  /** Where a point's name stands: away from the other point. */
  function beside([x, y], [ox, oy]) {
    const length = Math.hypot(x - ox, y - oy);
    const [ux, uy] = length > 1 ? [(x - ox) / length, (y - oy) / length] : [1, 0];
    return { x: clamp(x + 19 * ux - 8, 2, WIDTH - 18), y: clamp(y + 19 * uy + 4, 12, HEIGHT - 4) };
  }

  function draw() {
    const phi = points.map(vector);
    const spots = points.map(toScreen);
    const tips = phi.map(toPlane);
    place(tie, { x1: spots[0][0], y1: spots[0][1], x2: spots[1][0], y2: spots[1][1] });
    place(gap, { x1: tips[0][0], y1: tips[0][1], x2: tips[1][0], y2: tips[1][1] });
    for (const i of [0, 1]) {
      const other = 1 - i;
      place(handles[i], {
        transform: `translate(${spots[i][0]} ${spots[i][1]})`,
        "aria-valuenow": Math.round(100 * points[i][2]),
        "aria-valuetext": labels.map((label, z) => `${label} ${fixed(points[i][z])}`).join(", "),
      });
      place(tags[i], beside(spots[i], i === 0 || differ(spots) ? spots[other] : [spots[0][0] + 2, spots[0][1]]));
      place(arrows[i], { x1: middle[0], y1: middle[1], x2: tips[i][0], y2: tips[i][1] });
      place(ends[i], { cx: tips[i][0], cy: tips[i][1] });
      place(ends_names[i], beside(tips[i], i === 0 || differ(tips) ? tips[other] : [tips[0][0] + 2, tips[0][1]]));
    }
    labels.forEach((_, z) => {
      cells[z][0].textContent = fixed(points[0][z]);
      cells[z][1].textContent = fixed(points[1][z]);
      cells[z][2].textContent = fixed(phi[0][z]);
      cells[z][3].textContent = fixed(phi[1][z]);
    });
    const exact = divergence(points[0], points[1]);
    const length = (eps ** 2 / 2) * sum(phi[0].map((value, z) => (value - phi[1][z]) ** 2));
    const lengths = phi.map((one) => Math.hypot(...one));
    const cosine = clamp(dot(...phi) / (lengths[0] * lengths[1]), -1, 1);
    forward.textContent = small(exact);
    backward.textContent = small(divergence(points[1], points[0]));
    local.textContent = small(length);
    error.textContent = exact > 1e-12 ? percent(length / exact - 1) : "–";
    angle.textContent = Math.min(...lengths) > 1e-9 ? `${Math.round((Math.acos(cosine) * 180) / Math.PI)}°` : "–";
    aloud.say(
      `Divergence ${forward.textContent} nats, local value ${local.textContent}, off by ${error.textContent}.`,
    );
  }

  const differ = ([one, other]) => Math.hypot(one[0] - other[0], one[1] - other[1]) > 1;

  /** Four significant digits, never in powers of ten. */
  function small(value) {
    const digits = value > 1e-9 ? clamp(3 - Math.floor(Math.log10(value)), 3, 9) : 4;
    return fixed(value, digits);
  }

  function moveTo(targets) {
    points = targets;
    draw();
  }

  function share() {
    const round = (value) => Math.round(value * 1e9) / 1e9;
    store.set({ p1: points[0].map(round), p2: points[1].map(round) });
  }

  function glideTo(targets) {
    stop();
    const from = points;
    stop = glide((t) => {
      moveTo(t < 1 ? from.map((p, i) => p.map((value, z) => value + t * (targets[i][z] - value))) : targets);
      if (t === 1) share();
    });
  }

  function readStore() {
    stop();
    moveTo([store.get("p1"), store.get("p2")].map((p) => inside(p)));
  }

  // ---- mouse, touch, keyboard -----------------------------------------------------------------------------------

  /** Move one point to a place of the drawing, as the reader says. */
  function lead(i, spot) {
    stop();
    const p = fromScreen(...spot);
    moveTo(i === 0 ? [p, points[1]] : [points[0], p]);
    share();
  }

  function nearest([x, y]) {
    const [first, second] = points.map((p) => Math.hypot(toScreen(p)[0] - x, toScreen(p)[1] - y));
    return first <= second ? 0 : 1;
  }

  draggable(left, handles, (spot, i) => lead(i, spot), nearest);

  const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  handles.forEach((handle, i) =>
    onKeys(handle, keys, (direction, event) => {
      const [x, y] = toScreen(points[i]);
      const [dx, dy] = direction.map((step) => step * SIDE * STEP * (event.shiftKey ? 0.1 : 1));
      lead(i, [x + dx, y + dy]);
    }));

  store.onChange(["p1", "p2"], readStore);
  readStore();
});
