/**
 * Interactive figures: what all of them share.
 *
 * A figure is a function draw(root, data, store), registered under a name. The same script serves two hosts:
 *   - a page, as a classic script (a page opened from file:// cannot load modules), where every
 *     <div class="ufs-figure" data-figure="name"> holds its data and state as JSON, and the state lives in the page;
 *   - a notebook, as a module, where the state lives in a widget's model and Python reads and sets it.
 *
 * @typedef {Object} Store              The state of one figure: a few named numbers or strings.
 * @property {(key: string) => any} get
 * @property {(changes: Object<string, any>) => void} set      Set by the figure itself: does not call back.
 * @property {(keys: string[], callback: () => void) => void} onChange   Called when someone else sets a key.
 *
 * @typedef {(root: HTMLElement, data: Object, store: Store) => void} Draw
 */
/* exported ufsFigures */
var ufsFigures = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  /** @type {Map<string, Draw>} */
  const figures = new Map();

  /** @param {string} name @param {Draw} draw */
  function register(name, draw) {
    figures.set(name, draw);
  }

  // ---- elements -------------------------------------------------------------------------------------------------

  function build(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  /** An HTML element; strings among the children become text, never markup. */
  function html(tag, attributes = {}, ...children) {
    return build(document.createElement(tag), attributes, children);
  }

  /** An SVG element. */
  function svg(tag, attributes = {}, ...children) {
    return build(document.createElementNS(SVG, tag), attributes, children);
  }

  /** Move or change an existing element. */
  function place(node, attributes) {
    return build(node, attributes, []);
  }

  /** A mathematical letter with its indices, such as φ with superscript X. */
  function letter(base, superscript = "", subscript = "") {
    const node = html("span", { class: "ufs-math" }, html("i", {}, base));
    if (subscript) node.append(html("sub", {}, subscript));
    if (superscript) node.append(html("sup", {}, html("i", {}, superscript)));
    return node;
  }

  // ---- numbers --------------------------------------------------------------------------------------------------

  /** 0.4567 → "0.457". */
  function fixed(value, digits = 3) {
    const text = Math.abs(value).toFixed(digits);
    return value < 0 && Number(text) !== 0 ? "−" + text : text;
  }

  /** 0.1234 → "+12.3 %", with a minus sign that is as wide as the plus, and a space that does not break. */
  function percent(value, digits = 1) {
    const text = Math.abs(100 * value).toFixed(digits);
    const sign = Number(text) === 0 ? "" : value < 0 ? "−" : "+";
    return `${sign}${text}\u00a0%`;
  }

  function clamp(value, low, high) {
    return Math.min(high, Math.max(low, value));
  }

  function sum(values) {
    return values.reduce((total, value) => total + value, 0);
  }

  /** The direction of a point, 0 to 360. */
  function degrees([a, b]) {
    return ((Math.atan2(b, a) * 180) / Math.PI + 360) % 360;
  }

  function radians(angle) {
    return (angle * Math.PI) / 180;
  }

  /** How to turn from one angle to another, the shorter way round, in degrees. */
  function turn(from, to) {
    return ((to - from + 540) % 360) - 180;
  }

  // ---- time -----------------------------------------------------------------------------------------------------

  /** Call back once things have been quiet for some time: for what is read aloud. */
  function settled(callback, milliseconds = 500) {
    let timer = 0;
    return (...values) => {
      clearTimeout(timer);
      timer = setTimeout(callback, milliseconds, ...values);
    };
  }

  /**
   * Run step(t) for t from 0 to 1, at once at 1 where the reader asked for less motion.
   * @returns {() => void} stops it where it is
   */
  function glide(step, milliseconds = 350) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      step(1);
      return () => {};
    }
    let frame = 0;
    const start = performance.now();
    const advance = (now) => {
      const t = clamp((now - start) / milliseconds, 0, 1);
      if (t < 1) frame = requestAnimationFrame(advance);
      step(t * t * (3 - 2 * t));
    };
    frame = requestAnimationFrame(advance);
    return () => cancelAnimationFrame(frame);
  }

  // ---- parts of a figure ----------------------------------------------------------------------------------------

  /** A button; its content is a string or a list of nodes. */
  function button(content, action) {
    const node = html("button", { type: "button" }, ...[content].flat());
    node.addEventListener("click", action);
    return node;
  }

  /** Show which of several buttons is pressed; `style` is how it then looks. */
  function press(buttons, index, style) {
    buttons.forEach((node, i) => {
      node.setAttribute("aria-pressed", String(i === index));
      for (const [name, value] of Object.entries(style)) node.style[name] = i === index ? value : "";
    });
  }

  /** A row of controls under one name. */
  function controls(label, ...nodes) {
    return html("div", { class: "ufs-controls", role: "group", "aria-label": label }, ...nodes);
  }

  /** Where a number of the reading stands; it is not read aloud, `announcer` does that, less often. */
  function output(name) {
    return html("output", { class: `ufs-${name}`, "aria-live": "off" });
  }

  /** Text for those who do not see the figure: `say` reads it aloud once things have been quiet. */
  function announcer() {
    const node = html("p", { class: "ufs-aloud", "aria-live": "polite" });
    return { node, say: settled((text) => (node.textContent = text)) };
  }

  /** One bar for each label, drawn from a zero line in the middle; a bar of length `range` fills its half. */
  function bars(labels, range, write) {
    const rows = labels.map((label) => {
      const bar = html("span", { class: "ufs-bar" });
      const value = html("span", { class: "ufs-value" });
      const name = html("span", { class: "ufs-label", title: label }, label);
      const track = html("span", { class: "ufs-track" }, bar);
      return { bar, value, node: html("div", { class: "ufs-row", role: "listitem" }, name, track, value) };
    });
    return {
      node: html("div", { class: "ufs-rows", role: "list" }, ...rows.map((row) => row.node)),
      update(values) {
        rows.forEach(({ bar, value }, i) => {
          const share = clamp(values[i] / range, -1, 1);
          bar.style.left = `${50 + 50 * Math.min(share, 0)}%`;
          bar.style.width = `${50 * Math.abs(share)}%`;
          value.textContent = write(values[i]);
        });
      },
    };
  }

  /** The style that gives all labels of a figure's bars one width, so that equal bars are equally long. */
  function labelWidth(labels) {
    return `--ufs-label-width: ${clamp(Math.max(...labels.map((label) => label.length)) + 1, 4, 14)}ch`;
  }

  // ---- planes ---------------------------------------------------------------------------------------------------

  /** A disk in the middle of a drawing, its radius `unit`: points (a, b) of length at most 1, b upwards. */
  function disk(width, height, unit) {
    const [cx, cy] = [width / 2, height / 2];
    const toScreen = (a, b) => [cx + unit * a, cy - unit * b];
    return {
      toScreen,
      fromScreen: (left, top) => [(left - cx) / unit, (cy - top) / unit],
      at: (angle, radius = 1) => toScreen(radius * Math.cos(radians(angle)), radius * Math.sin(radians(angle))),
      circle: (name = "ufs-unit") => svg("circle", { class: name, cx, cy, r: unit }),
      /** The horizontal diameter and the vertical one. */
      axes: () =>
        [[1, 0], [0, 1]].map(([a, b]) => {
          const [x1, y1] = toScreen(-a, -b);
          const [x2, y2] = toScreen(a, b);
          return svg("line", { class: "ufs-axis", x1, y1, x2, y2 });
        }),
    };
  }

  /** The name of an axis: a letter with an index, and a superscript above it. */
  function axisName(base, index, superscript, left, top) {
    const name = svg("text", { class: "ufs-axis-name", x: left, y: top }, svg("tspan", { class: "ufs-letter" }, base));
    if (superscript) name.append(svg("tspan", { class: "ufs-index ufs-letter", dy: -6 }, superscript));
    name.append(svg("tspan", { class: "ufs-index", dx: superscript ? -7 : 0, dy: superscript ? 10 : 4 }, index));
    return name;
  }

  /** A point that can be dragged: a slider, for those who do not see it, with values from 0 to `most`. */
  function handle(label, most, [reach, ring, point] = [22, 13, 7.5]) {
    return svg(
      "g",
      { class: "ufs-handle", role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": 0, "aria-valuemax": most },
      svg("circle", { class: "ufs-reach", r: reach }),
      svg("circle", { class: "ufs-ring", r: ring }),
      svg("circle", { class: "ufs-point", r: point }),
    );
  }

  /**
   * Let mouse and finger drag the handles of a drawing. A finger on a handle drags it, elsewhere it scrolls the page,
   * and a tap moves a handle there.
   * @param {(point: [number, number], i: number) => void} follow   moves handle i to a point, in the drawing's units
   * @param {(point: [number, number]) => number} pick              which handle is meant
   */
  function draggable(drawing, handles, follow, pick = () => 0) {
    let dragged = -1;
    let tapping = false;
    const position = (event) => {
      const box = drawing.getBoundingClientRect();
      const { width, height } = drawing.viewBox.baseVal;
      return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    };
    drawing.addEventListener("pointerdown", (event) => {
      tapping = event.pointerType === "touch" && !handles.some((node) => node.contains(event.target));
      if (event.button !== 0 || tapping) return;
      const point = position(event);
      dragged = pick(point);
      drawing.setPointerCapture(event.pointerId);
      event.preventDefault(); // no text selection
      handles[dragged].focus({ preventScroll: true });
      follow(point, dragged);
    });
    drawing.addEventListener("pointermove", (event) => dragged >= 0 && follow(position(event), dragged));
    for (const end of ["pointerup", "pointercancel"]) drawing.addEventListener(end, () => (dragged = -1));
    drawing.addEventListener("click", (event) => {
      if (tapping) follow(position(event), pick(position(event)));
    });
    for (const node of handles) {
      node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false }); // no scrolling
    }
  }

  /** Call act(keys[key], event) where one of the keys is pressed on a handle, with no modifier but shift. */
  function onKeys(node, keys, act) {
    node.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook moves between cells by arrow keys
      act(keys[event.key], event);
    });
  }

  /** Leave the arrow keys to a slider: a notebook moves between cells by them. */
  function keepArrows(slider) {
    slider.addEventListener("keydown", (event) => event.key.startsWith("Arrow") && event.stopPropagation());
  }

  /** Whether a figure is narrower than a limit in pixels; `changed` is called with the answer whenever it changes. */
  function whenNarrow(root, limit, changed) {
    let narrow = root.clientWidth > 0 && root.clientWidth < limit;
    new ResizeObserver(([entry]) => {
      const now = entry.contentRect.width < limit;
      if (now === narrow) return;
      narrow = now;
      changed(narrow);
    }).observe(root);
    return narrow;
  }

  /**
   * A point of a disk that mouse, finger, arrow keys and buttons move. It keeps its angle while it is in the middle.
   * @param {{plane: Object, drawing: SVGElement, handle: SVGElement, end: (angle: number) => [number, number],
   *   draw: () => void, share: () => void}} options
   *   The disk, where it is drawn, the point's handle; the angle and radius to which the key End leads; `draw` is
   *   called when the point has moved, `share` when the reader has moved it.
   */
  function diskPoint({ plane, drawing, handle, end, draw, share }) {
    const STEP = { angle: 5, radius: 0.1 };
    let angle = 0; // degrees
    let radius = 0;
    let stop = () => {};

    function moveTo(newAngle, newRadius) {
      angle = (newAngle + 360) % 360;
      radius = clamp(newRadius, 0, 1);
      draw();
    }

    /** Move as the reader says. */
    function lead(newAngle, newRadius) {
      stop();
      moveTo(newAngle, newRadius);
      share();
    }

    draggable(drawing, [handle], (spot) => {
      const target = plane.fromScreen(...spot);
      lead(degrees(target), Math.hypot(...target));
    });
    const keys = {
      ArrowLeft: () => [angle - STEP.angle, radius],
      ArrowRight: () => [angle + STEP.angle, radius],
      ArrowDown: () => [angle, radius - STEP.radius],
      ArrowUp: () => [angle, radius + STEP.radius],
      Home: () => [0, 1],
      End: () => end(angle),
    };
    onKeys(handle, keys, (target) => lead(...target()));

    return {
      /** Whole degrees, 0 to 359. */
      angle: () => Math.round(angle) % 360,
      radius: () => radius,
      point() {
        const round = (value) => Math.round(value * 1e12) / 1e12; // exact zeros at the axes
        return [round(radius * Math.cos(radians(angle))), round(radius * Math.sin(radians(angle)))];
      },
      stop: () => stop(),
      /** Move at once to a point, as the host says. */
      set([a, b]) {
        stop();
        moveTo(a || b ? degrees([a, b]) : angle, Math.hypot(a, b));
      },
      /** Glide to a point in the direction of another one; `newRadius` is its distance from the middle. */
      glideTo(target, newRadius) {
        stop();
        const [startAngle, startRadius] = [angle, radius];
        const newAngle = newRadius > 0 ? degrees(target) : startAngle;
        const way = turn(startAngle, newAngle);
        stop = glide((t) => {
          if (t < 1) moveTo(startAngle + t * way, startRadius + t * (newRadius - startRadius));
          else moveTo(newAngle, newRadius);
          if (t === 1) share();
        });
      },
    };
  }

  // ---- hosts ----------------------------------------------------------------------------------------------------

  /** @returns {Store} the state of a figure in a page */
  function pageStore(state) {
    return {
      get: (key) => state[key],
      set: (changes) => void Object.assign(state, changes),
      onChange: () => {},
    };
  }

  /** @returns {Store & {close: () => void}} the state of a figure in a notebook */
  function modelStore(model) {
    let own = false;
    const listeners = [];
    return {
      get: (key) => model.get(key),
      set(changes) {
        own = true;
        for (const [key, value] of Object.entries(changes)) model.set(key, value);
        own = false;
        model.save_changes();
      },
      onChange(keys, callback) {
        for (const key of keys) {
          const listener = () => own || callback();
          listeners.push([`change:${key}`, listener]);
          model.on(`change:${key}`, listener);
        }
      },
      close() {
        for (const [event, listener] of listeners) model.off(event, listener);
      },
    };
  }

  /** Replace the static content of one element of a page by its figure. */
  function mount(root) {
    const draw = figures.get(root.dataset.figure);
    const source = root.querySelector('script[type="application/json"]');
    if (!draw || !source) return; // the static content stays
    const { data, state } = JSON.parse(source.textContent);
    root.replaceChildren();
    draw(root, data, pageStore(state));
  }

  /** The entry point of a widget. */
  function render({ model, el }) {
    const store = modelStore(model);
    const root = html("div", { class: "ufs-figure" });
    el.replaceChildren(root);
    figures.get(model.get("figure"))(root, model.get("data"), store);
    return store.close;
  }

  if (document.currentScript) {
    // a classic script has an element; a module has none, and a notebook calls render
    document.addEventListener("DOMContentLoaded", () => {
      for (const root of document.querySelectorAll(".ufs-figure[data-figure]")) mount(root);
    });
  }

  return {
    register, render,
    html, svg, place, letter, fixed, percent, clamp, sum, degrees, radians, turn, glide,
    button, press, controls, output, announcer, bars, labelWidth,
    disk, axisName, handle, draggable, onKeys, keepArrows, whenNarrow, diskPoint,
  };
})();
