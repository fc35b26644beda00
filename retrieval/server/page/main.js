/**
 * The page of `twinlens serve`: plain modules, no build step, nothing from another host.
 *
 *   state.js      the state and the address of the page; every change goes through `store`
 *   query.js      changes to the query: more like this, terms, filters
 *   grammar.js    a query as text, and as words, terms and filters
 *   api.js        the server; types.js has the shapes
 *   results.js    the running search, its pages, and searches kept for Back
 *   layout.js     where each picture stands (no document); grid.js draws those near the screen
 *   searchbox.js  words, chips, suggestions        pictures.js  drop, paste and choose a picture
 *   toolbar.js    tabs, total, order, instruction  filters.js   facets
 *   views.js      nothing matches, errors, empty   status.js    libraries and what happens in them
 *   lightbox.js   one photo large                  menu.js      menus
 *   tiles.js      what can be done with a tile
 *   selection.js  the photos that are selected      selecting.js  marks, keys and the bar for it
 *   exporting.js  lists and ZIPs to save            teaching.js   a name for what is selected
 *   otherviews.js the views beside the search: duplicates.js (copies) and names.js
 *   dialog.js     dialogs                           help.js       keys and words
 *   keys.js       every key: `shortcuts({keys, label, scope, run})`; the help lists them
 *   dom.js, icons.js, format.js, announce.js
 *
 * A module that adds to tiles pushes to `tileParts` (grid.js). One that shows something else than
 * the search listens to `store` and looks at `state.view`. Modules never write markup: `h` makes
 * elements, and texts are text nodes.
 */

import { grid } from "./grid.js";
import { results } from "./results.js";
import { startHelp } from "./help.js";
import { startKeys } from "./keys.js";
import { startOtherViews } from "./otherviews.js";
import { startSearchBox } from "./searchbox.js";
import { startSelecting } from "./selecting.js";
import { store } from "./state.js";

startSearchBox();
startSelecting();
startOtherViews();
startHelp();
startKeys();
results.subscribe(() => grid.show(results.hits, { labels: [], divider: null }, true));
store.subscribe((state) => results.follow(state));
results.limit = grid.screenful;
results.follow(store.state);
