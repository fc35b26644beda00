/**
 * The keyboard: every key of the page is registered here, and the help lists what is registered.
 *
 * @typedef {"any" | "grid" | "lightbox"} Scope where a key works; "grid" is the page below the bar
 * @typedef {object} Shortcut
 * @property {string[]} keys as `KeyboardEvent.key`; "Mod+k" is Ctrl or Command with it
 * @property {string} label what it does, for the help; empty where another one says it
 * @property {string[]} [shown] the keys that the help names, if not all of these
 * @property {Scope} scope
 * @property {boolean} [typing] whether it works while words are typed
 * @property {(event: KeyboardEvent) => void | false} run false lets the next one have the key, or the browser
 */

/** @type {Shortcut[]} */
const registered = [];
/** @type {Scope[]} */
const scopes = ["grid"];

/** @param {...Shortcut} added */
export function shortcuts(...added) {
  registered.push(...added);
}

/** @returns {readonly Shortcut[]} */
export function allShortcuts() {
  return registered;
}

/** @param {Scope} scope */
export function enterScope(scope) {
  scopes.push(scope);
}

/** @param {Scope} scope */
export function leaveScope(scope) {
  const at = scopes.lastIndexOf(scope);
  if (at > 0) scopes.splice(at, 1);
}

/** Begin to listen. */
export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const done = registered.some((each) => suits(each, event) && each.run(event) !== false);
    if (done) event.preventDefault();
  });
}

/** @param {Shortcut} shortcut @param {KeyboardEvent} event @returns {boolean} */
function suits(shortcut, event) {
  const scope = scopes[scopes.length - 1];
  if (shortcut.scope !== "any" && shortcut.scope !== scope) return false;
  if (shortcut.scope !== "lightbox" && elsewhere(event.target)) return false;
  if (!shortcut.typing && isTyping(event.target)) return false;
  const mod = event.ctrlKey || event.metaKey;
  const key = `${mod ? "Mod+" : ""}${event.altKey ? "Alt+" : ""}${event.key}`;
  return shortcut.keys.includes(key);
}

/** Tell whether a dialog or menu that is no lightbox has the keyboard. @param {EventTarget | null} target */
function elsewhere(target) {
  return target instanceof Element && target.closest("dialog:not(.lightbox), [role=menu]") !== null;
}

/** @param {EventTarget | null} target @returns {boolean} */
function isTyping(target) {
  return target instanceof HTMLElement && target.closest("input:not([type=checkbox]), textarea, select") !== null;
}
