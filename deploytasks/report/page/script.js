"use strict";
// Adds to a page that is complete without it: a filter, sorting, and the legend's words as buttons that filter.
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;

  const box = tools.querySelector("input");
  const count = tools.querySelector("output");
  const links = Array.from(document.querySelectorAll("nav a"));
  const frames = Array.from(document.querySelectorAll(".scroll"));
  const [rows, tenants] = frames.map((frame) => Array.from(frame.querySelector("tbody").rows));

  // --- filter: every word that is typed stands somewhere in the row; is:failed means the mark, not the word ---------

  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const squares = new Map(rows.map((row) => [row, Array.from(row.querySelectorAll("td[id]"), squareOf)]));
  const marks = Array.from(document.querySelectorAll("section [data-filter]"), (each) => each.dataset.filter.slice(3));

  function squareOf(cell) {
    return frames[1].querySelector(`[href="#${cell.id}"]`);
  }

  function matches(row, word) {
    if (!word.startsWith("is:")) return texts.get(row).includes(word);
    return Array.from(row.querySelectorAll("[data-word]")).some((each) => each.dataset.word === word.slice(3));
  }

  function counted(all, words) {
    const shown = all.filter((row) => !row.hidden).length;
    if (!words.length) return `${all.length} ${all.length === 1 ? "row" : "rows"}`;
    const what = words.join(" and ");
    if (shown) return `${shown} of ${all.length} rows with ${what}`;
    return `none of ${all.length} rows has ${what}${words.length > 1 ? " together" : ""} (Escape shows all)`;
  }

  function filter() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const unknown = words.filter((word) => word.startsWith("is:") && !marks.includes(word.slice(3)));
    for (const row of rows) {
      row.hidden = !words.every((word) => matches(row, word));
      for (const square of squares.get(row)) square.classList.toggle("out", row.hidden);
    }
    for (const row of tenants) row.hidden = !row.querySelector("a:not(.out)");
    count.textContent = unknown.length
      ? `no mark is called ${unknown.map((word) => word.slice(3) || "so").join(" or ")}; marks: ${marks.join(", ")}`
      : counted(isCompact() ? tenants : rows, words);
    box.setAttribute("aria-invalid", String(unknown.length > 0));
    for (const button of document.querySelectorAll("[data-filter] button"))
      button.setAttribute("aria-pressed", String(button.parentElement.dataset.filter === box.value.trim()));
    for (const [at, link] of links.entries()) link.hash = address(frames[at].firstElementChild.id);
  }

  // --- the address keeps the view and the filter; without this script, #view=compact alone chooses the view ---------

  function isCompact() {
    return document.body.dataset.view === "compact";
  }

  function address(view) {
    return [view, box.value.trim() && new URLSearchParams({ filter: box.value.trim() })].filter(String).join("&");
  }

  function typed(text) {
    box.value = text;
    filter();
    const hash = address(isCompact() ? "view=compact" : "");
    history.replaceState(null, "", location.href.split("#")[0] + (hash && `#${hash}`));
  }

  function linked() {
    const asked = new URLSearchParams(location.hash.slice(1));
    box.value = asked.get("filter") ?? "";
    document.body.dataset.view = asked.get("view") === "compact" ? "compact" : "full";
    for (const [at, link] of links.entries()) link.setAttribute("aria-current", String(at === Number(isCompact())));
    filter();
    document.querySelector("td:target")?.focus();
  }

  box.addEventListener("input", () => typed(box.value));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") typed("");
  });
  window.addEventListener("hashchange", linked);
  for (const word of document.querySelectorAll("[data-filter]")) {
    const button = buttonIn(word);
    button.addEventListener("click", () => typed(box.value.trim() === word.dataset.filter ? "" : word.dataset.filter));
  }

  // --- a table that is wider than its frame fades out where it goes on ----------------------------------------------

  function fade(frame) {
    frame.classList.toggle("more", frame.scrollLeft + frame.clientWidth < frame.scrollWidth - 1);
  }

  const sizes = new ResizeObserver(() => frames.forEach(fade));
  for (const frame of frames) {
    frame.addEventListener("scroll", () => fade(frame), { passive: true });
    for (const each of [frame, frame.firstElementChild]) sizes.observe(each);
  }

  // --- sort: up, down, then as it was; a tier's column brings what deserves a look to the top, then goes by commit --

  const natural = new Intl.Collator("en", { numeric: true }).compare;

  function compared(column) {
    return (left, right) => {
      const [one, other] = [left.cells[column], right.cells[column]];
      if (column === 0) return natural(one.textContent, other.textContent);
      return Number(one.dataset.rank) - Number(other.dataset.rank) || natural(imageOf(one), imageOf(other));
    };
  }

  function imageOf(cell) {
    return cell.querySelector("code[title]")?.title ?? "";
  }

  function sort(head, all) {
    const table = head.closest("table");
    const heads = Array.from(head.parentElement.cells);
    const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
    const direction = next === undefined ? "ascending" : next;
    for (const each of heads) each.removeAttribute("aria-sort");
    if (direction) head.setAttribute("aria-sort", direction);
    table.classList.toggle("sorted", direction !== null);
    const compare = compared(heads.indexOf(head));
    const sign = direction === "descending" ? -1 : 1;
    table.tBodies[0].append(...(direction ? [...all].sort((left, right) => sign * compare(left, right)) : all));
  }

  for (const [at, all] of [rows, tenants].entries())
    for (const head of frames[at].querySelectorAll("thead th"))
      buttonIn(head).addEventListener("click", () => sort(head, all));

  function buttonIn(element) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...element.childNodes);
    element.append(button);
    return button;
  }

  tools.hidden = false;
  linked();
})();
