/**
 * Figure "separation": two classes of points in the plane, and what linear discriminant analysis makes of them.
 *
 * Points are mean + along · z₁ + across · z₂, with the long axis `along` that the reader drags and `across`
 * perpendicular to it, of fixed length. Everything is computed from the points, as from any other sample.
 *
 * @typedef {[number, number]} Point
 * @typedef {{first: Point[], second: Point[], ring: Point[], half: Point, short: number, long: number,
 *   shear: [Point, Point]}} Separation
 */
ufsFigures.register("separation", (root, /** @type {Separation} */ data, store) => {
  const { html, svg, place, letter, fixed, clamp, sum, glide } = ufsFigures;
  const { button, controls, output, announcer, draggable, onKeys } = ufsFigures;
  const WIDTH = 340;
  const HEIGHT = 300;
  const UNIT = 36; // pixels
  const STEP = 0.2; // with one press of an arrow key
  const GAUGE = { left: 8, right: 332, height: 15 };
  const n = data.first.length;
  const COLOURS = ["var(--ufs-x-side)", "var(--ufs-y-side)"];
  const PAINT = COLOURS.map((colour, i) =>
    i === 0 ? `fill: ${colour}; fill-opacity: 0.75` : `fill: none; stroke: ${colour}; stroke-width: 1.6`,
  );

  // ---- algebra --------------------------------------------------------------------------------------------------

  const add = ([x, y], [u, v]) => [x + u, y + v];
  const subtract = ([x, y], [u, v]) => [x - u, y - v];
  const scale = (t, [x, y]) => [t * x, t * y];
  const dot = ([x, y], [u, v]) => x * u + y * v;
  const apply = ([[a, b], [c, d]], [x, y]) => [a * x + b * y, c * x + d * y];
  const inverse = ([[a, b], [c, d]]) => {
    const determinant = a * d - b * c;
    return [[d / determinant, -b / determinant], [-c / determinant, a / determinant]];
  };
  const mean = (points) => scale(1 / points.length, points.reduce(add));
  const between = (from, to, t) => add(from, scale(t, subtract(to, from)));

  // ---- state ----------------------------------------------------------------------------------------------------

  const NAMES = ["a", "b", "axis"];
  const read = () => ({
    a: store.get("a"), b: store.get("b"), axis: store.get("axis"),
    ring: store.get("ring"), sheared: store.get("sheared"),
  });
  const start = read();
  let state = start;
  let stop = () => {};

  const view = () => (state.sheared ? data.shear : [[1, 0], [0, 1]]);
  const toScreen = (point) => {
    const [x, y] = apply(view(), point);
    return [WIDTH / 2 + UNIT * x, HEIGHT / 2 - UNIT * y];
  };
  const fromScreen = ([left, top]) =>
    apply(inverse(view()), [(left - WIDTH / 2) / UNIT, (HEIGHT / 2 - top) / UNIT]);
  /** Where the handles are: both means, and the tip of the long axis, drawn from the first mean. */
  const spots = () => [state.a, state.b, add(state.a, state.axis)];

  /** The state with handle i at a point, or as near as it may be. */
  function moved(i, point) {
    if (i < 2) return { ...state, [NAMES[i]]: point.map((value, j) => clamp(value, -data.half[j], data.half[j])) };
    const axis = subtract(point, state.a);
    const length = Math.hypot(...axis);
    return { ...state, axis: length < 1e-9 ? state.axis : scale(clamp(length, data.short, data.long) / length, axis) };
  }

  // ---- statistics -----------------------------------------------------------------------------------------------

  function classes() {
    const along = state.axis;
    const across = scale(data.short / Math.hypot(...along), [-along[1], along[0]]);
    const cloud = (shape, middle) =>
      shape.map(([z, w]) => apply(view(), add(middle, add(scale(z, along), scale(w, across)))));
    return [cloud(data.first, state.a), cloud(state.ring ? data.ring : data.second, state.b)];
  }

  function analyse([first, second]) {
    const means = [mean(first), mean(second)];
    const middle = between(...means, 0.5);
    const gap = subtract(means[1], means[0]);
    const tilde = [...first, ...second].map((point) => subtract(point, middle));
    const moment = (i, j) => sum(tilde.map((point) => point[i] * point[j])) / (2 * n);
    const total = [[moment(0, 0), moment(0, 1)], [moment(0, 1), moment(1, 1)]];
    const w = apply(inverse(total), gap);
    const length = Math.hypot(...w);
    const direction = length > 1e-12 ? scale(1 / length, w) : null;
    const along = tilde.map((point) => (direction ? dot(direction, point) : 0));
    const right = along.filter((t, i) => t > 0 === i >= n).length;
    return { means, middle, direction, along, H: dot(gap, w) / 8, accuracy: right / (2 * n) };
  }

  // ---- the plane ------------------------------------------------------------------------------------------------

  const dot_of = (i) => svg("circle", { r: i === 0 ? 3 : 3.2, style: PAINT[i] });
  const dots = [0, 1].map((i) => Array.from({ length: n }, () => dot_of(i)));
  const line = svg("line", { style: "stroke: currentcolor; stroke-dasharray: 5 4; stroke-opacity: 0.8" });
  const arrow = svg("line", { style: "stroke: currentcolor; stroke-width: 2.5; stroke-linecap: round" });
  const head = svg("polygon", { style: "fill: currentcolor" });
  const stem = svg("line", { style: `stroke: ${COLOURS[0]}; stroke-width: 1.5` });
  const LABELS = ["Mean of the first class", "Mean of the second class", "Long axis of both classes"];
  const SIDES = ["ufs-x", "ufs-y", "ufs-x"];
  const handles = LABELS.map((label, i) => {
    const handle = ufsFigures.handle(`${label}: arrow keys move it`, 100, i < 2 ? [20, 12, 8] : [16, 10, 5]);
    handle.classList.add(SIDES[i]);
    place(handle.lastChild, { style: i === 1 ? "fill: var(--ufs-paper); stroke: var(--ufs-side); stroke-width: 3.5" : "" });
    return handle;
  });
  const drawing = svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", style: "overflow: hidden",
      "aria-label": "Two classes of points, their means, and the direction that tells them apart",
    },
    svg("rect", {
      x: 0.5, y: 0.5, width: WIDTH - 1, height: HEIGHT - 1, rx: 4,
      style: "fill: none; stroke: currentcolor; stroke-opacity: 0.25",
    }),
    line, ...dots.flat(), arrow, head, stem, ...handles,
  );

  // ---- the gauges -----------------------------------------------------------------------------------------------

  /** A bar on a scale from low to high, and a mark on it. */
  function gauge(name, low, high, marks) {
    const at = (value) => GAUGE.left + ((GAUGE.right - GAUGE.left) * (value - low)) / (high - low);
    const bar = svg("rect", { x: at(low), y: 0, height: GAUGE.height, style: "fill: currentcolor; fill-opacity: 0.75" });
    const mark = svg("line", { y1: -3, y2: GAUGE.height + 3, style: "stroke: var(--ufs-y-side); stroke-width: 2" });
    const node = svg(
      "svg",
      { viewBox: `0 -4 ${WIDTH} 38`, role: "img", "aria-label": name, style: "max-width: 22rem" },
      svg("rect", {
        x: at(low), y: 0, width: at(high) - at(low), height: GAUGE.height,
        style: "fill: currentcolor; fill-opacity: 0.08",
      }),
      bar, mark,
      ...marks.map(([value, text], i) =>
        svg("text", { x: at(value), y: 30, "text-anchor": ["start", "middle", "end"][i] }, text)),
    );
    return {
      node,
      update(value, level) {
        place(bar, { width: Math.max(0, at(clamp(value, low, high)) - at(low)) });
        place(mark, { x1: at(level), x2: at(level) });
      },
    };
  }

  const gauges = {
    H: gauge("H-score, with the level of chance", 0, 0.5, [[0, "0"], [0.25, "¼"], [0.5, "½"]]),
    accuracy: gauge("Accuracy of the rule", 0.5, 1, [[0.5, "50\u00a0%"], [0.75, "75\u00a0%"], [1, "100\u00a0%"]]),
  };
  const shadows = [0, 1].map((i) => Array.from({ length: n }, () => dot_of(i)));
  const cut = svg("line", {
    x1: WIDTH / 2, x2: WIDTH / 2, y1: 2, y2: 50,
    style: "stroke: currentcolor; stroke-dasharray: 5 4; stroke-opacity: 0.8",
  });
  const strip = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} 52`, role: "img", style: "max-width: 22rem", "aria-label": "The points along the arrow" },
    cut, ...shadows.flat(),
  );
  const [hValue, chance, accuracy, angle] = ["score", "chance", "accuracy", "angle"].map(output);
  const aloud = announcer();

  // ---- putting it together ----------------------------------------------------------------------------------------

  const moves = [
    ["one place", () => ({ ...state, ring: false, b: state.a })],
    ["far apart", () => ({ ...state, ring: false, a: [-2.6, -1], b: [2.6, 1] })],
    ["as at first", () => start],
  ];
  const buttons = moves.map(([label, target]) => button(label, () => glideTo(target())));
  const ring = button("ring", () => glideTo({ ...state, ring: !state.ring, a: [0, 0], b: [0, 0], axis: [0.7, 0] }));
  const shear = button("shear", () => lead({ ...state, sheared: !state.sheared }));
  buttons.splice(2, 0, ring, shear);

  root.append(
    html(
      "div",
      { class: "ufs-transport" },
      controls("Move the classes", html("span", { class: "ufs-prompt" }, "Drag a mean or the axis, or"), ...buttons),
      html("div", { class: "ufs-plane" }, drawing),
      html("div", { class: "ufs-plane", style: "display: grid; gap: 0.5rem; align-content: center" },
        html("p", { style: "text-align: center" }, "H-score; the mark is the level of chance"), gauges.H.node,
        html("p", { style: "text-align: center" }, "accuracy of the rule; the mark is a coin"), gauges.accuracy.node,
        html("p", { style: "text-align: center" }, "the points along the arrow"), strip),
      html("p", { class: "ufs-reading" },
        html("span", {}, letter("H"), " = ", hValue),
        html("span", {}, "level of chance ", chance),
        html("span", {}, "accuracy ", accuracy),
        html("span", {}, "arrow at ", angle)),
      aloud.node,
    ),
  );

  function draw() {
    const points = classes();
    const found = analyse(points);
    points.forEach((cloud, i) =>
      cloud.forEach(([x, y], j) => place(dots[i][j], { cx: WIDTH / 2 + UNIT * x, cy: HEIGHT / 2 - UNIT * y })));
    spots().forEach((spot, i) => {
      const [x, y] = toScreen(spot);
      const value = i < 2 ? state[NAMES[i]] : state.axis;
      place(handles[i], {
        transform: `translate(${x} ${y})`,
        "aria-valuenow": Math.round(50 + 10 * value[0]),
        "aria-valuetext": value.map((number) => fixed(number, 2)).join(", "),
      });
    });
    const [from, tip] = [spots()[0], spots()[2]].map(toScreen);
    place(stem, { x1: from[0], y1: from[1], x2: tip[0], y2: tip[1] });
    drawRule(found);
    const spread = Math.max(...found.along.map(Math.abs), 1e-9);
    found.along.forEach((t, i) => {
      const side = i < n ? 0 : 1;
      place(shadows[side][i % n], { cx: WIDTH / 2 + (0.46 * WIDTH * t) / spread, cy: side === 0 ? 36 : 16 });
    });
    const level = 1 / (2 * n - 1); // two features, two classes
    gauges.H.update(found.H, level);
    gauges.accuracy.update(found.accuracy, 0.5);
    hValue.textContent = fixed(found.H);
    chance.textContent = fixed(level);
    accuracy.textContent = `${fixed(100 * found.accuracy, 1)}\u00a0%`;
    angle.textContent = found.direction ? `${Math.round(ufsFigures.degrees(found.direction))}°` : "–";
    ring.setAttribute("aria-pressed", String(state.ring));
    shear.setAttribute("aria-pressed", String(state.sheared));
    aloud.say(`H-score ${hValue.textContent}, accuracy ${accuracy.textContent}.`);
  }

  /** The arrow in the middle, and the line perpendicular to it. */
  function drawRule({ middle, direction }) {
    const shown = direction ? "visible" : "hidden";
    for (const node of [line, arrow, head]) node.style.visibility = shown;
    if (!direction) return;
    const [x, y] = [WIDTH / 2 + UNIT * middle[0], HEIGHT / 2 - UNIT * middle[1]];
    const [u, v] = [direction[0], -direction[1]];
    const reach = WIDTH + HEIGHT;
    place(line, { x1: x - reach * v, y1: y + reach * u, x2: x + reach * v, y2: y - reach * u });
    place(arrow, { x1: x, y1: y, x2: x + 44 * u, y2: y + 44 * v });
    const corner = (along, across) => `${x + along * u - across * v},${y + along * v + across * u}`;
    place(head, { points: [corner(54, 0), corner(42, 5), corner(42, -5)].join(" ") });
  }

  function share() {
    const round = (point) => point.map((value) => Math.round(value * 1e9) / 1e9);
    const { a, b, axis } = state;
    store.set({ a: round(a), b: round(b), axis: round(axis), ring: state.ring, sheared: state.sheared });
  }

  function show(next) {
    state = next;
    draw();
  }

  /** Go to a state at once, as the reader says. */
  function lead(next) {
    stop();
    show(next);
    share();
  }

  function glideTo(target) {
    stop();
    const from = state;
    stop = glide((t) => {
      const way = Object.fromEntries(NAMES.map((name) => [name, between(from[name], target[name], t)]));
      const length = Math.hypot(...way.axis);
      way.axis = length < data.short ? target.axis : way.axis;
      show(t < 1 ? { ...target, ...way } : target);
      if (t === 1) share();
    });
  }

  // ---- mouse, touch, keyboard -----------------------------------------------------------------------------------

  function nearest([x, y]) {
    const away = spots().map((spot) => {
      const [left, top] = toScreen(spot);
      return Math.hypot(left - x, top - y);
    });
    // where both means are in one place, the second one lies on top
    return [1, 0, 2].reduce((best, i) => (away[i] < away[best] - 1e-6 ? i : best));
  }

  draggable(drawing, handles, (spot, i) => lead(moved(i, fromScreen(spot))), nearest);

  const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  handles.forEach((handle, i) =>
    onKeys(handle, keys, (direction, event) => {
      const step = scale(STEP * (event.shiftKey ? 0.25 : 1), direction);
      lead(moved(i, add(spots()[i], step)));
    }));

  store.onChange(["a", "b", "axis", "ring", "sheared"], () => {
    stop();
    show(read());
  });
  draw();
});
