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

  return { register, render, html, svg, place, letter, fixed, percent, clamp, settled, glide };
})();
