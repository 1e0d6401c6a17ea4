"use strict";
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);

  // Theme: as the system, then light, then dark.
  const themes = ["", "light", "dark"];
  const theme = one("#theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const next = themes[(themes.indexOf(document.documentElement.dataset.theme || "") + 1) % themes.length];
    document.documentElement.dataset.theme = next;
    theme.textContent = `Theme: ${next || "as the system"}`;
  });

  const cases = all(".case");
  const filters = one("#filters");
  const search = one("#search");
  const tag = one("#tag");
  const boxes = all('input[name="verdict"]', filters);
  filters.hidden = cases.length < 2;
  for (const box of boxes) {
    box.closest("label").hidden = !cases.some((found) => found.dataset.verdict === box.value);
  }

  // What a case says is read once, when somebody first searches.
  const words = new Map();
  const said = (found) => {
    if (!words.has(found)) words.set(found, found.textContent.toLowerCase());
    return words.get(found);
  };
  const apply = () => {
    const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
    const wanted = tag ? tag.value : "";
    let shown = 0;
    for (const found of cases) {
      const fits =
        !hidden.has(found.dataset.verdict) &&
        (!wanted || found.dataset.tags.split("\n").includes(wanted)) &&
        asked.every((word) => said(found).includes(word));
      found.hidden = !fits;
      shown += fits;
    }
    for (const group of all(".group")) group.hidden = !group.querySelector(".case:not([hidden])");
    one("#none").hidden = shown > 0;
    one("#found").textContent = shown === cases.length ? "" : `${shown} of ${cases.length} cases`;
  };
  for (const field of [search, tag, ...boxes]) field?.addEventListener("input", apply);
  filters.addEventListener("submit", (event) => event.preventDefault());

  const visible = () => cases.filter((found) => !found.hidden);
  one("#expand").addEventListener("click", () => visible().forEach((found) => (found.open = true)));
  one("#collapse").addEventListener("click", () => visible().forEach((found) => (found.open = false)));
  const transcripts = one("#transcripts");
  transcripts.hidden = !one(".transcript");
  transcripts.addEventListener("click", () => {
    const open = transcripts.getAttribute("aria-pressed") !== "true";
    transcripts.setAttribute("aria-pressed", String(open));
    for (const found of all(".transcript")) found.open = open;
  });

  // A link to a case opens it, also one that a filter hides.
  const follow = () => {
    const found = location.hash.startsWith("#case-") && document.getElementById(location.hash.slice(1));
    if (!found) return;
    found.hidden = false;
    found.closest(".group").hidden = false;
    found.open = true;
    found.scrollIntoView();
    found.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", follow);
  follow();

  // From case to case with j and k, as in other lists.
  addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      search.focus();
    }
    if (event.key !== "j" && event.key !== "k") return;
    const rows = visible();
    const at = rows.indexOf(document.activeElement?.closest?.(".case"));
    const next = rows[event.key === "j" ? at + 1 : Math.max(0, at - 1)];
    next?.querySelector("summary").focus();
  });
})();
