"use strict";
// Adds to a page that is complete without it: a filter, sorting, and the legend's words as buttons that filter.
(() => {
  const table = document.querySelector("table");
  if (!table) return;

  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const tools = document.getElementById("tools");
  const box = tools.querySelector("input");
  const count = tools.querySelector("output");

  // --- filter: every word that is typed stands somewhere in the row; is:failed means the mark, not the word ---------

  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const marks = Array.from(document.querySelectorAll("section [data-filter]"), (each) => each.dataset.filter.slice(3));

  function matches(row, word) {
    if (!word.startsWith("is:")) return texts.get(row).includes(word);
    return Array.from(row.querySelectorAll("[data-word]")).some((each) => each.dataset.word === word.slice(3));
  }

  function counted(shown, words) {
    if (!words.length) return `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
    const what = words.join(" and ");
    if (shown) return `${shown} of ${rows.length} rows with ${what}`;
    return `none of ${rows.length} rows has ${what}${words.length > 1 ? " together" : ""} (Escape shows all)`;
  }

  function filter() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const unknown = words.filter((word) => word.startsWith("is:") && !marks.includes(word.slice(3)));
    for (const row of rows) row.hidden = !words.every((word) => matches(row, word));
    count.textContent = unknown.length
      ? `no mark is called ${unknown.map((word) => word.slice(3) || "so").join(" or ")}; marks: ${marks.join(", ")}`
      : counted(rows.filter((row) => !row.hidden).length, words);
    box.setAttribute("aria-invalid", String(unknown.length > 0));
    for (const button of document.querySelectorAll("[data-filter] button"))
      button.setAttribute("aria-pressed", String(button.parentElement.dataset.filter === box.value.trim()));
  }

  function typed(text) {
    box.value = text;
    filter();
    const address = location.href.split("#")[0];
    history.replaceState(null, "", text.trim() ? `${address}#${new URLSearchParams({ filter: text.trim() })}` : address);
  }

  function linked() {
    box.value = new URLSearchParams(location.hash.slice(1)).get("filter") ?? "";
    filter();
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

  const frame = table.parentElement;

  function fade() {
    frame.classList.toggle("more", frame.scrollLeft + frame.clientWidth < frame.scrollWidth - 1);
  }

  frame.addEventListener("scroll", fade, { passive: true });
  const sizes = new ResizeObserver(fade);
  for (const each of [frame, table]) sizes.observe(each);

  // --- sort: up, down, then as it was; a tier's column brings what deserves a look to the top, then goes by commit --

  const natural = new Intl.Collator("en", { numeric: true }).compare;
  const heads = Array.from(table.tHead.rows[0].cells);

  function compared(column) {
    return (left, right) => {
      const [one, other] = [left.cells[column], right.cells[column]];
      if (column === 0) return natural(one.textContent, other.textContent);
      return Number(one.dataset.rank) - Number(other.dataset.rank) || natural(imageOf(one), imageOf(other));
    };
  }

  function imageOf(cell) {
    return cell.querySelector(".image code")?.title ?? "";
  }

  function sort(head) {
    const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
    const direction = next === undefined ? "ascending" : next;
    for (const each of heads) each.removeAttribute("aria-sort");
    if (direction) head.setAttribute("aria-sort", direction);
    table.classList.toggle("sorted", direction !== null);
    const compare = compared(heads.indexOf(head));
    const sign = direction === "descending" ? -1 : 1;
    body.append(...(direction ? [...rows].sort((left, right) => sign * compare(left, right)) : rows));
  }

  for (const head of heads) buttonIn(head).addEventListener("click", () => sort(head));

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
