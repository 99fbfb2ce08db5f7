/** What screen readers hear of changes: a polite word, and never more than one in three seconds. */

const PAUSE_MS = 3000;
let last = 0;
let waiting = null;

/** Say it soon; what is said later in the same pause takes its place. */
export function say(text) {
  clearTimeout(waiting);
  waiting = setTimeout(
    () => {
      last = Date.now();
      document.getElementById("spoken").textContent = text;
    },
    Math.max(0, last + PAUSE_MS - Date.now()),
  );
}
