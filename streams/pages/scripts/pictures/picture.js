/**
 * An item's picture: category and title in, an SVG element out. The same item has the same picture everywhere.
 *
 * Products are invented, so there are no photographs. The silhouette comes from the noun in the title, its colour from
 * the colour in the title, the ground from the category; a hash of the title decides what is left open.
 */

import { PARCEL, SHAPES } from "./shapes.js";

const COLOURS = {
  white: "#f4f1ea", "pale grey": "#c9ccd1", birch: "#d9c7a3", cream: "#efe2c4", "dusty rose": "#c98b8b",
  mustard: "#d09b2c", olive: "#7b7a3c", slate: "#5b6a78", tan: "#b98b5e", black: "#35363a", stone: "#a39e93",
  "sunny yellow": "#efc23b", coral: "#ec7a63", "sky blue": "#6fb1dc", sage: "#94a98a", "forest green": "#3f6b4c",
  charcoal: "#4a4d52", rust: "#b0532f", navy: "#2f4470", sand: "#d6bd94", burgundy: "#7d2f40",
  terracotta: "#c66b48", plum: "#74426b",
}; // prettier-ignore
const UNNAMED = ["#c66b48", "#3f6b4c", "#2f4470", "#d09b2c", "#74426b", "#5b6a78", "#b0532f", "#6fb1dc"];
const FIXED = { k: "#5f8a57", m: "#aab0b6", f: "#f2a73b" };
const SCENES = [
  (light) => `<circle cx="60" cy="58" r="44" fill="${light}"/>`,
  (light) => `<path d="M20 120V60a40 40 0 0 1 80 0v60z" fill="${light}"/>`,
  (light) => `<path d="M0 84q30-22 60-10t60-8v54H0z" fill="${light}"/>`,
  (light) => `<path d="M0 96h120v24H0z" fill="${light}"/>`,
];

/**
 * @param {{item_id: string, title?: string|null, category?: string|null}} item
 * @returns {SVGSVGElement} Hidden from assistive technology: the title beside it says what it is.
 */
export function picture({ item_id: itemId, title, category }) {
  const words = (title ?? itemId).split(",");
  const noun = words[0].trim();
  const hash = hashOf(title ?? itemId);
  const named = words.slice(1).map((word) => COLOURS[word.trim().toLowerCase()]).find(Boolean);
  const a = named ?? UNNAMED[hash % UNNAMED.length];
  const paint = { a, b: mix(a, "#1d1a1f", luminance(a) > 0.6 ? 0.24 : 0.34), c: mix(a, "#ffffff", 0.5), ...FIXED };
  if (luminance(a) > 0.75) paint.c = mix(a, "#8d8577", 0.28); // what is nearly white has its light in grey
  const hue = hashOf(category ?? "") % 360;
  const shape = (SHAPES.find(([pattern]) => pattern.test(noun))?.[1] ?? PARCEL)
    .replace(/=([abckmf])(?=[\s/>])/g, (_, name) => `="${paint[name]}"`)
    .replace(/=none\b/g, '="none"');
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 120 120");
  svg.setAttribute("preserveAspectRatio", "xMidYMid slice");
  svg.setAttribute("class", "picture");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  svg.innerHTML =
    `<rect width="120" height="120" fill="hsl(${hue} 32% 84%)"/>` +
    SCENES[hash % SCENES.length](`hsl(${hue} 38% 90%)`) +
    `<ellipse cx="60" cy="99" rx="40" ry="5" fill="hsl(${hue} 25% 40%)" opacity=".22"/>` +
    shape;
  return svg;
}

/** FNV-1a. */
function hashOf(text) {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function channels(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

function mix(colour, other, share) {
  const others = channels(other);
  const mixed = channels(colour).map((value, index) => Math.round(value * (1 - share) + others[index] * share));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

function luminance(colour) {
  const [red, green, blue] = channels(colour);
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}
