/**
 * Chips: one term of the query, or one filter, with what can be done with it.
 *
 * @typedef {import("./types.js").Term} Term
 */

import { address } from "./api.js";
import { filterParts } from "./grammar.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { removeTerm, toggleFilter, weighTerm } from "./query.js";

const MONTH = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric" });
const WEIGHTS = [0.5, 1, 2, 3];

/** @param {Term} term @returns {HTMLLIElement} */
export function termChip(term) {
  const name = term.text ?? (term.item === undefined ? "your picture" : "a photo");
  const sign = term.weight < 0 ? "without" : "with";
  const size = Math.abs(term.weight);
  return h("li", { class: `chip term${term.weight < 0 ? " minus" : ""}` },
    h("button", { type: "button", class: "face", "aria-haspopup": "menu", "aria-label": `${sign} ${name}, weight ${size}: change`, onclick: (event) => weigh(event, term) },
      h("span", { class: "sign", "aria-hidden": "true" }, term.weight < 0 ? "−" : "+"),
      picture(term) ?? h("span", { class: "label" }, name),
      size !== 1 && h("span", { class: "weight", "aria-hidden": "true" }, `×${size}`),
    ),
    h("button", { type: "button", class: "remove", "aria-label": `Remove ${name}`, onclick: () => removeTerm(term) }, icon("close")),
  );
}

/**
 * Make the chips of filters. The two ends of one year or month are one chip.
 * @param {readonly string[]} filters as written
 * @returns {HTMLLIElement[]}
 */
export function filterChips(filters) {
  const since = filters.filter((each) => each.startsWith("after:"));
  const until = filters.filter((each) => each.startsWith("before:"));
  const label = since.length === 1 && until.length === 1 ? span(since[0].slice(6), until[0].slice(7)) : "";
  if (!label) return filters.map((each) => filterChip(each));
  const others = filters.filter((each) => each !== since[0] && each !== until[0]);
  return [filterChip(`${since[0]} ${until[0]}`, { negated: false, name: "taken", value: label }), ...others.map((each) => filterChip(each))];
}

/** Name the year or the month between two dates; empty if they are no such ends. @param {string} since @param {string} until */
function span(since, until) {
  const [year, month = "0"] = since.split("-");
  const next = month === "0" ? `${Number(year) + 1}` : month === "12" ? `${Number(year) + 1}-01` : `${year}-${String(Number(month) + 1).padStart(2, "0")}`;
  if (until !== next || !/^\d{4}(-\d\d)?$/u.test(since)) return "";
  return month === "0" ? year : MONTH.format(new Date(Number(year), Number(month) - 1));
}

/** @param {string} filter as written @param {ReturnType<typeof filterParts>} [parts] what is shown */
function filterChip(filter, parts = filterParts(filter)) {
  const { negated, name, value } = parts;
  const said = `${negated ? "not " : ""}${name} ${value}`;
  return h("li", { class: `chip filter${negated ? " minus" : ""}` },
    h("span", { class: "face" }, h("span", { class: "name" }, `${negated ? "not " : ""}${name}`), h("span", { class: "label" }, value)),
    h("button", { type: "button", class: "remove", "aria-label": `Remove the filter ${said}`, onclick: () => toggleFilter(filter) }, icon("close")),
  );
}

/** @param {Term} term @returns {HTMLImageElement | null} */
function picture({ item, picture }) {
  if (item !== undefined) return h("img", { src: address(`/items/${item}/thumb`, { size: 256 }), alt: "" });
  return picture === undefined ? null : h("img", { src: address(`/queries/${picture}/thumb`), alt: "" });
}

/** @param {Event} event @param {Term} term */
function weigh(event, term) {
  const size = Math.abs(term.weight);
  openMenu(/** @type {HTMLElement} */ (event.currentTarget), [
    { label: "Add it", icon: "plus", checked: term.weight > 0, run: () => weighTerm(term, size) },
    { label: "Take it away", icon: "minus", checked: term.weight < 0, run: () => weighTerm(term, -size) },
    ...WEIGHTS.map((each, at) => ({
      label: each === 1 ? "Counts once" : each < 1 ? "Counts half" : `Counts ${each} times`,
      checked: each === size, apart: at === 0, run: () => weighTerm(term, Math.sign(term.weight) * each),
    })),
  ]);
}
