/**
 * The shapes that travel between modules. Types alone: nothing here runs, and no module loads it.
 *
 * @typedef {"photos" | "texts"} Target What is looked for.
 * @typedef {"score" | "date" | "oldest"} Sort
 * @typedef {"search" | "duplicates" | "names"} View
 *
 * @typedef {object} Term One part of a query: exactly one of text, item and picture is set.
 * @property {string} [text] words
 * @property {number} [item] the id of a photo of the library
 * @property {string} [picture] the id of a picture that was dropped here
 * @property {number} weight above 0 adds it, below 0 takes it away
 *
 * @typedef {object} State All that the address of the page says.
 * @property {string} words what stands in the search box, in the command line's grammar
 * @property {Term[]} terms the terms beside it, shown as chips
 * @property {string[]} filters as written: `after:2019`, `-tag:work`
 * @property {Target} for
 * @property {Sort | ""} sort empty: by score where something is asked, else the newest first
 * @property {number | null} threshold how likely a hit must be; 0 shows everything
 * @property {string} instruct
 * @property {string} library a name, or empty for the first
 * @property {number | null} photo the one that is shown large
 * @property {View} view
 *
 * @typedef {object} About What a photo says about itself.
 * @property {string | null} [taken] ISO 8601, by the clock of the camera
 * @property {string | null} [place]
 * @property {number | null} [latitude]
 * @property {number | null} [longitude]
 * @property {string | null} [camera]
 * @property {string | null} [lens]
 * @property {number | null} [rating]
 * @property {string[]} [keywords]
 * @property {string | null} [title]
 * @property {string | null} [caption]
 * @property {string[]} [also] other files of the same shot
 *
 * @typedef {object} Hit One answer.
 * @property {number} id
 * @property {number} rank
 * @property {number} score
 * @property {number | null} match from 0 to 1
 * @property {boolean | null} likely
 * @property {string | null} likelihood "very likely", "likely", "perhaps" or "unlikely"
 * @property {string} kind "photo" or "text"
 * @property {string} path
 * @property {string} name
 * @property {string} folder
 * @property {number | null} time seconds into a film
 * @property {string} text
 * @property {number | null} width pixels, upright
 * @property {number | null} height pixels
 * @property {string} thumb address of the small picture
 * @property {string} original address of the file
 * @property {About} about
 * @property {{text: string, box: number[]}[]} lines of text in the photo; boxes in shares of it
 *
 * @typedef {object} ItemParts What one item has beside what a hit has.
 * @property {{id: number, time: number}[]} [frames] of a film
 * @property {string[]} [siblings]
 * @property {number | null} [bytes]
 * @property {boolean} [reachable]
 * @typedef {Hit & ItemParts} Item
 *
 * @typedef {object} Answer What a search returns.
 * @property {Hit[]} hits
 * @property {number} total
 * @property {boolean} complete whether `total` counts all
 * @property {string | null} next the cursor of the next page
 * @property {{nearest: Hit | null} | null} nothing set where nothing matches
 * @property {string} message
 * @property {string[]} hints
 * @property {Record<string, number>} took_ms
 * @property {string} model
 * @property {{terms: Term[], filters: string[]}} query how it was understood
 * @property {boolean} by_date
 * @property {number | null} divider place of the first unlikely hit
 *
 * @typedef {object} FacetValue
 * @property {string} value
 * @property {string} label
 * @property {string} filter as written
 * @property {number} count
 * @property {boolean} selected
 * @property {FacetValue[]} [children]
 * @typedef {{total: number, facets: Record<string, FacetValue[]>, more?: Record<string, number>}} Facets `more` are left out
 *
 * @typedef {object} Suggestion
 * @property {string} kind
 * @property {string} label
 * @property {string} insert
 * @property {number} from
 * @property {number} to
 * @property {number | null} count
 *
 * @typedef {object} Library
 * @property {string} name
 * @property {"ready" | "empty" | "missing" | "locked" | "damaged" | "opening"} state
 * @property {string} message
 * @property {number} photos
 * @property {number} videos
 * @property {number} texts
 * @property {string} model
 * @property {number} generation
 * @property {Indexing | null} [indexing]
 * @typedef {{pid?: number, since?: string, met?: number, files?: number, photos?: number, rate?: number | null}} Indexing `files` of those that were `met` are done
 */

export {};
