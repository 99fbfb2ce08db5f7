/** Elements without a framework: names, attributes and children in, DOM nodes out. Text is never parsed as HTML. */

/**
 * @param {string} name `tag.class.class`
 * @param {object} attributes `onclick` and the like are listeners; false, null and undefined leave an attribute out.
 * @param {...(Node|string|number|null|false|Array)} children
 * @returns {HTMLElement}
 */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...present(children));
  return element;
}

/** Put these children in place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

/** A bar from 0 to 1, drawn beside a text that says the same. */
export function bar(share, kind = "") {
  const inner = el("span");
  inner.style.inlineSize = `${Math.round(Math.min(1, Math.max(0, share)) * 100)}%`;
  return el(`span.bar${kind ? `.${kind}` : ""}`, { "aria-hidden": "true" }, inner);
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
