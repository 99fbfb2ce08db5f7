/**
 * Re-order a list so that the eye can follow: first, last, invert, play.
 *
 * Nodes move from where they were to where they are; what is new fades in. With reduced motion asked for, everything
 * is simply in its new place.
 */

const CALM = matchMedia("(prefers-reduced-motion: reduce)");
const MOVE = { duration: 420, easing: "cubic-bezier(.2,.8,.2,1)" };

let released = Promise.resolve();
addEventListener("pointerdown", () => {
  released = new Promise((resolve) => {
    for (const name of ["pointerup", "pointercancel", "blur"]) addEventListener(name, resolve, { once: true });
  });
}, { capture: true }); // prettier-ignore

/** Resolves when no button is held down: nothing may move between the press and the release of a click. */
export const untilReleased = () => released;

/**
 * @param {HTMLElement} parent
 * @param {HTMLElement[]} nodes Its children from now on; those that are there already are moved, not made anew.
 */
export function reorder(parent, nodes) {
  if (nodes.length === parent.children.length && nodes.every((node, place) => node === parent.children[place])) return;
  const before = new Map([...parent.children].map((child) => [child, child.getBoundingClientRect()]));
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  parent.replaceChildren(...nodes);
  if (focused && parent.contains(focused)) focused.focus({ preventScroll: true });
  if (CALM.matches || !before.size) return;
  for (const node of nodes) {
    const was = before.get(node);
    if (!was) {
      node.animate([{ opacity: 0, transform: "scale(.94)" }, { opacity: 1, transform: "none" }], { ...MOVE, duration: 520 });
      continue;
    }
    const is = node.getBoundingClientRect();
    const [x, y] = [was.left - is.left, was.top - is.top];
    if (x || y) node.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], MOVE);
  }
}
