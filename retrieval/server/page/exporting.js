/**
 * Exports: a list of paths, or a ZIP with copies. What the library knows stays as it is.
 *
 * @typedef {import("./api.js").Params} Params
 * @typedef {"list" | "csv" | "json" | "zip"} Format
 * @typedef {{ids: number[]} | Params} Chosen photos by their ids, or by a query
 */

import { send } from "./api.js";
import { h } from "./dom.js";

/** What an export may be, with its name for people. @type {readonly [Format, string][]} */
export const FORMATS = [
  ["list", "List of paths"],
  ["csv", "Table (CSV)"],
  ["json", "JSON"],
  ["zip", "ZIP with the files"],
];

/**
 * Let the browser save an export.
 * @param {Chosen} chosen
 * @param {Format} format
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>} the name of the file
 */
export async function download(chosen, format, signal) {
  const given = Object.entries(chosen).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const response = await send("/export", { ...Object.fromEntries(given), as: format }, { signal });
  const name = named(response.headers.get("Content-Disposition")) || `photos.${format}`;
  save(await response.blob(), name);
  return name;
}

/**
 * Hand a file over to the browser's downloads.
 * @param {Blob} content
 * @param {string} name
 */
function save(content, name) {
  const address = URL.createObjectURL(content);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** @param {string | null} disposition @returns {string} */
function named(disposition) {
  return /filename="([^"]+)"/u.exec(disposition ?? "")?.[1] ?? "";
}
