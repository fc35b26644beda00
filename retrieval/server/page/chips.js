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

/** @param {string} filter as written @returns {HTMLLIElement} */
export function filterChip(filter) {
  const { negated, name, value } = filterParts(filter);
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
