/* What the style sheet cannot do alone. */
(() => {
  /* What scrolls in its box, a drawing or a table, can be reached and scrolled by keyboard. */
  const boxes = new ResizeObserver((entries) => {
    for (const { target: box } of entries) {
      if (box.scrollWidth > box.clientWidth + 1) {
        const kind = box.matches(".ufs-drawing") ? "Figure" : "Table";
        const number = box.closest("figure")?.querySelector(".caption-number")?.textContent.trim() ?? kind;
        box.tabIndex = 0;
        box.setAttribute("role", "group");
        box.setAttribute("aria-label", `${number}, wider than the page: scrolls sideways`);
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      }
    }
  });

  /* A formula that is wider than its line is set smaller. Where seven tenths of its size is still too wide, it scrolls
     (book.css). A display, which scrolls without that, is set smaller only if it fits then. */
  const shrink = () => {
    const formulas = [...document.querySelectorAll("article :is(span.math, div.math) > mjx-container")];
    for (const { parentElement: holder } of formulas) {
      holder.style.fontSize = "";
      holder.removeAttribute("data-wide");
    }
    const isDisplay = (formula) => formula.matches("[display=true]"); // beside it there may be a number
    const shares = formulas.map((formula) => {
      const room = isDisplay(formula) ? formula : formula.parentElement;
      return (room.clientWidth + 1) / formula.firstElementChild.getBoundingClientRect().width;
    });
    formulas.forEach((formula, i) => {
      const holder = formula.parentElement;
      const display = isDisplay(formula);
      const least = display ? 0.75 : 0.7;
      const wide = shares[i] < least;
      if (!(shares[i] > 0 && shares[i] < 1) || (wide && display)) return;
      holder.style.fontSize = `${wide ? least : Math.floor(100 * shares[i] - 1) / 100}em`;
      holder.toggleAttribute("data-wide", wide);
    });
  };

  /* Paper is light, and nothing on it unfolds. */
  let theme = "";
  let folded = [];
  addEventListener("beforeprint", () => {
    const root = document.documentElement;
    theme = root.dataset.theme;
    root.dataset.theme = "light";
    folded = [...document.querySelectorAll("article details.sd-dropdown:not([open])")];
    for (const fold of folded) fold.open = true;
  });
  addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = theme;
    for (const fold of folded) fold.open = false;
  });

  addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll(".ufs-drawing, .pst-scrollable-table-container, .cell_output > .text_html"))
      boxes.observe(box);
    window.MathJax?.startup?.promise?.then(() => {
      shrink();
      addEventListener("resize", shrink);
      document.addEventListener("toggle", shrink, true); // a fold that opens
    });
  });
})();
