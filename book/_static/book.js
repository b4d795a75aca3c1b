/* What the style sheet cannot do alone. */
(() => {
  /* A drawing that scrolls in its box can be reached and scrolled by keyboard. */
  const boxes = new ResizeObserver((entries) => {
    for (const { target: box } of entries) {
      if (box.scrollWidth > box.clientWidth + 1) {
        const number = box.closest("figure")?.querySelector(".caption-number")?.textContent.trim() ?? "Figure";
        box.tabIndex = 0;
        box.setAttribute("role", "group");
        box.setAttribute("aria-label", `${number}, wider than the page: scrolls sideways`);
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      }
    }
  });

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
    for (const box of document.querySelectorAll(".ufs-drawing")) boxes.observe(box);
  });
})();
