/**
 * Figure "mismatch": turn a feature away from the question it is asked.
 *
 * The plane holds all features of three symbols, as unit vectors; the question φ₁ − φ₂ points to the right. The reader
 * turns the feature ξ. Two charts answer: the share of the best exponent that is left, exact and local, at every angle;
 * and the bound e^{−nE} of the error against the number n of samples.
 *
 * @typedef {Object} Mismatch
 * @property {string[]} labels
 * @property {[number, number][]} features     for each symbol, the values of the features at 0° and at 90°
 * @property {number[]} eps                    one for each distance of the hypotheses
 * @property {number[]} best                   the Chernoff information of each
 * @property {number[][]} exact                the exponent of each, at 0°, 1°, …, 179°
 */
ufsFigures.register("mismatch", (root, /** @type {Mismatch} */ data, store) => {
  const { html, svg, place, letter, fixed, percent, degrees, radians, turn, glide } = ufsFigures;
  const { button, press, controls, output, announcer, bars, labelWidth, disk, draggable, onKeys } = ufsFigures;
  const WIDTH = 340;
  const HEIGHT = 250;
  const UNIT = 96; // pixels for length one
  const BOX = { left: 48, right: 326, top: 16, bottom: 212 }; // of a chart
  const { labels, features, eps, best, exact } = data;

  const unitDisk = disk(WIDTH, HEIGHT, UNIT);
  const { toScreen, fromScreen, at } = unitDisk;
  const [cx, cy] = toScreen(0, 0);
  const cosine = (angle) => Math.cos(radians(angle));
  const range = Math.max(...features.map(([across, along]) => Math.hypot(across, along)));

  const write = (x, y, content, style = "") => svg("text", { x, y, style }, content);
  const path = (points) => "M" + points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
  const solid = "fill: none; stroke: currentcolor; stroke-width: 2";
  const dashed = "fill: none; stroke: currentcolor; stroke-width: 1.5; stroke-dasharray: 5 4; stroke-opacity: 0.7";
  const coloured = "fill: none; stroke: var(--ufs-side); stroke-width: 2.5";
  const thin = "stroke: currentcolor; stroke-opacity: 0.35";
  const middle = "text-anchor: middle";
  const end = "text-anchor: end";

  // ---- the plane of features ------------------------------------------------------------------------------------

  const plane = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": "The plane of all features" });
  const question = svg("line", { x1: cx, y1: cy, x2: at(0)[0], y2: at(0)[1], style: `${solid}; stroke-width: 3` });
  const vector = svg("line", { class: "ufs-vector", x1: cx, y1: cy });
  const shadow = svg("line", { style: `${thin}; stroke-dasharray: 2 3; stroke-opacity: 0.8` });
  const captured = svg("line", { x1: cx, y1: cy, y2: cy, style: "stroke: var(--ufs-side); stroke-width: 6; stroke-opacity: 0.45" });
  const handle = ufsFigures.handle(
    "Angle of the feature to the question: arrows turn it by one degree, page up and page down by ten",
    359,
  );
  const name = write(0, 0, "ξ", `${middle}; font-style: italic; font-size: 16px; fill: var(--ufs-side)`);
  plane.append(
    ...unitDisk.axes(),
    unitDisk.circle(),
    captured, question, shadow, vector,
    write(at(0)[0] + 8, at(0)[1] + 5, "φ₁ − φ₂", "font-style: italic"),
    name, handle,
  );

  // ---- charts ---------------------------------------------------------------------------------------------------

  function chart(label, xTicks, yTicks, xName) {
    const node = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
    node.append(
      svg("line", { x1: BOX.left, y1: BOX.bottom, x2: BOX.right, y2: BOX.bottom, style: thin }),
      svg("line", { x1: BOX.left, y1: BOX.top, x2: BOX.left, y2: BOX.bottom, style: thin }),
      ...xTicks.map(([share, text]) => write(BOX.left + share * (BOX.right - BOX.left), BOX.bottom + 16, text, middle)),
      ...yTicks.map(([share, text]) => write(BOX.left - 6, BOX.bottom + 4 - share * (BOX.bottom - BOX.top), text, end)),
      write((BOX.left + BOX.right) / 2, BOX.bottom + 33, xName, middle),
    );
    return node;
  }
  const inBox = (x, y) => [BOX.left + x * (BOX.right - BOX.left), BOX.bottom - y * (BOX.bottom - BOX.top)];

  const shares = chart(
    "Share of the best exponent at every angle, exact and by the squared cosine",
    [[0, "0°"], [0.25, "45°"], [0.5, "90°"], [0.75, "135°"], [1, "180°"]],
    [[0, "0"], [0.5, "½"], [1, "1"]],
    "angle",
  );
  const whole = Array.from({ length: 181 }, (_, degrees) => degrees);
  const exactCurve = svg("path", { style: solid });
  const marker = svg("circle", { class: "ufs-point", r: 6 });
  const [cosX, cosY] = inBox(0.5, 0.62);
  shares.append(
    svg("path", { d: path(whole.map((a) => inBox(a / 180, cosine(a) ** 2))), style: dashed }),
    exactCurve,
    write(cosX, cosY, "exact", middle),
    svg("line", { x1: cosX - 46, x2: cosX - 26, y1: cosY - 4, y2: cosY - 4, style: solid }),
    write(cosX, cosY - 20, "cos²", middle),
    svg("line", { x1: cosX - 46, x2: cosX - 26, y1: cosY - 24, y2: cosY - 24, style: dashed }),
    marker,
  );

  const errors = chart(
    "Bound of the probability of error against the number of samples, for the best feature and for this one",
    [], [[0, "0.001"], [1 / 3, "0.01"], [2 / 3, "0.1"], [1, "1"]], "samples n",
  );
  const samples = [0, 1, 2, 3].map((i) => write(inBox(i / 3, 0)[0], BOX.bottom + 16, "", i < 3 ? middle : end));
  const bestLine = svg("path", { style: solid });
  const thisLine = svg("path", { style: coloured });
  const bestName = write(0, 0, "best", "");
  const thisName = write(0, 0, "this feature", "fill: var(--ufs-side)");
  errors.append(...samples, bestLine, thisLine, bestName, thisName);

  // ---- the feature's values -------------------------------------------------------------------------------------

  const values = bars(labels, range, (h) => (h >= 0.005 ? "+" : "") + fixed(h, 2));
  place(values.node, { "aria-label": "The feature's value at each symbol" });

  // ---- putting it together --------------------------------------------------------------------------------------

  const sizes = eps.map((value, i) =>
    button([letter("ε"), ` = ${fixed(value)}`], () => {
      size = i;
      draw();
      share();
    }));
  const toBest = button("turn to the best feature", () => glideTo(exact[size].indexOf(Math.max(...exact[size]))));
  const out = Object.fromEntries(["angle", "exact", "local", "n"].map((key) => [key, output(`out-${key}`)]));
  const aloud = announcer();
  const caption = (...content) => html("p", { class: "ufs-title" }, ...content);

  root.append(
    html("div", { class: "ufs-transport", style: labelWidth(labels) },
      controls("Distance of the hypotheses",
        html("span", { class: "ufs-prompt" }, "Drag the feature, or choose how far apart the hypotheses are"), ...sizes, toBest),
      html("div", { class: "ufs-plane ufs-x" }, caption("feature ", letter("ξ"), " and question"), plane),
      html("div", { class: "ufs-plane ufs-y", style: "--ufs-side: var(--ufs-x-side)" },
        caption("share of the best exponent"), shares),
      html("div", { class: "ufs-bars ufs-x", style: "align-content: center" },
        html("p", { class: "ufs-caption" }, "values ", letter("h"), " of the feature"), values.node),
      html("div", { class: "ufs-plane ufs-y", style: "--ufs-side: var(--ufs-x-side)" },
        caption("bound of the error, ", html("span", { class: "ufs-math" }, html("i", {}, "e"), html("sup", {}, "−", html("i", {}, "nE")))), errors),
      html("p", { class: "ufs-reading" },
        html("span", {}, "angle ", out.angle),
        html("span", {}, "exponent ", letter("E"), " = ", out.exact),
        html("span", {}, "local ", out.local),
        html("span", {}, "samples for an error of 1 in 100: ", out.n)),
      aloud.node),
  );

  // ---- the state ------------------------------------------------------------------------------------------------

  let angle = 0; // whole degrees, 0 to 359
  let size = 0;
  let stop = () => {};

  const needed = (exponent) => (exponent > best[size] * 1e-3 ? String(Math.ceil(Math.log(100) / exponent)) : "too many");

  function line(exponent, horizon) {
    const stopsAt = Math.min(1, Math.log(1000) / (exponent * horizon)); // where the bound leaves the chart
    return { d: path([inBox(0, 1), inBox(stopsAt, 1 - (exponent * horizon * stopsAt) / Math.log(1000))]), stopsAt };
  }

  function nameLine(text, exponent, horizon, above) {
    const share = Math.min(0.62, (0.8 * Math.log(1000)) / (exponent * horizon));
    const [x, y] = inBox(share, 1 - (exponent * horizon * share) / Math.log(1000));
    place(text, { x: above ? x + 6 : x - 6, y: above ? y - 8 : y + 14, "text-anchor": above ? "start" : "end" });
  }

  function draw() {
    const turned = angle % 180;
    const [x, y] = at(angle);
    place(vector, { x2: x, y2: y });
    place(handle, { transform: `translate(${x} ${y})` });
    place(shadow, { x1: x, y1: y, x2: x, y2: cy });
    place(captured, { x2: x });
    const [nameX, nameY] = at(angle, 1.18);
    place(name, { x: nameX, y: nameY + 5, visibility: Math.abs(((angle + 180) % 360) - 180) < 14 ? "hidden" : "visible" });

    const exponent = exact[size][turned];
    const fraction = (degrees) => exact[size][degrees % 180] / best[size];
    place(exactCurve, { d: path(whole.map((a) => inBox(a / 180, fraction(a)))) });
    const [markX, markY] = inBox(turned / 180, fraction(turned));
    place(marker, { cx: markX, cy: markY });

    const horizon = Math.ceil((3 * Math.log(1000)) / best[size] / 300) * 300;
    samples.forEach((text, i) => (text.textContent = String(Math.round((i * horizon) / 3))));
    place(bestLine, { d: line(best[size], horizon).d });
    place(thisLine, { d: line(exponent, horizon).d });
    nameLine(bestName, best[size], horizon, false);
    nameLine(thisName, exponent, horizon, true);

    values.update(features.map(([across, along]) => across * cosine(angle) + along * Math.sin(radians(angle))));

    const local = ((eps[size] * cosine(angle)) ** 2) / 2;
    out.angle.textContent = `${angle}°`;
    out.exact.textContent = `${fixed(exponent, 5)} (${percent(fraction(turned), 0).replace("+", "")} of the best)`;
    out.local.textContent = fixed(local, 5);
    out.n.textContent = needed(exponent);
    press(sizes, size, { borderColor: "var(--ufs-x-side)", color: "var(--ufs-x-side)" });
    place(handle, {
      "aria-valuenow": angle,
      "aria-valuetext": `${angle} degrees, ${Math.round(100 * fraction(turned))} percent of the best exponent`,
    });
    aloud.say(`At ${angle} degrees the exponent is ${fixed(exponent, 5)}; samples needed: ${needed(exponent)}.`);
  }

  function turnTo(target) {
    angle = ((Math.round(target) % 360) + 360) % 360;
    draw();
  }

  const share = () => store.set({ angle, size });

  function glideTo(target) {
    stop();
    const start = angle;
    const way = turn(start, target);
    stop = glide((t) => {
      turnTo(start + t * way);
      if (t === 1) share();
    });
  }

  function readStore() {
    stop();
    size = store.get("size");
    turnTo(store.get("angle"));
  }

  // ---- mouse, touch, keyboard -----------------------------------------------------------------------------------

  /** Turn as the reader says. */
  function lead(target) {
    stop();
    turnTo(target);
    share();
  }

  draggable(plane, [handle], (point) => lead(degrees(fromScreen(...point))));

  const keys = {
    ArrowLeft: () => angle - 1, ArrowDown: () => angle - 1, ArrowRight: () => angle + 1, ArrowUp: () => angle + 1,
    PageDown: () => angle - 10, PageUp: () => angle + 10, Home: () => 0, End: () => 90,
  };
  onKeys(handle, keys, (target) => lead(target()));

  store.onChange(["angle", "size"], readStore);
  readStore();
});
